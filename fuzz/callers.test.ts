/**
 * Concurrent callers: several callers send batches in one turn of the event loop, through one backend on a real server.
 * Their commands travel together, but must behave as if they did not: some order of all commands, which keeps each
 * caller's own order, gives the same answers on a backend with a single caller, and every answer reaches its caller.
 * On a server whose memory is full, or becomes full meanwhile, the same holds without the creations that it refused,
 * and of these nothing is left.
 */
import { isDeepStrictEqual } from 'node:util';
import { Valkey } from 'iovalkey';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isKnown } from '../model/events.js';
import type { Command, CommandResult, LoggedEvent } from '../src/engine/index.js';
import { seededUuids, testEngine, type TestEngine } from '../src/testing/index.js';
import { startValkey, type ValkeyServer } from '../test/support/valkey/index.js';
import { fuzzEnvironment } from './environment.js';

const START_AT = 1_700_000_000_000;
const LANE = 'lane';
const PARTITION = '{fp:0}';
/** Executions that exist before: some wait, some are owned. */
const WAITING = 3;
const HELD = 3;

const environment = fuzzEnvironment(8);

let alone: TestEngine;
let server: TestEngine;
/** A server of its own, because its memory is made full. */
let valkey: ValkeyServer;
let admin: Valkey;
beforeAll(async () => {
  alone = await testEngine({ startAt: START_AT });
  valkey = await startValkey();
  admin = new Valkey(valkey.url);
  server = await testEngine({ startAt: START_AT, backend: { url: valkey.url } });
});
afterAll(async () => {
  await alone.close();
  await server.close();
  admin.disconnect();
  await valkey.stop();
});

/** When the memory of the server is full while the callers wait for their answers: from some moment on, or up to one. */
type Full = 'never' | 'always' | 'later' | 'first';

/** A caller's command, by choice: everything that it names follows from small numbers. */
interface Intent {
  readonly do:
    | 'create'
    | 'create_with_key'
    | 'claim'
    | 'complete'
    | 'fail'
    | 'renew'
    | 'cancel'
    | 'release'
    | 'create_and_cancel';
  readonly which: number;
  readonly count: number;
}

const intent: fc.Arbitrary<Intent> = fc.record({
  do: fc.constantFrom(
    'create',
    'create_with_key',
    'claim',
    'claim',
    'claim',
    'release',
    'complete',
    'fail',
    'renew',
    'cancel',
    'release',
    'create_and_cancel',
  ),
  which: fc.nat({ max: 5 }),
  count: fc.integer({ min: 1, max: 3 }),
});
/** One batch per caller. Calls that one function makes without awaiting count as separate callers. */
const callers = fc.array(fc.array(intent, { minLength: 1, maxLength: 2 }), { minLength: 2, maxLength: 5 });

const uuidOf = (kind: string, which: number): string => seededUuids(`${kind}-${which}`)();
const idOf = (kind: string, which: number): string => `${PARTITION}:${uuidOf(kind, which)}`;
/** In the order of claims, because all have the same age. */
const heldIds = Array.from({ length: HELD }, (_, which) => idOf('held', which)).sort();
const leaseOf = (which: number) => ({ leaseId: uuidOf('lease', which), attemptId: uuidOf('attempt', which) });

const creation = (executionId: string, more: object = {}): Command => ({
  name: 'createExecution',
  args: { executionId, namespace: 'n', laneId: LANE, executionKind: 'k', creatorIdentity: 'c', ...more },
});
const claim = (worker: string, claims: readonly { leaseId: string; attemptId: string }[]): Command => ({
  name: 'claimForWorker',
  args: { partition: PARTITION, laneId: LANE, workerId: 'w', workerInstanceId: worker, claims: [...claims] },
});

/** The same preparation on both sides. */
const before: readonly Command[] = [
  ...heldIds.map((executionId) => creation(executionId)),
  claim(
    'holder',
    Array.from({ length: HELD }, (_, which) => leaseOf(which)),
  ),
  ...Array.from({ length: WAITING }, (_, which) => creation(idOf('waiting', which))),
];

