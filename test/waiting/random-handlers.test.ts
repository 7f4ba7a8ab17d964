/**
 * Random handlers of steps, sleeps, waits for signals, children, combinators, `try` and loops, on a store whose calls
 * take different times, by processes that are killed: each handler ends, a stored step is not run again, no signal is
 * taken twice, and each part of the handler comes to the same in every run.
 */
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { Valkey } from 'iovalkey';
import { afterAll, describe, expect, it } from 'vitest';
import { all, any, app, child as childOf, count, type Backend, type Task, type TaskContext } from '../../src/index.js';
import { keysUnder } from '../../src/testing/canonical/valkey/scan.js';
import { seededUuids } from '../../src/testing/index.js';
import {
  Scheduler,
  SimulatedConnection,
  SimulatedProcess,
  SimulatedServer,
} from '../../src/testing/simulation/index.js';
import { valkeyUnderTest } from '../../src/valkey/boot/open.js';
import type { Event, LoggedEvent } from '../../src/engine/index.js';
import { sharedValkey } from '../support/valkey/index.js';

type Channel = 'a' | 'b';
type Part =
  | { readonly do: 'step'; readonly ms: number; readonly fails: boolean }
  | WaitPart
  /** A wait that is called before another part and awaited behind it. */
  | { readonly do: 'early'; readonly wait: WaitPart; readonly part: Part }
  | { readonly do: 'children'; readonly kind: 'all' | 'any' | 'quorum'; readonly of: readonly ChildPart[] }
  | { readonly do: 'seq' | 'all' | 'race' | 'any' | 'settled'; readonly parts: readonly Part[] }
  | { readonly do: 'try'; readonly part: Part; readonly otherwise: Part }
  | { readonly do: 'loop'; readonly times: number; readonly part: Part };
type WaitPart =
  | { readonly do: 'sleep'; readonly ms: number }
  | { readonly do: 'wait'; readonly kind: Channel | 'all' | 'any' | 'count'; readonly timeout: number | undefined };
interface ChildPart {
  readonly ms: number;
  readonly fails: boolean;
  /** Its input is so long that two of them exceed one call. */
  readonly text?: string;
}
type Move = { readonly signal: Channel } | { readonly pass: number } | 'kill';
interface Program {
  readonly part: Part;
  readonly moves: readonly Move[];
  /** What becomes of the calls of each group, one after the other: so much longer they take, ms, or no answer comes. */
  readonly slow: readonly (number | 'lost')[];
}

const milliseconds = fc.constantFrom(0, 1, 5, 40, 300, 2_000);
const seldom = fc.constantFrom(false, false, false, true);
const sleepPart = fc.record({ do: fc.constant('sleep' as const), ms: milliseconds });
const waitPart = fc.record({
  do: fc.constant('wait' as const),
  kind: fc.constantFrom<'a' | 'b' | 'all' | 'any' | 'count'>('a', 'a', 'b', 'all', 'any', 'count'),
  timeout: fc.option(milliseconds, { nil: undefined }),
});
const { part } = fc.letrec<{ part: Part }>((tie) => {
  const parts = fc.array(tie('part'), { minLength: 2, maxLength: 3 });
  const child = fc.record({ ms: milliseconds, fails: seldom });
  return {
    part: fc.oneof(
      { depthSize: 'small', maxDepth: 4, withCrossShrink: true },
      { weight: 3, arbitrary: fc.record({ do: fc.constant('step' as const), ms: milliseconds, fails: seldom }) },
      { weight: 2, arbitrary: sleepPart },
      { weight: 3, arbitrary: waitPart },
      {
        weight: 3,
        arbitrary: fc.record({
          do: fc.constant('early' as const),
          wait: fc.oneof(sleepPart, waitPart),
          part: tie('part'),
        }),
      },
      {
        weight: 2,
        arbitrary: fc.record({
          do: fc.constant('children' as const),
          kind: fc.constantFrom('all' as const, 'any' as const, 'quorum' as const),
          of: fc.array(child, { minLength: 2, maxLength: 3 }),
        }),
      },
      {
        weight: 8,
        arbitrary: fc.record({
          do: fc.constantFrom<'seq' | 'all' | 'race' | 'any' | 'settled'>(
            'seq',
            'seq',
            'all',
            'race',
            'any',
            'settled',
          ),
          parts,
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ do: fc.constant('try' as const), part: tie('part'), otherwise: tie('part') }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ do: fc.constant('loop' as const), times: fc.constant(2), part: tie('part') }),
      },
    ),
  };
});
const move = fc.oneof(
  { weight: 4, arbitrary: fc.record({ signal: fc.constantFrom<Channel>('a', 'a', 'b') }) },
  { weight: 3, arbitrary: fc.record({ pass: milliseconds }) },
  { weight: 1, arbitrary: fc.constant('kill' as const) },
);
const program: fc.Arbitrary<Program> = fc.record({
  part: fc.record({
    do: fc.constantFrom('seq' as const, 'all' as const, 'race' as const),
    parts: fc.array(part, { minLength: 2, maxLength: 3 }),
  }),
  moves: fc.array(move, { maxLength: 12 }),
  slow: fc.array(fc.constantFrom<number | 'lost'>(0, 0, 0, 1, 5, 40, 'lost'), { minLength: 40, maxLength: 40 }),
});

