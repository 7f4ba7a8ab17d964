/**
 * Waits that a handler begins together, in any combination, on a store whose reads take different times: the run is
 * suspended on all of them, never hangs, and ends as it does on a store that answers at once.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { all, any, app, count, type TaskContext } from '../../src/index.js';
import { seededUuids } from '../../src/testing/index.js';
import {
  Scheduler,
  SimulatedConnection,
  SimulatedProcess,
  SimulatedServer,
} from '../../src/testing/simulation/index.js';
import { keyOf, SLEEP_ALONE } from '../../src/worker/waits/keys.js';

type Channel = 'a' | 'b';

/** What a handler does. Each sleep and each timeout gets a duration of its own. */
type Part =
  | { readonly do: 'sleep' }
  | { readonly do: 'wait'; readonly channel: Channel; readonly times: boolean }
  | { readonly do: 'several'; readonly kind: 'all' | 'any' | 'count'; readonly times: boolean }
  | { readonly do: 'approval' }
  | { readonly do: 'report' }
  | { readonly do: 'step'; readonly ms: number }
  | { readonly do: 'seq' | 'all' | 'race'; readonly parts: readonly Part[] };

type Move = { readonly signal: Channel | 'ok' } | { readonly units: number };

interface Program {
  readonly part: Part;
  readonly moves: readonly Move[];
  /** Signals are too large to come with a claim, so that each run reads what earlier ones left. */
  readonly large: boolean;
  /** How much longer the calls of each group take, one after the other, ms. */
  readonly slow: Readonly<Record<'wait' | 'step' | 'progress' | 'any', readonly number[]>>;
}

const channel = fc.constantFrom<Channel>('a', 'b');
const { part } = fc.letrec<{ part: Part }>((tie) => {
  const parts = fc.array(tie('part'), { minLength: 2, maxLength: 3 });
  return {
    part: fc.oneof(
      { depthSize: 'small', maxDepth: 3, withCrossShrink: true },
      { weight: 2, arbitrary: fc.constant<Part>({ do: 'sleep' }) },
      { weight: 4, arbitrary: fc.record({ do: fc.constant('wait' as const), channel, times: fc.boolean() }) },
      {
        weight: 1,
        arbitrary: fc.record({
          do: fc.constant('several' as const),
          kind: fc.constantFrom('all' as const, 'any' as const, 'count' as const),
          times: fc.boolean(),
        }),
      },
      { weight: 1, arbitrary: fc.constantFrom<Part>({ do: 'approval' }, { do: 'report' }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('step' as const), ms: fc.constantFrom(0, 30) }) },
      {
        weight: 6,
        arbitrary: fc.record({ do: fc.constantFrom('seq' as const, 'all' as const, 'race' as const), parts }),
      },
    ),
  };
});
const moves = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ signal: fc.constantFrom<Channel | 'ok'>('a', 'a', 'b', 'ok') }) },
    { weight: 1, arbitrary: fc.record({ units: fc.integer({ min: 1, max: 9 }) }) },
  ),
  { maxLength: 8 },
);
const slowness = fc.array(fc.constantFrom(0, 0, 1, 5, 40), { minLength: 30, maxLength: 30 });
const program: fc.Arbitrary<Program> = fc.record({
  part: fc.record({
    do: fc.constantFrom('all' as const, 'race' as const, 'seq' as const),
    parts: fc.array(part, { minLength: 2, maxLength: 3 }),
  }),
  moves,
  large: fc.boolean(),
  slow: fc.record({ wait: slowness, step: slowness, progress: slowness, any: slowness }),
});

const SLEEP: Part = { do: 'sleep' };
const BOTH: Part = { do: 'several', kind: 'all', times: false };
const AT_ONCE: Program['slow'] = { wait: [], step: [], progress: [], any: [] };
/** Programs whose waits were once suspended apart. */
const FOUND: readonly Program[] = [
  { part: { do: 'all', parts: [SLEEP, BOTH] }, moves: [], large: false, slow: AT_ONCE },
  // The second sleep of the sequence is new, and reads steps; the other sleep is known.
  {
    part: { do: 'all', parts: [SLEEP, { do: 'seq', parts: [BOTH, SLEEP, SLEEP] }] },
    moves: [{ signal: 'a' }, { signal: 'b' }],
    large: true,
    slow: AT_ONCE,
  },
  // The first sleep blocks the handler while its report is under way, and the second one begins after it.
  {
    part: {
      do: 'all',
      parts: [{ do: 'seq', parts: [{ do: 'race', parts: [SLEEP, { do: 'report' }] }, SLEEP] }, SLEEP],
    },
    moves: [],
    large: false,
    slow: AT_ONCE,
  },
];

