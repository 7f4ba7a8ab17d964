/**
 * For any input of a caller, both backends answer with the same typed error, write nothing, neither crash nor hang, and
 * put no secret into a message. Odd but valid input must work alike on both.
 */
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EngineError } from '../model/errors.js';
import { encodeHandle, type BackendLabel } from '../model/handle.js';
import { OPERATIONS, QUERIES, type Command, type OperationName, type QueryName } from '../model/machine.js';
import { meaningOfCode } from '../model/vocabulary/errors.js';
import { memory } from '../src/memory/index.js';
import type { CanonicalState } from '../src/testing/canonical/index.js';
import { testEngine, type TestEngine } from '../src/testing/index.js';
import { sharedValkey } from '../test/support/valkey/index.js';
import { FENCE, idOf, PARTITION, RUNNING, SECRET, SUSPENDED, SUSPENDER, text, uuid } from './actions/example.js';
import { EXAMPLES } from './actions/index.js';
import type { AnyCall } from './any-call.js';
import { revealed } from './plain.js';
import { fuzzEnvironment } from './environment.js';
import { pathsOf, spoil, spoiling, type Spoiling } from './spoil.js';

const { seed } = fuzzEnvironment(0);
const LIMIT_MS = 10_000;
/** Tries for every member of the arguments of an operation. */
const RUNS_PER_MEMBER = Number(process.env['FUZZ_BAD_INPUT'] ?? 2);
/** Longest message of an error. */
const MAX_MESSAGE = 1_000;

let engines: readonly { label: BackendLabel; engine: TestEngine }[];

/** The same small world on both backends: one running execution, one ready, one delayed, one cancelled. */
async function populate({ backend }: TestEngine): Promise<void> {
  const base = { namespace: 'n', laneId: 'lane', executionKind: 'k', creatorIdentity: 'c' };
  await backend.createExecution({ ...base, executionId: RUNNING, inputPayload: text(SECRET), tags: { 'a.b': SECRET } });
  await backend.claimForWorker({
    partition: PARTITION,
    laneId: 'lane',
    workerId: 'w',
    workerInstanceId: 'w-1',
    claims: [{ leaseId: FENCE.leaseId, attemptId: FENCE.attemptId }],
  });
  await backend.createExecution({
    ...base,
    executionId: idOf(2),
    policy: { routingRequirements: { requiredCapabilities: [SECRET] } },
  });
  await backend.createExecution({ ...base, executionId: idOf(3), delayUntil: 1_800_000_000_000 });
  await backend.createExecution({ ...base, executionId: idOf(4) });
  await backend.cancelExecution({ executionId: idOf(4), reason: 'r', source: 'operator_override' });
  await backend.createExecution({ ...base, laneId: 'waits', executionId: SUSPENDED });
  await backend.claimForWorker({
    partition: PARTITION,
    laneId: 'waits',
    workerId: 'w',
    workerInstanceId: 'w-1',
    claims: [{ leaseId: uuid(105), attemptId: uuid(205) }],
  });
  await backend.suspendExecution({ ...EXAMPLES.suspendExecution, executionId: SUSPENDED, fence: SUSPENDER } as never);
  await backend.createQuotaPolicy(EXAMPLES.createQuotaPolicy as never);
  await backend.createBudget(EXAMPLES.createBudget as never);
}

const NAMES = [...Object.keys(OPERATIONS), ...Object.keys(QUERIES)] as (OperationName | QueryName)[];
const FOREIGN = ['handle', '__proto__', 'toString'];

type Answer =
  | { readonly ok: true; readonly outcome: unknown }
  | { readonly ok: false; readonly code: string; readonly detail: unknown; readonly message: string };