const step = (ms: number, fails = false): Part => ({ do: 'step', ms, fails });
const sleep = (ms: number): WaitPart => ({ do: 'sleep', ms });
const wait = (kind: Channel, timeout?: number): WaitPart => ({ do: 'wait', kind, timeout });
const early = (each: WaitPart, part: Part): Part => ({ do: 'early', wait: each, part });
const child = (ms: number): Part => ({ do: 'children', kind: 'all', of: [{ ms, fails: false }] });
const of = (kind: 'seq' | 'all' | 'race' | 'any', ...parts: Part[]): Part => ({ do: kind, parts });

const LONG = 'x'.repeat(3 * 1024 * 1024);

/** Programs that once had another outcome in a later run. */
const FOUND: readonly Program[] = [
  // A timeout passes before any suspension has stored it, and a signal comes before the next run.
  {
    part: of('seq', wait('a', 1), wait('b')),
    moves: [{ pass: 40 }, { signal: 'a' }, { signal: 'b' }],
    slow: [0, 0, 40],
  },
  { part: of('all', of('seq', wait('a', 1), wait('b')), step(40)), moves: [{ pass: 300 }, { signal: 'a' }], slow: [] },
  // The step that is called last ends first.
  { part: of('all', of('race', step(2_000), step(0)), wait('a')), moves: [{ pass: 5_000 }], slow: [] },
  // A step fails beside another one, which is stored before the failure.
  {
    part: of('seq', { do: 'settled', parts: [of('race', step(40), step(5, true)), step(300)] }, wait('a')),
    moves: [],
    slow: [],
  },
  // The steps decide which of the waits begins first.
  {
    part: of('all', of('seq', step(300), wait('a')), of('seq', step(0), wait('a')), wait('b')),
    moves: [{ signal: 'a' }, { pass: 2_000 }, { signal: 'b' }, { signal: 'a' }],
    slow: [],
  },
  // A child and a sleep end while a step runs, the child first.
  {
    part: of('all', of('race', sleep(2_000), child(300)), of('seq', wait('a'), step(2_000), wait('b'))),
    moves: [{ pass: 40 }, { signal: 'a' }, { pass: 5_000 }, { pass: 5_000 }],
    slow: [],
  },
  // Two steps fail before a step that was called between them is stored.
  {
    part: of('seq', of('any', step(2_000), of('race', step(5, true), step(0, true), step(0))), step(0), child(0)),
    moves: [],
    slow: [40],
  },
  // The result of a child is read while a sleep is over too.
  {
    part: of('all', of('race', sleep(300), child(40)), of('seq', wait('a'), step(2_000), wait('b'))),
    moves: [{ pass: 5 }, { signal: 'a' }, { pass: 5_000 }],
    slow: [],
  },
  // The process is killed behind a step, during which the time of a wait passed that was called before.
  {
    part: of('seq', early(sleep(300), step(2_000)), early(wait('b', 40), step(300)), wait('a')),
    moves: [{ pass: 2_010 }, 'kill', { pass: 300 }, 'kill', { pass: 5_000 }],
    slow: [],
  },
  // A suspension comes between the call of a wait and its await.
  {
    part: of('seq', early(wait('b', 2_000), sleep(300)), early(sleep(2_000), of('all', child(300), wait('a')))),
    moves: [{ pass: 400 }, 'kill', { pass: 1_000 }, { signal: 'a' }, { pass: 5_000 }],
    slow: [],
  },
  // Two of three children decide, each of which takes a call; the process is killed between these calls.
  {
    part: of(
      'seq',
      { do: 'children', kind: 'quorum', of: [0, 300, 40].map((ms) => ({ ms, fails: false, text: LONG })) },
      step(5),
    ),
    moves: [{ pass: 5 }, 'kill', { pass: 5_000 }],
    slow: [],
  },
];