/** The commands of an intent; `place` makes the ids of a caller its own. */
function commandsOf({ do: what, which, count }: Intent, caller: number, place: string): Command[] {
  const held = which % HELD;
  const executionId = heldIds[held] as string;
  const fence = { ...leaseOf(held), leaseEpoch: 1 };
  const own = idOf(`new-${caller}-${place}`, which);
  switch (what) {
    case 'create':
      return [creation(own, { priority: which })];
    case 'create_with_key':
      return [creation(own, { idempotencyKey: `key-${which % 2}` })];
    case 'create_and_cancel':
      return [
        creation(own),
        { name: 'cancelExecution', args: { executionId: own, reason: 'r', source: 'operator_override' } },
      ];
    case 'claim':
      return [
        claim(
          `worker-${caller % 2}`,
          Array.from({ length: count }, (_, index) => leaseOf(1_000 + hash(`${caller} ${place} ${index}`))),
        ),
      ];
    case 'complete':
      return [
        {
          name: 'completeExecution',
          args: { executionId, fence, resultPayload: Buffer.from(`${caller}`), resultEncoding: 'bytes' },
        },
      ];
    case 'fail':
      return [
        {
          name: 'failExecution',
          args: { executionId, fence, failureReason: `of ${caller}`, failureCategory: 'c', failureClass: 'transient' },
        },
      ];
    case 'renew':
      return [{ name: 'renewLease', args: { executionId, fence, leaseTtlMs: 10_000 + caller } }];
    case 'release':
      return [{ name: 'releaseLease', args: { executionId, fence } }];
    case 'cancel':
      return [
        {
          name: 'cancelExecution',
          args: {
            executionId: which % 2 === 0 ? executionId : idOf('waiting', which % WAITING),
            reason: `of ${caller}`,
            source: 'operator_override',
          },
        },
      ];
  }
}

/** A number that differs for different texts, well enough for a test. */
const hash = (text: string): number =>
  [...text].reduce((sum, character) => (sum * 31 + character.charCodeAt(0)) % 1_000_003, 7);

/** The comparable part of an answer: bytes are equal in any class. */
const plain = (result: CommandResult | undefined): unknown =>
  withoutClasses(result?.ok === false ? { code: result.error.code, detail: result.error.detail } : result);