/** The answer to a call: an outcome or a typed error, in time. Throws otherwise. */
async function answerOf(call: () => Promise<unknown>): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${LIMIT_MS} ms`)), LIMIT_MS);
  });
  try {
    return { ok: true, outcome: await Promise.race([call(), late]) };
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    return { ok: false, code: error.code, detail: error.detail, message: error.message };
  } finally {
    clearTimeout(timer);
  }
}

/** The state of both backends since the last call that may have changed it; undefined when it must be read again. */
let stored: readonly CanonicalState[] | undefined;

const readStored = (): Promise<CanonicalState[]> =>
  Promise.all(engines.map(({ engine }) => engine.canonicalState(PARTITION)));

/** Asks both backends, checks the rules, and returns their answers. */
async function bothAnswer(call: (engine: TestEngine) => Promise<unknown>): Promise<Answer> {
  const before = stored ?? (await readStored());
  stored = undefined;
  const [memory, valkey] = (await Promise.all(engines.map(({ engine }) => answerOf(() => call(engine))))) as [
    Answer,
    Answer,
  ];
  expect(revealed(valkey.ok ? valkey : { ...valkey, message: '' })).toEqual(
    revealed(memory.ok ? memory : { ...memory, message: '' }),
  );
  for (const answer of [memory, valkey]) {
    if (answer.ok) continue;
    expect(answer.message).not.toContain(SECRET);
    expect(answer.message.length).toBeLessThan(MAX_MESSAGE);
    expect(answer.code).not.toBe('function_failed');
  }
  const after = await readStored();
  // An unchanged state is equal on both, which was checked before.
  const isUnchanged = isDeepStrictEqual(after, before);
  if (!memory.ok) expect(isUnchanged, 'a refusal writes nothing').toBe(true);
  if (!isUnchanged) expect(revealed(after[1])).toEqual(revealed(after[0]));
  stored = after;
  return memory;
}

async function reset(): Promise<void> {
  for (const { engine } of engines) {
    await engine.clear();
    await populate(engine);
  }
  stored = await readStored();
  expect(revealed(stored[1])).toEqual(revealed(stored[0]));
}

beforeAll(async () => {
  const { url } = await sharedValkey();
  engines = [
    { label: 'memory', engine: await testEngine() },
    { label: 'valkey', engine: await testEngine({ backend: { url } }) },
  ];
  await reset();
});
afterAll(() => Promise.all((engines ?? []).map(({ engine }) => engine.close())));

test('every example is valid', async () => {
  for (const name of NAMES) {
    const answer = await bothAnswer(({ backend }) => (backend as AnyCall)[name](EXAMPLES[name] as never));
    // Valid arguments can come at the wrong time or name something unknown, and no token is correct before it was read.
    if (!answer.ok && !['invalid_token', 'hmac_secret_not_initialized', 'invalid_dependency'].includes(answer.code))
      expect(['state', 'contention', 'not_found'], `${name}: ${answer.code}`).toContain(
        meaningOfCode(answer.code)?.family,
      );
    if (answer.ok) await reset();
  }
});

test.each(NAMES)(`%s refuses spoilt arguments alike everywhere (FUZZ_SEED=${seed})`, async (name) => {
  await reset();
  await fc.assert(
    fc.asyncProperty(fc.array(spoiling, { minLength: 1, maxLength: 2 }), async (spoilings: Spoiling[]) => {
      const { args, what } = spoil(EXAMPLES[name], spoilings, FOREIGN);
      const answer = await bothAnswer(({ backend }) => (backend as AnyCall)[name](args as never)).catch(
        (error: unknown) => {
          throw new Error(`${name} where ${what}: ${error instanceof Error ? error.message : String(error)}`, {
            cause: error,
          });
        },
      );
      // Odd but valid input changed something: start again.
      if (answer.ok && name in OPERATIONS) await reset();
    }),
    { seed, numRuns: RUNS_PER_MEMBER * pathsOf(EXAMPLES[name]).length },
  );
});

test('arguments that are not objects are refused', async () => {
  await reset();
  for (const args of [null, undefined, 5, 'text', [], new Date(0), () => 1]) {
    for (const name of NAMES) {
      for (const { engine } of engines) {
        const answer = await answerOf(() => (engine.backend as AnyCall)[name](args as never));
        expect(answer, name).toMatchObject({ ok: false, code: 'invalid_input' });
      }
    }
  }
  expect(revealed(await readStored()), 'a refusal writes nothing').toEqual(revealed(stored));
});

const RENEW_LIKE = [
  'renewLease',
  'beginAttempt',
  'releaseLease',
  'completeExecution',
  'failExecution',
  'delayExecution',
  'updateProgress',
  'cancelExecution',
] as const;

test('damaged handles are corruption, foreign ones are named', async () => {
  const handleFrom = (backend: BackendLabel): string =>
    encodeHandle({
      backend,
      kind: 'fresh',
      executionId: RUNNING,
      attemptIndex: 0,
      ...FENCE,
      leaseTtlMs: 5_000,
      laneId: 'lane',
      workerInstanceId: 'w-1',
    });
  const foreign = { memory: handleFrom('valkey'), embedded: handleFrom('memory'), valkey: handleFrom('memory') };
  const own = handleFrom('memory');
  for (const name of RENEW_LIKE) {
    for (const { label, engine } of engines) {
      const answer = await answerOf(() =>
        (engine.backend as AnyCall)[name]({ ...EXAMPLES[name], handle: foreign[label] } as never),
      );
      expect(answer).toMatchObject({ ok: false, code: 'handle_from_other_backend', detail: { expected: label } });
    }
  }
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...RENEW_LIKE),
      fc.oneof(
        fc.nat(own.length - 1).map((at) => own.slice(0, at)),
        fc
          .tuple(fc.nat(own.length - 1), fc.constantFrom('A', '.', ' ', 'é'))
          .filter(([at, letter]) => own[at] !== letter)
          .map(([at, letter]) => own.slice(0, at) + letter + own.slice(at + 1)),
        fc.string(),
        fc.constantFrom<unknown>(5, {}, [], null, true, `h1..${'a'.repeat(8)}`, `${own}.`, own.toUpperCase()),
      ),
      async (name, handle) => {
        const answer = await bothAnswer(({ backend }) =>
          (backend as AnyCall)[name]({ ...EXAMPLES[name], handle } as never),
        );
        expect(answer).toMatchObject({ ok: false, code: 'corruption' });
      },
    ),
    { seed, numRuns: 80 },
  );
});

test('a batch is refused whole', async () => {
  await reset();
  const good: Command = {
    name: 'cancelExecution',
    args: { executionId: idOf(2), reason: 'r', source: 'operator_override' },
  };
  const elsewhere: Command = { name: 'promoteDelayed', args: { executionId: `{fp:1}:${uuid(1)}` } };
  const bad: unknown[] = [
    null,
    'commands',
    {},
    [],
    [null],
    [good, null],
    [good, { name: 'constructor', args: {} }],
    [good, { name: '__proto__', args: {} }],
    [good, { name: 'describeExecution', args: { executionId: RUNNING } }],
    [good, { name: 'cancelExecution' }],
    [good, { name: 'cancelExecution', args: { executionId: 'no id', reason: '' } }],
    [good, elsewhere],
    Array.from({ length: 1_001 }, () => good),
  ];
  for (const commands of bad) {
    const answer = await bothAnswer(({ backend }) => backend.execute(commands as never));
    expect(answer).toMatchObject({ ok: false, code: 'invalid_input' });
  }
  const answer = await bothAnswer(({ backend }) => backend.execute([elsewhere]));
  expect(answer).toMatchObject({ ok: false, code: 'invalid_input', detail: { field: 'partition' } });
});

test('pages of lanes refuse invalid limits and cursors', async () => {
  for (const page of [
    { limit: -1 },
    { limit: 1.5 },
    { limit: Number.NaN },
    { limit: 1_001 },
    { limit: '5' },
    { cursor: 5 },
    { cursor: {} },
    null,
    5,
  ]) {
    const answer = await bothAnswer(({ backend }) => backend.listLanes(page as never));
    expect(answer).toMatchObject({ ok: false, code: 'invalid_input' });
  }
});

test('invalid listeners and their arguments are refused by name', async () => {
  const listen = (): void => undefined;
  for (const { engine } of engines) {
    const { backend } = engine;
    const calls: [string, () => unknown][] = [
      ...[null, undefined, 'lane', [5], {}].map((lanes): [string, () => unknown] => [
        'lanes',
        () => backend.onWake(lanes as never, listen),
      ]),
      ['listener', () => backend.onWake([], undefined as never)],
      ['capabilities', () => backend.onWake([], listen, 'gpu' as never)],
      ...['started', '__proto__', undefined, {}].map((kind): [string, () => unknown] => [
        'kind',
        () => backend.onAnnouncement(kind as never, listen),
      ]),
      ['listener', () => backend.onAnnouncement('ended', 5 as never)],
      ['listener', () => backend.onFrames(RUNNING, null as never)],
      ...[null, undefined, 5, []].map((changes): [string, () => unknown] => [
        'changes',
        () => backend.configureDeployment(changes as never),
      ]),
    ];
    for (const [field, call] of calls)
      await expect((async () => call())()).rejects.toMatchObject({ code: 'invalid_input', detail: { field } });
  }
});

test('a memory backend refuses invalid options by name', () => {
  for (const partitions of [{ count: 0 }, { count: 1.5 }, { count: Number.NaN }, { placement: 'elsewhere' }]) {
    expect(() => memory({ partitions: partitions as never })).toThrowError(/invalid_input: partitions\./);
  }
});

test('nothing was added to the prototype of objects', () => {
  expect((Object.prototype as unknown as Record<string, unknown>)['polluted']).toBeUndefined();
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
});