const START_AT = 1_700_000_000_000;
const LEASE_MS = 3_000;
/** How far a worker's estimate of the store's time can be behind, ms. */
const BEHIND_MS = 100;
const LOST = { kind: 'answer_lost' } as const;
/** Rounds of signals and time after the moves. */
const ROUNDS = 40;
const CONDITIONS = { all: all('a', 'b'), any: any('a', 'b'), count: count(2, ['a', 'b']) } as const;

/** What runs of one handler found: the outcome of each of its parts, and what was wrong. */
class Journal {
  readonly wrong: string[] = [];
  private readonly outcomes = new Map<string, string>();
  private readonly takers = new Map<string, string>();
  private readonly passed = new Set<string>();
  /** Parts whose outcome was first found by the last run, and whether a step failed in it. */
  private fresh = { paths: [] as string[], hasFailed: false };
  private readonly sleeping = new Map<string, number>();
  private readonly returned = new Map<string, number>();
  /** Waits whose ends are stored. */
  private readonly ends = new Set<string>();
  /** The ends, from their calls, of waits that were called and not awaited when a run was first suspended. */
  private readonly called = new Map<string, number>();

  paths(): string[] {
    return [...this.outcomes.keys()];
  }

  runs(): void {
    this.fresh = { paths: [], hasFailed: false };
    this.sleeping.clear();
  }

  /** The handler has called a wait that ends by itself then, ms since the epoch; undefined: it waits no longer. */
  sleeps(path: string, until: number | undefined): void {
    if (until === undefined) this.sleeping.delete(path);
    else this.sleeping.set(path, until);
  }

  /** The function of a step has returned. */
  returns(path: string, at: number): void {
    this.returned.set(path, at);
  }