function withoutClasses(value: unknown): unknown {
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('hex')}`;
  if (Array.isArray(value)) return value.map(withoutClasses);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(([key, member]) => [key, withoutClasses(member)]),
  );
}

interface Sequence {
  readonly commands: readonly Command[];
  readonly answers: readonly unknown[];
  /** Positions of commands according to the log; absent where the log does not show them. */
  readonly ranks: readonly (number | undefined)[];
}

/**
 * An order of all commands that keeps each caller's own order and gives the same answers to a single caller; undefined
 * if there is none. The log gives the order of the commands that it can tell apart; positions of the others are
 * searched for.
 */
async function orderOf(sequences: readonly Sequence[]): Promise<number[] | undefined> {
  let left = MAX_TRIES;
  const search = async (order: readonly number[], places: readonly number[]): Promise<number[] | undefined> => {
    if (places.every((place, caller) => place === sequences[caller]?.commands.length)) return [...order];
    const ahead = sequences.flatMap(({ ranks }, caller) => ranks.slice(places[caller]));
    const first = Math.min(...ahead.filter((rank) => rank !== undefined));
    for (const [caller, { commands, answers, ranks }] of sequences.entries()) {
      const place = places[caller] as number;
      const command = commands[place];
      if (command === undefined || (ranks[place] ?? first) !== first || left-- <= 0) continue;
      if (!isDeepStrictEqual(await answerAfter(order, command), answers[place])) continue;
      const found = await search([...order, caller], places.with(caller, place + 1));
      if (found !== undefined) return found;
    }
    return undefined;
  };
  /** The answer to the command after the commands of this order. */
  const answerAfter = async (order: readonly number[], command: Command): Promise<unknown> => {
    await alone.clear();
    const sent = sequences.map(({ commands }) => commands.values());
    const prefix = order.map((caller) => sent[caller]?.next().value as Command);
    const results = await alone.backend.execute([...before, ...prefix, command]);
    return plain(results.at(-1));
  };
  const found = await search(
    [],
    sequences.map(() => 0),
  );
  if (found === undefined && left <= 0)
    throw new Error(`No order found in ${MAX_TRIES} tries; make the batches smaller.`);
  return found;
}

/** Positions of events with new ids. Other events can be repeats of each other, so the log cannot tell. */
function rankOf(command: Command, result: CommandResult, log: readonly LoggedEvent[]): number | undefined {
  if (!result.ok) return undefined;
  const isOf = ({ event }: LoggedEvent): boolean =>
    command.name === 'claimForWorker'
      ? 'leaseId' in event && command.args.claims.some(({ leaseId }) => leaseId === event.leaseId)
      : command.name === 'createExecution' &&
        event.type === 'execution_created' &&
        event.executionId === command.args.executionId;
  return log.find(isOf)?.sequence;
}

const MAX_TRIES = 5_000;
/** Longest time for shrinking one failure, ms. */
const SHRINK_LIMIT_MS = 30_000;

/** Makes the memory of the server full, or not. */
const fill = (isFull: boolean): Promise<unknown> => admin.config('SET', 'maxmemory', isFull ? '1' : '0');

async function play(batches: readonly (readonly Intent[])[], full: Full = 'never'): Promise<Sequence[]> {
  // It is full still if the last run ended early.
  await fill(false);
  await server.clear();
  await server.backend.execute([...before]);
  const { next } = await server.backend.readLog({ partition: PARTITION, limit: 1_000 });
  const sent = batches.map((batch, caller) =>
    batch.flatMap((each, position) => commandsOf(each, caller, String(position))),
  );
  if (full === 'always' || full === 'first') await fill(true);
  // All commands in one turn.
  const answering = sent.map((commands) => server.backend.execute(commands) as Promise<CommandResult[]>);
  if (full === 'later') await fill(true);
  if (full === 'first') await fill(false);
  const answered = await Promise.all(answering);
  if (full !== 'never') await fill(false);
  const { events } = await server.backend.readLog({ partition: PARTITION, after: next, limit: 1_000 });
  const known = events.filter(isKnown);
  return sent.map((commands, caller) => ({
    commands,
    answers: (answered[caller] ?? []).map(plain),
    ranks: commands.map((command, index) => rankOf(command, answered[caller]?.[index] as CommandResult, known)),
  }));
}

/** Runs per seed. */
const PER_SEED = 20;

/** Searches for a run of these callers that breaks the property, until the time is over. */
async function search<Run>(
  runs: fc.Arbitrary<Run>,
  holds: (run: Run) => Promise<void>,
  timeMs: number,
): Promise<number> {
  const startedAt = performance.now();
  let count = 0;
  for (let seed = environment.seed; count < environment.runs && performance.now() - startedAt < timeMs; seed++) {
    const details = await fc.check(fc.asyncProperty(runs, holds), {
      seed,
      numRuns: PER_SEED,
      interruptAfterTimeLimit: SHRINK_LIMIT_MS,
      ...(environment.path === undefined ? {} : { path: environment.path }),
    });
    count += PER_SEED;
    expect(
      details.counterexample !== null
        ? `FUZZ_SEED=${seed}\n${fc.defaultReportMessage(details)}\n${String(details.errorInstance)}`
        : '',
    ).toBe('');
    if (environment.path !== undefined) break;
  }
  return count;
}

const TIMEOUT_MS = Number.isFinite(environment.timeMs) ? environment.timeMs + 120_000 : 3_600_000;

/** The order in which the callers can have been alone. @throws Error if there is none */
async function explained(sequences: readonly Sequence[]): Promise<number[]> {
  const order = await orderOf(sequences);
  if (order === undefined) throw new Error(`No order explains ${JSON.stringify(sequences, undefined, 1)}`);
  return order;
}

test(
  `concurrent calls have the effects of calls made one after another (FUZZ_SEED=${environment.seed})`,
  async () => {
    const runs = await search(
      callers,
      async (batches) => {
        const sequences = await play(batches);
        for (const { commands, answers } of sequences) expect(answers.length).toBe(commands.length);
        await explained(sequences);
      },
      environment.timeMs,
    );
    console.log(`callers at once: FUZZ_SEED=${environment.seed}, ${runs} runs`);
  },
  TIMEOUT_MS,
);

const isRefused = (answer: unknown): boolean => (answer as { code?: string }).code === 'server_memory_full';

/** The sequence without the creations that a full server refused. */
function withoutRefused({ commands, answers, ranks }: Sequence): Sequence {
  const kept = <Value>(values: readonly Value[]): Value[] => values.filter((_, index) => !isRefused(answers[index]));
  return { commands: kept(commands), answers: kept(answers), ranks: kept(ranks) };
}

/**
 * Types and executions of the logged events, in an order that does not depend on that of the commands. Reasons are left
 * out: if two callers report a failure, either can have been the first.
 */
async function eventsOf({ backend }: TestEngine): Promise<string[]> {
  const { events } = await backend.readLog({ partition: PARTITION, limit: 1_000 });
  return events.map(({ event }) => `${event.type} ${'executionId' in event ? event.executionId : ''}`).sort();
}

/** Refused creations have stored nothing, and the rest of the state is that of a single caller. */
async function isWhole(sequences: readonly Sequence[], order: readonly number[]): Promise<void> {
  await alone.clear();
  const sent = sequences.map(({ commands }) => commands.values());
  await alone.backend.execute([...before, ...order.map((caller) => sent[caller]?.next().value as Command)]);
  expect(await eventsOf(server)).toEqual(await eventsOf(alone));
  const [found, expected] = await Promise.all([server.canonicalState(PARTITION), alone.canonicalState(PARTITION)]);
  expect({ ids: found.ids, strays: found.strays, inputs: found.inputs }).toEqual({
    ids: expected.ids,
    strays: [],
    inputs: expected.inputs,
  });
  const { findings, setAside } = await server.backend.verifyPartition({ partition: PARTITION });
  expect([...findings, ...setAside]).toEqual([]);
}

test(
  `a full server refuses creations only, also in calls that several callers share (FUZZ_SEED=${environment.seed})`,
  async () => {
    const when = fc.constantFrom<Full>('always', 'later', 'first');
    let refused = 0;
    const runs = await search(
      fc.tuple(when, callers),
      async ([full, batches]) => {
        const sequences = await play(batches, full);
        const all = sequences.flatMap(({ commands, answers }) =>
          commands.map(({ name }, index) => ({
            isCreation: name === 'createExecution',
            is: isRefused(answers[index]),
          })),
        );
        expect(all.filter(({ isCreation, is }) => is && !isCreation)).toEqual([]);
        if (full === 'always') expect(all.filter(({ isCreation, is }) => isCreation && !is)).toEqual([]);
        refused += all.filter(({ is }) => is).length;
        const accepted = sequences.map(withoutRefused);
        await isWhole(accepted, await explained(accepted));
      },
      environment.timeMs / 2,
    );
    expect(refused).toBeGreaterThan(0);
    console.log(`callers at a full server: FUZZ_SEED=${environment.seed}, ${runs} runs, ${refused} refused`);
  },
  TIMEOUT_MS,
);

test('a refusal reaches its own caller only', async () => {
  const sequences = await play([
    [{ do: 'complete', which: 0, count: 1 }],
    [{ do: 'cancel', which: 0, count: 1 }],
    [{ do: 'create', which: 1, count: 1 }],
  ]);
  const [first, second, third] = sequences.map(({ answers }) => answers[0] as Record<string, unknown>);
  expect(first).toMatchObject({ ok: true, outcome: { kind: 'completed' } });
  expect(second).toMatchObject({ code: 'execution_not_active' });
  expect(third).toMatchObject({ ok: true, outcome: { kind: 'created' } });
});