const START_AT = 1_700_000_000_000;
/** Unit of time, ms: longer than all calls of a run together. */
const UNIT_MS = 60_000;
/** Longer than all calls between two rests, ms; that of all durations together is shorter than half a unit. */
const SHIFT_MS = 800;
/**
 * Their sums differ, and none is a whole number of units: so no wait ends at the time of a move, even if it began with an
 * earlier one, and the order of ends does not depend on latency.
 */
const DURATIONS = [1, 2, 4, 8, 16].map((units) => units * (UNIT_MS + SHIFT_MS));

/** Number of durations that a program needs. */
function durationsOf(node: Part): number {
  if ('parts' in node) return node.parts.reduce((sum, each) => sum + durationsOf(each), 0);
  return node.do === 'sleep' || ('times' in node && node.times) ? 1 : 0;
}

const isCall = (node: Part): boolean =>
  'parts' in node ? node.parts.some(isCall) : ['step', 'report'].includes(node.do);

/** Whether branches side by side call the store: then the order of its answers decides, for users as well. */
const racesCalls = (node: Part): boolean =>
  'parts' in node && ((node.do !== 'seq' && node.parts.filter(isCall).length > 1) || node.parts.some(racesCalls));

/** Plays a program. Returns the results of all runs of the handler that came to an end, and what was missed. */
async function played({ part: whole, moves: script, large, slow }: Program, isSlow: boolean): Promise<unknown> {
  const scheduler = new Scheduler(START_AT);
  const server = new SimulatedServer({ scheduler, partitions: 1 });
  const own = new SimulatedProcess('p', scheduler, { seed: 1, clockOffsetMs: 0.25 - START_AT });
  const connection = new SimulatedConnection({ scheduler, server, process: own, latencyMs: 0, callTimeoutMs: 5_000 });
  if (isSlow)
    for (const on of ['wait', 'step', 'progress', 'any'] as const)
      for (const byMs of slow[on]) connection.plan.add({ on, fault: { kind: 'slow', byMs }, count: 1 });
  const a = app({ backend: connection.backend, clock: own, ids: seededUuids('latency') });
  /** The channels of the waits that the last run of the handler has begun. */
  let waiting: { readonly channels: readonly string[] }[] = [];

  const handler = async (context: TaskContext): Promise<unknown> => {
    const durations = [...DURATIONS];
    const mine: typeof waiting = [];
    waiting = mine;
    const during = async <T>(channels: readonly string[], wait: Promise<T>): Promise<T> => {
      const entry = { channels };
      mine.push(entry);
      const value = await wait;
      mine.splice(mine.indexOf(entry), 1);
      return value;
    };
    // Durations are dealt before the handler begins, so that they do not depend on the order of its branches.
    const dealt = new Map<Part, number | undefined>();
    const deal = (node: Part): void => {
      if ('parts' in node) node.parts.forEach(deal);
      else if (node.do === 'sleep' || ('times' in node && node.times)) dealt.set(node, durations.shift());
    };
    deal(whole);
    const does = async (node: Part): Promise<unknown> => {
      const timeout = dealt.get(node);
      const options = { ...(timeout !== undefined && { timeout }), onTimeout: 'value' } as const;
      switch (node.do) {
        case 'sleep':
          await during([''], context.sleep(timeout as number));
          return 'slept';
        case 'wait':
          return (await during([node.channel], context.waitFor<string>(node.channel, options)))?.trim() ?? null;
        case 'several': {
          const condition = { all: all('a', 'b'), any: any('a', 'b'), count: count(2, ['a', 'b']) }[node.kind];
          const signals = await during(['a', 'b'], context.waitFor<string>(condition, options));
          return signals?.map(({ payload }) => payload.trim()) ?? null;
        }
        case 'approval':
          return (await during(['ok'], context.approval('ok'))).decisions.map(({ by }) => by);
        case 'report':
          await context.progress(50);
          return 'reported';
        case 'step':
          return context.step(`step ${stepNames.get(node)}`, async () => {
            if (node.ms > 0) await own.sleep(node.ms);
            return 'done';
          });
        case 'seq': {
          const values: unknown[] = [];
          for (const each of node.parts) values.push(await does(each));
          return values;
        }
        case 'all':
          return Promise.all(node.parts.map(does));
        case 'race':
          return Promise.race(node.parts.map(async (each, index) => [index, await does(each)]));
      }
    };
    return does(whole);
  };
  const stepNames = new Map<Part, number>();
  const name = (node: Part): void => {
    if (node.do === 'step') stepNames.set(node, stepNames.size);
    if ('parts' in node) node.parts.forEach(name);
  };
  name(whole);

  const task = a.task('t', { retry: { failures: 0 } }, handler);
  const pass = (ms: number): Promise<void> => scheduler.advanceTo(scheduler.now() + ms);
  const answer = async <T>(promise: Promise<T>): Promise<T> => {
    let settled: { value: T } | undefined;
    promise.then(
      (value) => (settled = { value }),
      () => undefined,
    );
    for (let waits = 0; settled === undefined && waits < 1_000; waits++) await pass(10);
    if (settled === undefined) return promise;
    return settled.value;
  };
  const missed: unknown[] = [];
  /** Compares the waits that the handler has begun with those that its run is suspended on. */
  const look = async (): Promise<void> => {
    const suspension = await server.store.describeSuspension({ executionId: run.id });
    if ((await state()) !== 'suspended') return;
    const channels = suspension?.waitpoints.map(({ waitpointKey }) => keyOf(waitpointKey)?.channel);
    const stored = channels?.map((channel) => (channel === SLEEP_ALONE ? '' : channel));
    const begun = waiting.flatMap(({ channels }) => channels);
    if (JSON.stringify(stored?.sort()) !== JSON.stringify([...begun].sort())) missed.push({ begun, stored });
  };
  const state = async () => (await server.store.readExecutionInfo({ executionId: run.id }))?.publicState;

  await answer(a.worker({ slots: 1, sweepInterval: 10_000 }));
  const run = await answer(task.run(undefined));
  // Between two moves everything comes to rest, at the middle of a unit, where no wait ends.
  await pass(UNIT_MS / 2);
  await look();
  const sends: Record<Channel | 'ok', number> = { a: 0, b: 0, ok: 0 };
  const send = async (signal: Channel | 'ok'): Promise<void> => {
    const nth = `${signal}${sends[signal]++}`;
    if ((await state()) !== 'completed')
      await answer(
        signal === 'ok' ? run.approve('ok', { by: nth }) : run.signal(signal, large ? nth.padEnd(40_000) : nth),
      );
    const now = scheduler.now() - START_AT;
    await pass(Math.ceil(now / UNIT_MS) * UNIT_MS + UNIT_MS / 2 - now);
    await look();
  };
  for (const move of script) {
    if ('signal' in move) await send(move.signal);
    else {
      await pass(move.units * UNIT_MS);
      await look();
    }
  }
  for (let units = 0; units < 35 && (await state()) !== 'completed'; units++) await pass(UNIT_MS);
  for (let round = 0; round < 12 && (await state()) !== 'completed'; round++)
    for (const signal of ['a', 'b', 'ok'] as const) await send(signal);
  const ended = (await state()) === 'completed' ? await answer(run.result()) : await state();
  own.kill();
  return { ended, missed };
}

describe('waits on a store that answers late', () => {
  it('are suspended together and end as on a store that answers at once', async () => {
    await fc.assert(
      fc.asyncProperty(program, async (each) => {
        fc.pre(durationsOf(each.part) <= DURATIONS.length && !racesCalls(each.part));
        const late = await played(each, true);
        expect(late).toEqual({ ...((await played(each, false)) as object), missed: [] });
      }),
      { numRuns: 15, endOnFailure: true, examples: FOUND.map((each) => [each]) },
    );
  });
});