  /** Something was stored. The end of each time that passed before a step returned is stored before the step. */
  stored(event: Event): void {
    if (event.type === 'execution_suspended') {
      for (const [, path = '', until] of event.waitpoints.matchAll(/#(?:sleep|wait) ([^:]*):\d+(?:@(\d+))?/g)) {
        this.ends.add(path);
        if (until !== undefined && Number(until) > (this.called.get(path) ?? Infinity) + BEHIND_MS)
          this.wrong.push(`${path} does not count from its call`);
      }
      for (const [path, until] of this.sleeping) if (!this.called.has(path)) this.called.set(path, until);
    }
    if (event.type !== 'step_recorded') return;
    const [kind, path = ''] = event.stepName.split(' ');
    if (kind === 'sleep' || kind === 'wait') this.ends.add(path);
    const returned = this.returned.get(path) ?? 0;
    for (const [sleep, until] of kind === 'step' ? this.sleeping : [])
      if (until + BEHIND_MS < returned && !this.ends.has(sleep))
        this.wrong.push(`step ${path} is stored without the end of ${sleep}`);
  }

  /** The process of the last run was killed. A failure may not have been stored: what followed from it does not count. */
  killed(): void {
    if (this.fresh.hasFailed) for (const path of this.fresh.paths) this.outcomes.delete(path);
    this.runs();
  }

  /** The outcome of a part, which must be that of all runs. */
  note(path: string, outcome: string): void {
    const known = this.outcomes.get(path);
    if (known === undefined) this.fresh.paths.push(path);
    this.outcomes.set(path, known ?? outcome);
    if (known !== undefined && known !== outcome) this.wrong.push(`${path} came to ${known}, then to ${outcome}`);
  }

  begins(path: string): void {
    if (this.passed.has(path)) this.wrong.push(`step ${path} ran again`);
  }

  fails(): void {
    this.fresh.hasFailed = true;
  }

  passes(path: string): void {
    this.passed.add(path);
  }

  takes(path: string, signals: readonly string[]): void {
    for (const signal of signals) {
      const taker = this.takers.get(signal) ?? path;
      this.takers.set(signal, taker);
      if (taker !== path) this.wrong.push(`${signal} was taken by ${taker} and by ${path}`);
    }
  }
}

/** Opens a store under a clock. */
type Open = (now: () => number) => Promise<Backend>;

/** Plays a program. Returns the state of its run, what was wrong, and the parts that were over after the moves. */
async function played({ part: whole, moves, slow }: Program, open?: Open) {
  const scheduler = new Scheduler(START_AT);
  const journal = new Journal();
  const onEvent = ({ event }: LoggedEvent): void => journal.stored(event);
  const server = new SimulatedServer({ scheduler, partitions: 1, store: await open?.(scheduler.now), onEvent });
  const tries = new Map<string, number>();

  const interpret = (context: TaskContext, own: SimulatedProcess, task: Task<ChildPart, string>) => {
    const does = async (node: Part, path: string): Promise<unknown> => {
      try {
        const value = await outcomeOf(node, path);
        journal.note(path, JSON.stringify(value));
        return value;
      } catch (error) {
        // An aborted handler is no longer the owner, so its outcomes do not count.
        if ((error as Error).name !== 'TaskAbort') journal.note(path, `throws ${(error as Error).message}`);
        throw error;
      }
    };
    /** Calls a wait, and gives what awaits it. */
    const called = (node: WaitPart, path: string): (() => Promise<unknown>) => {
      const ms = node.do === 'sleep' ? node.ms : node.timeout;
      // One that is over when it is called is over in every run.
      if (ms) journal.sleeps(path, scheduler.now() + ms);
      if (node.do === 'sleep') {
        const slept = context.sleep(node.ms, { name: `sleep ${path}` });
        return async () => {
          await slept;
          journal.sleeps(path, undefined);
          return 'slept';
        };
      }
      const options = { name: `wait ${path}`, timeout: node.timeout, onTimeout: 'value' } as const;
      const condition = node.kind === 'a' || node.kind === 'b' ? any(node.kind) : CONDITIONS[node.kind];
      const signals = context.waitFor<string>(condition, options);
      return async () => {
        // From here on a signal can end it.
        journal.sleeps(path, undefined);
        const payloads = (await signals)?.map(({ payload }) => payload) ?? null;
        if (payloads !== null) journal.takes(path, payloads);
        return payloads;
      };
    };
    const outcomeOf = async (node: Part, path: string): Promise<unknown> => {
      switch (node.do) {
        case 'step':
          return context
            .step(`step ${path}`, async () => {
              journal.begins(path);
              const nth = (tries.get(path) ?? 0) + 1;
              tries.set(path, nth);
              if (node.ms > 0) await own.sleep(node.ms);
              journal.returns(path, scheduler.now());
              if (!node.fails) return `${path} try ${nth}`;
              journal.fails();
              throw new Error(`${path} failed`);
            })
            .then((value) => {
              journal.passes(path);
              return value;
            });
        case 'sleep':
        case 'wait':
          return called(node, path)();
        case 'early': {
          const wait = called(node.wait, path);
          const value = await does(node.part, `${path}.0`);
          return [value, await wait()];
        }
        case 'children': {
          const list = node.of.map((input) => childOf(task, input));
          const options = { name: `children ${path}` };
          if (node.kind === 'all') return context.children.all(list, options);
          return node.kind === 'any' ? context.children.any(list, options) : context.children.quorum(2, list, options);
        }
        case 'seq': {
          const values: unknown[] = [];
          for (const [index, each] of node.parts.entries()) values.push(await does(each, `${path}.${index}`));
          return values;
        }
        case 'try':
          return does(node.part, `${path}.0`).catch(() => does(node.otherwise, `${path}.1`));
        case 'loop': {
          let last: unknown;
          for (let i = 0; i < node.times; i++) last = await does(node.part, `${path}[${i}]`);
          return last;
        }
        default: {
          const branches = node.parts.map((each, index) => does(each, `${path}.${index}`));
          if (node.do === 'all') return Promise.all(branches);
          if (node.do === 'settled') return (await Promise.allSettled(branches)).map(({ status }) => status);
          const numbered = branches.map(async (branch, index) => [index, await branch]);
          return node.do === 'race' ? Promise.race(numbered) : Promise.any(numbered);
        }
      }
    };
    journal.runs();
    return does(whole, '0');
  };

  let boots = 0;
  let killed = 0;
  const boot = () => {
    const seed = ++boots;
    const own = new SimulatedProcess(`p${seed}`, scheduler, { seed, clockOffsetMs: 0.25 - START_AT });
    const connection = new SimulatedConnection({ scheduler, server, process: own, latencyMs: 1, callTimeoutMs: 5_000 });
    for (const on of ['wait', 'claim', 'children', 'read', 'ending', 'step'] as const)
      for (const how of slow.slice(killed))
        connection.plan.add({ on, fault: how === 'lost' ? LOST : { kind: 'slow', byMs: how }, count: 1 });
    const a = app({ backend: connection.backend, clock: own, ids: seededUuids(`handlers ${seed}`) });
    const child = a.task('child', { retry: { failures: 0 } }, async ({ input }: TaskContext<ChildPart>) => {
      if (input.ms > 0) await own.sleep(input.ms);
      if (input.fails) throw new Error('the child failed');
      return `child of ${input.ms} ms`;
    });
    const parent = a.task('parent', { retry: { failures: 0 } }, (context: TaskContext) =>
      interpret(context, own, child),
    );
    return { own, a, parent };
  };

  const pass = (ms: number): Promise<void> => scheduler.advanceTo(scheduler.now() + ms);
  const answer = async <T>(promise: Promise<T>): Promise<T> => {
    let settled: { value: T } | undefined;
    promise.then(
      (value) => (settled = { value }),
      () => undefined,
    );
    for (let waits = 0; settled === undefined && waits < 1_000; waits++) await pass(1);
    return settled === undefined ? promise : settled.value;
  };
  const startWorker = () => answer(running.a.worker({ slots: 4, sweepInterval: 500, leaseTtlMs: LEASE_MS }));

  let running = boot();
  await startWorker();
  const { id } = await answer(running.parent.run(undefined));
  const state = async () => (await server.store.readExecutionInfo({ executionId: id }))?.publicState;
  const hasEnded = async () => ['completed', 'failed'].includes((await state()) ?? '');
  const sent = { a: 0, b: 0 };
  const send = async (channel: Channel): Promise<void> => {
    const payload = `${channel}${sent[channel]++}`;
    if (!(await hasEnded())) await answer(running.a.get(id).signal(channel, payload)).catch(() => undefined);
  };
  for (const each of moves) {
    if (each === 'kill') {
      running.own.kill();
      journal.killed();
      killed += 7;
      running = boot();
      await startWorker();
    } else if ('signal' in each) await send(each.signal);
    else await pass(each.pass);
  }
  const early = journal.paths();
  for (let round = 0; round < ROUNDS && !(await hasEnded()); round++) {
    await pass(round < 5 ? 700 : 5_000);
    await send(round % 2 === 0 ? 'a' : 'b');
  }
  const ended = await state();
  running.own.kill();
  await server.store.close();
  return { state: ended, wrong: journal.wrong, early };
}

const PREFIX = `handlers-${randomUUID()}-`;
let programs = 0;

const onServer: Open = async (now) => {
  const { url } = await sharedValkey();
  return valkeyUnderTest({ url, prefix: `${PREFIX}${programs++}:`, partitions: { count: 1 } }, { now });
};

// Killed processes leave bytes that nothing refers to, which expire by the server's own clock.
afterAll(async () => {
  const client = new Valkey((await sharedValkey()).url);
  const keys = await keysUnder(client, PREFIX);
  if (keys.length > 0) await client.unlink(keys);
  client.disconnect();
});

async function comesToTheSame(each: Program, open?: Open): Promise<void> {
  const { state, wrong } = await played(each, open);
  expect(wrong).toEqual([]);
  expect(['completed', 'failed']).toContain(state);
}

describe('random handlers', () => {
  it('go on behind children that are decided, although they also wait elsewhere', async () => {
    const { early } = await played({
      part: of('all', of('seq', child(40), step(0)), wait('a')),
      moves: [{ pass: 5_000 }],
      slow: [],
    });
    expect(early).toContain('0.0.1');
  });

  const options: fc.Parameters<[Program]> = {
    ...(process.env.HANDLER_SEED !== undefined && { seed: Number(process.env.HANDLER_SEED) }),
    examples: FOUND.map((each) => [each]),
  };

  it('come to the same in every run, and to an end', async () => {
    await fc.assert(
      fc.asyncProperty(program, (each) => comesToTheSame(each)),
      { ...options, numRuns: Number(process.env.HANDLER_RUNS ?? 25) },
    );
  }, 240_000);

  it('do so on a server', async () => {
    await fc.assert(
      fc.asyncProperty(program, (each) => comesToTheSame(each, onServer)),
      { ...options, numRuns: 1_000, interruptAfterTimeLimit: Number(process.env.HANDLER_MS ?? 8_000) },
    );
  }, 240_000);
});
