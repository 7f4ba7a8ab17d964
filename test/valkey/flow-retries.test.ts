/**
 * A flow or a member that was set aside, repaired and retried: it does what was left for it and nothing before its time,
 * so no work that has not run is purged or cancelled.
 */
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { COUNTED_FLOW, FIELDS, KEYS, RECORDS, SUFFIXES } from '../../lua/layout.js';
import { SITUATIONS } from '../../model/execution/situation.js';
import { memberOf } from '../../model/ids.js';
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import {
  claimAll,
  coreOf,
  keyOf,
  LANE,
  PARTITION,
  populatedWorld,
  RETENTION_MS,
  type SmallWorld,
} from './small-world.js';

const worldNow = populatedWorld<never>(() => Promise.resolve([]));
let world: SmallWorld<never>;
beforeAll(() => void (world = worldNow()));
beforeEach(() => world.reset());

interface Shape {
  /** Of the flow. */
  readonly building?: boolean;
  readonly closed?: boolean;
  /** Further facts of members, by letter. */
  readonly more?: Readonly<Record<string, object>>;
  /** Pairs of letters. */
  readonly edges?: readonly string[];
  /** A member of which one upstream is enough; the others are then cancelled. */
  readonly judge?: string;
}

/** A flow whose members, named by letters, have these as their kinds. */
async function flowOf(letters: string, { building = false, closed = false, more = {}, edges = [], judge }: Shape = {}) {
  const { engine } = world;
  const ids = new Map([...letters].map((letter) => [letter, engine.executionId()]));
  const idOf = (letter: string): string => ids.get(letter) as string;
  const flowId = engine.executionId();
  await engine.backend.createFlow({
    ...{ flowId, flowKind: 'f', namespace: 'n', building, closed },
    graph: {
      members: [...ids].map(([executionKind, executionId]) => ({
        ...{ executionId, laneId: LANE, executionKind },
        ...more[executionKind],
      })),
      edges: edges.map(([from, to]) => ({
        ...{ edgeId: engine.uuid(), upstreamExecutionId: idOf(from as string) },
        downstreamExecutionId: idOf(to as string),
      })),
      groups:
        judge === undefined
          ? []
          : [
              {
                downstreamExecutionId: idOf(judge),
                policy: { kind: 'any_of' as const, onSatisfied: 'cancel_remaining' as const },
              },
            ],
    },
  });
  return {
    flowId,
    record: keyOf((RECORDS.flow?.key ?? '') + memberOf(flowId)),
    idOf,
    core: (letter: string): string => coreOf({ executionId: idOf(letter) }),
    states: async (): Promise<string> => {
      const states = [...ids.values()].map((executionId) => engine.backend.readExecutionState({ executionId }));
      return (await Promise.all(states)).join(' ');
    },
    describe: () => engine.backend.describeFlow({ flowId }),
  };
}

/** Puts a text in the place of a key. Answers how to put it back. */
async function spoil(key: string): Promise<() => Promise<void>> {
  const { admin } = world;
  const kept = (await admin.dumpBuffer(key)) as Buffer;
  await admin.del(key);
  await admin.set(key, 'no hash');
  return async () => {
    await admin.del(key);
    await admin.restore(key, 0, kept);
  };
}

async function due(): Promise<void> {
  for (let pass = 0; pass < 4; pass++) await world.engine.backend.applyDue({ partition: PARTITION, limit: 100 });
}

/** The time passes, and what is due is done. */
async function later(ms: number): Promise<void> {
  world.engine.setTime(world.engine.now() + ms);
  await due();
}

async function setAside(): Promise<string[]> {
  const { entries } = await world.engine.backend.listQuarantined({ partition: PARTITION, limit: 100 });
  return entries.map(({ name }) => name).sort();
}

/** Retries what is set aside, of one kind or all. */
async function retry(kind = ''): Promise<void> {
  for (const name of await setAside()) {
    if (!name.startsWith(kind)) continue;
    expect(await world.engine.backend.retryQuarantined({ partition: PARTITION, name })).toMatchObject({
      kind: 'retried',
    });
  }
}

async function claim(kind: string): Promise<ClaimedExecution | undefined> {
  const answer = await world.engine.backend.claimForWorker(claimAll(world.engine, 1, [kind]));
  return answer.kind === 'claimed' ? answer.executions[0] : undefined;
}

/** Completes it, or first claims the one of a kind. */
async function complete(one: string | ClaimedExecution): Promise<void> {
  const owned = typeof one === 'string' ? await claim(one) : one;
  if (owned === undefined) throw new Error(`nothing to claim of kind ${String(one)}`);
  const { executionId, leaseId, leaseEpoch, attemptId } = owned;
  await world.engine.backend.completeExecution({ executionId, fence: { leaseId, leaseEpoch, attemptId } });
}

test('a flow that is retried before its delayed member ended does not purge it', async () => {
  const flow = await flowOf('ab', { more: { b: { delayUntil: world.engine.now() + 1_000 } } });
  const owned = (await claim('a')) as ClaimedExecution;
  const mends = [await spoil(flow.record), await spoil(flow.core('b'))];
  await complete(owned);
  await later(2_000);
  for (const mend of mends) await mend();
  await retry('flow');
  await due();
  expect(await flow.states()).toBe('completed delayed');
  await retry();
  await due();
  expect(await flow.states()).toBe('completed waiting');
  await complete('b');
  expect(await setAside()).toEqual([]);
  expect((await flow.describe())?.purgeAt).toBeDefined();
});

test('a flow that is retried long after members have ended purges none of them while others are live', async () => {
  const flow = await flowOf('abc');
  await complete('c');
  await later(3 * RETENTION_MS);
  const owned = (await claim('b')) as ClaimedExecution;
  const mend = await spoil(flow.record);
  await complete(owned);
  expect((await setAside()).length).toBe(2);
  await mend();
  await retry();
  await later(3 * RETENTION_MS);
  expect(await flow.states()).toBe('waiting completed completed');
  await complete('a');
  await later(3 * RETENTION_MS);
  await due();
  expect(await flow.describe()).toBeUndefined();
  expect(await setAside()).toEqual([]);
});

test('a flow that is retried while it is built is cancelled at its deadline, and not before', async () => {
  const flow = await flowOf('a', { building: true });
  const mend = await spoil(flow.record);
  await world.engine.backend.verifyPartition({ partition: PARTITION });
  const [name = ''] = await setAside();
  expect(await world.engine.backend.retryQuarantined({ partition: PARTITION, name })).toMatchObject({
    kind: 'still_damaged',
  });
  await mend();
  await retry();
  await due();
  expect(await flow.describe()).toMatchObject({ building: true, cancelledAt: undefined });
  const buildDeadlineAt = (await flow.describe())?.buildDeadlineAt as number;
  await later(buildDeadlineAt - world.engine.now() - 1);
  expect(await flow.describe()).toMatchObject({ building: true, cancelledAt: undefined });
  await later(1);
  expect(await flow.describe()).toMatchObject({ publicFlowState: 'cancelled', cancelReason: 'flow_build_timed_out' });
});

test('a flow whose last live member ended while the flow was unreadable ends when it is retried', async () => {
  const flow = await flowOf('ab');
  await complete('a');
  const mends = [await spoil(flow.record), await spoil(flow.core('b'))];
  await claim('b');
  await mends[1]?.();
  const name = `execution:${flow.idOf('b')}`;
  expect(await setAside()).toEqual([name]);
  expect(await world.engine.backend.dropQuarantined({ partition: PARTITION, name })).toMatchObject({ kind: 'dropped' });
  expect((await setAside()).every((each) => each.startsWith('flow:'))).toBe(true);
  await mends[0]?.();
  expect((await flow.describe())?.purgeAt).toBeUndefined();
  await retry();
  expect((await flow.describe())?.purgeAt).toBeDefined();
});

test('a member that has not ended is never purged, even if the counts of its flow lack it', async () => {
  const { admin, engine } = world;
  const { now } = engine;
  const flow = await flowOf('ab', { more: { b: { delayUntil: now() + 1_000 } } });
  const mend = await spoil(flow.core('b'));
  await later(2_000);
  await admin.del(keyOf(KEYS.counts + COUNTED_FLOW + memberOf(flow.flowId)));
  await complete('a');
  await mend();
  await later(3 * RETENTION_MS);
  expect(await flow.states()).toBe('completed delayed');
  expect((await setAside()).map((name) => name.replace(/:.*/, ''))).toEqual(['execution', 'flow']);
  await retry('execution');
  await due();
  await complete('b');
  await retry();
  await later(3 * RETENTION_MS);
  expect(await setAside()).toEqual([]);
  expect(await flow.describe()).toBeUndefined();
});

test.each(['lost', 'too low'])(
  'a flow whose counts are %s is cancelled, because they do not prove its end',
  async (how) => {
    const { admin, engine } = world;
    const flow = await flowOf('ab', { closed: true });
    const counts = keyOf(KEYS.counts + COUNTED_FLOW + memberOf(flow.flowId));
    if (how === 'lost') await admin.del(counts);
    else {
      await complete('a');
      await admin.hdel(counts, SITUATIONS.ready.letter);
    }
    const header = await engine.backend.cancelFlowHeader({ flowId: flow.flowId, reason: 'r' });
    expect(header).toMatchObject({ kind: 'cancelled', memberCount: 2 });
    await due();
    expect(await flow.states()).toBe(how === 'lost' ? 'cancelled cancelled' : 'completed cancelled');
  },
);

test('a flow that ended with a dropped member keeps its end', async () => {
  const { backend } = world.engine;
  const flow = await flowOf('ab', { closed: true });
  await complete('a');
  await spoil(flow.core('b'));
  await claim('b');
  const cancel = () => backend.cancelFlowHeader({ flowId: flow.flowId, reason: 'r' });
  const name = `execution:${flow.idOf('b')}`;
  expect(await setAside()).toEqual([name]);
  await backend.dropQuarantined({ partition: PARTITION, name });
  expect(await cancel()).toMatchObject({ kind: 'already_terminal', storedCancelReason: '' });
  expect(await flow.describe()).toMatchObject({ publicFlowState: 'completed', members: { completed: 1 } });
});

test('a flow is cancelled if a waiting member is missing from its index of members', async () => {
  const { admin, engine } = world;
  const flow = await flowOf('ab', { closed: true });
  await complete('b');
  expect(await admin.zpopmin(keyOf(KEYS.members + memberOf(flow.flowId)))).toContain(memberOf(flow.idOf('a')));
  const header = await engine.backend.cancelFlowHeader({ flowId: flow.flowId, reason: 'r' });
  expect(header).toMatchObject({ kind: 'cancelled' });
});

test('a member that was unreadable during a verification is counted once it is readable again', async () => {
  const { backend, now } = world.engine;
  const flow = await flowOf('ab', { more: { b: { delayUntil: now() + 1_000 } } });
  const mend = await spoil(flow.core('b'));
  await backend.verifyPartition({ partition: PARTITION });
  await complete('a');
  await mend();
  await retry();
  expect(await flow.describe()).toMatchObject({
    publicFlowState: 'blocked',
    members: { delayed: 1, completed: 1 },
    purgeAt: undefined,
  });
  expect(await backend.readCounts({ partition: PARTITION })).toMatchObject({
    lanes: [{ states: { completed: 1, delayed: 1 }, total: 2 }],
  });
  await later(1_000);
  await complete('b');
  expect((await flow.describe())?.purgeAt).toBeDefined();
  // Counts that are too high are corrected once nothing is in quarantine.
  const counts = keyOf(KEYS.counts + LANE);
  const { letter } = SITUATIONS.delayed;
  await world.admin.hincrby(counts, letter, 1);
  await backend.verifyPartition({ partition: PARTITION });
  expect(await world.admin.hget(counts, letter)).toBe('0');
});

test.each(['its retry', 'a verification'])(
  'a member that was unreadable when its flow was sealed starts after %s',
  async (by) => {
    const { backend } = world.engine;
    const flow = await flowOf('abc', { building: true, edges: ['ac'] });
    const mend = await spoil(flow.core('a'));
    await backend.sealFlow({ flowId: flow.flowId });
    await mend();
    expect(await flow.states()).toBe('waiting_children waiting waiting_children');
    if (by === 'its retry') await retry();
    else await backend.verifyPartition({ partition: PARTITION });
    await due();
    expect(await flow.states()).toBe('waiting waiting waiting_children');
  },
);

test('a retried member of a flow that is being built waits for the seal', async () => {
  const { backend } = world.engine;
  const flow = await flowOf('ab', { building: true });
  const mend = await spoil(flow.core('a'));
  await backend.verifyPartition({ partition: PARTITION });
  await mend();
  await retry();
  await backend.verifyPartition({ partition: PARTITION });
  expect(await flow.states()).toBe('waiting_children waiting_children');
});

test.each([
  ['cancel_all', 'cancelled cancelled cancelled'],
  ['cancel_pending', 'cancelled cancelled active'],
] as const)(
  'members that were unreadable when their flow was cancelled (%s) end when they are retried',
  async (cancellationPolicy, after) => {
    const { backend, now } = world.engine;
    const flow = await flowOf('abcd', { more: { b: { delayUntil: now() + 5_000_000 } }, edges: ['ad'] });
    await claim('c');
    const mends = await Promise.all([...'abcd'].map((letter) => spoil(flow.core(letter))));
    await backend.cancelFlowHeader({ flowId: flow.flowId, reason: 'r', cancellationPolicy });
    for (const mend of mends) await mend();
    expect(await setAside()).toHaveLength(4);
    await retry();
    await due();
    // The last one is skipped if the first one is retried before it.
    expect(await flow.states()).toMatch(new RegExp(`^${after} (cancelled|skipped)$`));
  },
);

test('a judge that ended while an edge to it was unreadable cancels the racer behind that edge when it is retried', async () => {
  const { admin, engine } = world;
  const flow = await flowOf('abj', { edges: ['aj', 'bj'], judge: 'j' });
  const key = flow.core('j') + SUFFIXES.dependencies;
  const edges = Object.entries(await admin.hgetall(key));
  const [edge = '', text = ''] = edges.find(([, value]) => value.startsWith(memberOf(flow.idOf('b')))) ?? [];
  await admin.hset(key, edge, 'x');
  await complete('a');
  await engine.backend.cancelExecution({ executionId: flow.idOf('j'), reason: 'r', source: 'operator_override' });
  await due();
  expect(await flow.states()).toBe('completed waiting cancelled');
  await admin.hset(key, edge, text);
  await retry();
  await due();
  expect(await flow.states()).toBe('completed cancelled cancelled');
});

/** A flow of many members that is cancelled: a walk has the rest to do. Answers the name of the walk. */
async function manyCancelled(more: object = {}, parts = 1) {
  const { admin, engine } = world;
  const flowId = engine.executionId();
  const membersOf = () =>
    Array.from({ length: 150 }, () => ({
      ...{ executionId: engine.executionId(), laneId: LANE, executionKind: 'k' },
      delayUntil: engine.now() + 5_000_000,
      ...more,
    }));
  const members = membersOf();
  await engine.backend.createFlow({ flowId, flowKind: 'f', namespace: 'n', graph: { members } });
  for (let part = 1; part < parts; part++) await engine.backend.growFlow({ flowId, graph: { members: membersOf() } });
  await engine.backend.cancelFlowHeader({ flowId, reason: 'r' });
  const start = keyOf(RECORDS.walk?.key ?? '');
  const [walk = ''] = await admin.keys(`${start.replaceAll('{', '\\{')}*`);
  expect(walk).not.toBe('');
  return {
    walk,
    firstId: members[0]?.executionId as string,
    members: keyOf(KEYS.members + memberOf(flowId)),
    purgeAt: async () => (await engine.backend.describeFlow({ flowId }))?.purgeAt,
    describe: () => engine.backend.describeFlow({ flowId }),
  };
}

test.each(['lost', 'of a wrong type'])('a walk that is %s starts again when it is retried', async (how) => {
  const { admin } = world;
  const { walk, purgeAt } = await manyCancelled();
  await admin.del(walk);
  if (how !== 'lost') await admin.set(walk, 'no hash');
  await due();
  expect((await setAside()).map((name) => name.replace(/:.*/, ''))).toEqual(['walk']);
  await retry();
  await due();
  expect(await purgeAt()).toBeDefined();
  expect(await setAside()).toEqual([]);
});

test.each(['is given up', 'and its timer are lost'])(
  'members to be cancelled although their walk %s are cancelled after a verification',
  async (how) => {
    const { admin, engine } = world;
    const { walk, purgeAt } = await manyCancelled();
    await admin.del(walk);
    if (how === 'is given up') {
      await due();
      for (const name of await setAside()) await engine.backend.dropQuarantined({ partition: PARTITION, name });
    } else await admin.del(keyOf(KEYS.timers));
    const { findings } = await engine.backend.verifyPartition({ partition: PARTITION });
    expect(findings).toContainEqual({ index: 'cancelled flows', problem: 'entries', count: 1 });
    await due();
    expect(await purgeAt()).toBeDefined();
    expect((await engine.backend.verifyPartition({ partition: PARTITION })).findings).toEqual([]);
  },
);

test('a flow without its index of members is neither walked nor purged until a verification', async () => {
  const { admin, engine } = world;
  const { members, purgeAt, describe } = await manyCancelled();
  await admin.del(members);
  await due();
  expect((await setAside()).map((name) => name.replace(/:.*/, ''))).toEqual(['walk']);
  const mend = async () => {
    await engine.backend.verifyPartition({ partition: PARTITION });
    await retry();
    await due();
  };
  await mend();
  expect(await purgeAt()).toBeDefined();
  await admin.del(members);
  await later(3 * RETENTION_MS);
  expect((await setAside()).map((name) => name.replace(/:.*/, ''))).toEqual(['flow']);
  await mend();
  await due();
  await due();
  expect(await describe()).toBeUndefined();
  expect(await setAside()).toEqual([]);
});

test('purged members leave the quarantine', async () => {
  const flow = await flowOf('ab');
  const owned = (await claim('a')) as ClaimedExecution;
  const mend = await spoil(flow.record);
  await complete(owned);
  await mend();
  expect(await setAside()).toHaveLength(2);
  await retry('flow');
  await complete('b');
  await later(3 * RETENTION_MS);
  await due();
  expect(await flow.describe()).toBeUndefined();
  expect(await setAside()).toEqual([]);
});

test.each(['while members wait', 'after their ends'])(
  'a flow whose record is lost %s is named by a verification, and its members can be dropped together',
  async (when) => {
    const { admin, engine } = world;
    const { backend } = engine;
    const before = new Set(await admin.keys('*'));
    const flow = await flowOf('abc', { edges: ['ab'] });
    if (when !== 'while members wait') for (const each of 'abc') await complete(each);
    await admin.del(flow.record);
    const name = `flow:${memberOf(flow.flowId)}`;
    expect((await backend.verifyPartition({ partition: PARTITION })).setAside).toEqual([name]);
    expect(await setAside()).toEqual([name]);
    await backend.dropQuarantined({ partition: PARTITION, name });
    expect(await flow.states()).toBe('  ');
    await backend.verifyPartition({ partition: PARTITION });
    const left = (await admin.keys('*')).filter((key) => !before.has(key) && key.includes(memberOf(flow.flowId)));
    expect(left).toEqual([]);
  },
);

test('a flow is purged whole or not at all: the list of flows has a wrong type', async () => {
  const { admin, engine } = world;
  const flow = await flowOf('a');
  await complete('a');
  engine.setTime(engine.now() + 3 * RETENTION_MS);
  await admin.del(keyOf(KEYS.flows));
  await admin.set(keyOf(KEYS.flows), 'no list');
  await expect(due()).rejects.toMatchObject({ code: 'corruption' });
  await engine.backend.verifyPartition({ partition: PARTITION });
  await due();
  expect(await flow.describe()).toBeUndefined();
  expect(await setAside()).toEqual([]);
});

/** Damages the record of a member so that not even its situation can be read. Answers how to mend it. */
const spoilLife: Readonly<Record<string, (core: string) => Promise<() => Promise<unknown>>>> = {
  'of a wrong type': spoil,
  'without a life': async (core) => {
    const life = (await world.admin.hget(core, FIELDS.life)) as string;
    await world.admin.hset(core, FIELDS.life, '@@');
    return () => world.admin.hset(core, FIELDS.life, life);
  },
};

async function dropAll(): Promise<void> {
  for (const name of await setAside())
    await world.engine.backend.dropQuarantined({ partition: PARTITION, name, reason: 'lost', requestedBy: 'ann' });
}

test.each(
  Object.entries(spoilLife).flatMap(([how, spoilIt]) =>
    ['after all have ended', 'while others wait', 'while it runs'].map((when) => [how, when, spoilIt] as const),
  ),
)(
  'a member that is dropped with a record %s, %s, neither keeps its flow open nor prevents its purge',
  async (...given) => {
    const [, when, spoilIt] = given;
    // An edge tells of which flow it is when its record has another type.
    const flow = await flowOf('cab', { edges: ['ca'] });
    await complete('c');
    const owned = (await claim('a')) as ClaimedExecution;
    if (when !== 'while it runs') await complete(owned);
    if (when === 'after all have ended') await complete('b');
    await spoilIt(flow.core('a'));
    await world.engine.backend.verifyPartition({ partition: PARTITION });
    expect(await setAside()).toEqual([`execution:${flow.idOf('a')}`]);
    await dropAll();
    if (when !== 'after all have ended') await complete('b');
    expect((await flow.describe())?.purgeAt).toBeDefined();
    await later(3 * RETENTION_MS);
    await due();
    expect(await flow.describe()).toBeUndefined();
    expect(await setAside()).toEqual([]);
  },
);

test('a verification accepts a cancelled flow while its remaining members are in quarantine', async () => {
  const { backend } = world.engine;
  const flow = await flowOf('abc');
  const mend = await spoil(flow.core('b'));
  await backend.cancelFlowHeader({ flowId: flow.flowId, reason: 'r' });
  for (let time = 0; time < 2; time++)
    expect((await backend.verifyPartition({ partition: PARTITION })).findings).toEqual([]);
  await mend();
  await retry();
  expect(await flow.states()).toBe('cancelled cancelled cancelled');
  expect((await flow.describe())?.purgeAt).toBeDefined();
});

test('a verification that continues a cancellation does not end the flow while a member is in quarantine', async () => {
  const { admin, engine } = world;
  const flow = await flowOf('abc');
  const mends = [await spoil(flow.core('b')), await spoil(flow.core('c'))] as const;
  await engine.backend.cancelFlowHeader({ flowId: flow.flowId, reason: 'r' });
  await mends[0]();
  await admin.hdel(keyOf(KEYS.quarantine), `execution:${memberOf(flow.idOf('b'))}`);
  await admin.del(keyOf(KEYS.counts + COUNTED_FLOW + memberOf(flow.flowId)));
  const { findings } = await engine.backend.verifyPartition({ partition: PARTITION });
  expect(findings).toContainEqual({ index: 'cancelled flows', problem: 'entries', count: 1 });
  await mends[1]();
  expect(await flow.states()).toBe('cancelled cancelled waiting');
  expect((await flow.describe())?.purgeAt).toBeUndefined();
  // Counts it, as it can be read again.
  await engine.backend.verifyPartition({ partition: PARTITION });
  expect((await flow.describe())?.purgeAt).toBeUndefined();
  await retry();
  expect(await flow.states()).toBe('cancelled cancelled cancelled');
  expect((await flow.describe())?.purgeAt).toBeDefined();
});

test('a purged flow leaves the quarantine', async () => {
  const flow = await flowOf('a');
  const owned = (await claim('a')) as ClaimedExecution;
  const mend = await spoil(flow.record);
  await complete(owned);
  await mend();
  await retry('execution');
  expect(await setAside()).toEqual([`flow:${memberOf(flow.flowId)}`]);
  await later(3 * RETENTION_MS);
  await due();
  expect(await flow.describe()).toBeUndefined();
  expect(await setAside()).toEqual([]);
});

test.each(['is purged', 'is given up'])(
  'the lost walk of a flow leaves the quarantine when the flow %s',
  async (how) => {
    const { admin, engine } = world;
    const { walk, members, describe } = await manyCancelled();
    const record = keyOf((RECORDS.flow?.key ?? '') + members.slice(keyOf(KEYS.members).length));
    await admin.del(walk);
    await due();
    expect((await setAside()).map((name) => name.replace(/:.*/, ''))).toEqual(['walk']);
    await engine.backend.verifyPartition({ partition: PARTITION });
    await due();
    if (how === 'is purged') await later(3 * RETENTION_MS);
    else {
      await admin.del(record);
      await engine.backend.verifyPartition({ partition: PARTITION });
      for (let part = 0; part < 3; part++)
        for (const name of await setAside())
          if (name.startsWith('flow:')) await engine.backend.dropQuarantined({ partition: PARTITION, name });
    }
    for (let pass = 0; pass < 3; pass++) await due();
    expect(await describe()).toBeUndefined();
    expect(await setAside()).toEqual([]);
  },
);

test('the lost walk of a flow stays in quarantine until the longest retention of its members', async () => {
  const { admin, engine } = world;
  const kept = { policy: { streamPolicy: { retentionTtlMs: 6 * RETENTION_MS } } };
  const { walk, purgeAt, describe } = await manyCancelled(kept);
  await admin.del(walk);
  await due();
  await engine.backend.verifyPartition({ partition: PARTITION });
  await due();
  const entries = await setAside();
  expect(entries.map((name) => name.replace(/:.*/, ''))).toEqual(['walk']);
  await later(3 * RETENTION_MS);
  expect(await purgeAt()).toBeGreaterThan(engine.now());
  expect(await setAside()).toEqual(entries);
  await later(6 * RETENTION_MS);
  for (let pass = 0; pass < 3; pass++) await due();
  expect(await describe()).toBeUndefined();
  expect(await setAside()).toEqual([]);
});

test('counts that are too high stay while the quarantine has more entries than a verification reads', async () => {
  const { admin, engine } = world;
  const flow = await flowOf('a');
  const counts = keyOf(KEYS.counts + COUNTED_FLOW + memberOf(flow.flowId));
  const tooHigh = { index: counts.slice(keyOf('').length), problem: 'entries', count: 1 };
  await admin.hincrby(counts, SITUATIONS.ready.letter, 1);
  const verified = async () => (await engine.backend.verifyPartition({ partition: PARTITION })).findings;
  const entries = Array.from({ length: 2_000 }, (_, i) => [`walk:${i}`, `${engine.now()}\twhy`]);
  await admin.hset(keyOf(KEYS.quarantine), Object.fromEntries(entries));
  expect(await verified()).not.toContainEqual(tooHigh);
  await admin.hdel(keyOf(KEYS.quarantine), ...entries.slice(5).map(([name]) => name as string));
  expect(await verified()).toContainEqual(tooHigh);
});

test('an entry keeps the time at which it was made', async () => {
  const { admin, engine } = world;
  const [whole, flow] = [await flowOf('a'), await flowOf('b')];
  await admin.del(flow.record);
  await admin.hset(whole.core('a'), FIELDS.naming, '');
  const times = async (): Promise<number[]> => {
    await engine.backend.verifyPartition({ partition: PARTITION });
    const { entries } = await engine.backend.listQuarantined({ partition: PARTITION, limit: 100 });
    return entries.map(({ at }) => at);
  };
  const madeAt = engine.now();
  expect(await times()).toEqual([madeAt, madeAt]);
  engine.setTime(madeAt + 1_000);
  expect(await times()).toEqual([madeAt, madeAt]);
});

test('a verification accepts a cancelled flow of many members while one is in quarantine', async () => {
  const { admin, engine } = world;
  const { walk, firstId, describe } = await manyCancelled({}, 4);
  const verified = async () => (await engine.backend.verifyPartition({ partition: PARTITION })).findings;
  const mend = await spoil(coreOf({ executionId: firstId }));
  for (let pass = 0; pass < 3; pass++) await due();
  expect(await setAside()).toEqual([`execution:${firstId}`]);
  expect((await describe())?.members).toMatchObject({ cancelled: 599 });
  for (let time = 0; time < 2; time++) expect(await verified()).toEqual([]);
  // One that is owed a cancellation is still found among them.
  await mend();
  await admin.hdel(keyOf(KEYS.quarantine), `execution:${memberOf(firstId)}`);
  expect(await admin.exists(walk)).toBe(0);
  expect(await verified()).toContainEqual({ index: 'cancelled flows', problem: 'entries', count: 1 });
  for (let pass = 0; pass < 3; pass++) await due();
  expect((await describe())?.purgeAt).toBeDefined();
  expect(await verified()).toEqual([]);
});

const walksPast: Readonly<
  Record<string, readonly [shape: Shape, walk: (flowId: string) => Promise<unknown>, after: string]>
> = {
  cancellation: [
    {},
    (flowId) => world.engine.backend.cancelFlowHeader({ flowId, reason: 'r' }),
    'cancelled  cancelled cancelled',
  ],
  seal: [{ building: true }, (flowId) => world.engine.backend.sealFlow({ flowId }), 'waiting  waiting waiting'],
  'won race': [{ edges: ['ad', 'bd', 'cd'], judge: 'd' }, () => complete('a'), 'completed  cancelled waiting'],
};

test.each(
  Object.entries(walksPast).flatMap(([what, [shape, walk, after]]) =>
    ['at once', 'after a verification'].map((when) => [what, when, shape, walk, after] as const),
  ),
)('a member without a record is set aside by a %s; once it is dropped %s, its flow can end', async (...given) => {
  const [, when, shape, walk, after] = given;
  const { admin, engine } = world;
  const flow = await flowOf('abcd', shape);
  await admin.del(flow.core('b'));
  await walk(flow.flowId);
  await due();
  expect(await flow.states()).toBe(after);
  expect(await setAside()).toEqual([`execution:${flow.idOf('b')}`]);
  if (when !== 'at once') await engine.backend.verifyPartition({ partition: PARTITION });
  await dropAll();
  for (const letter of 'acd') if ((await flow.states()).includes('waiting')) await claimAndComplete(letter);
  expect((await flow.describe())?.purgeAt).toBeDefined();
  await later(3 * RETENTION_MS);
  expect(await flow.describe()).toBeUndefined();
  expect(await setAside()).toEqual([]);
});

async function claimAndComplete(kind: string): Promise<void> {
  const owned = await claim(kind);
  if (owned !== undefined) await complete(owned);
}

test.each(['of an upstream', 'of a group'])(
  'a walk sets aside the lost record %s of its own subject',
  async (which) => {
    const { admin, engine } = world;
    const { backend } = engine;
    const flowId = engine.executionId();
    const many = Array.from({ length: 150 }, () => engine.executionId());
    const one = engine.executionId();
    const isUpstream = which === 'of an upstream';
    const ids = isUpstream ? [one, ...many] : [...many, one];
    await backend.createFlow({
      ...{ flowId, flowKind: 'f', namespace: 'n' },
      graph: {
        members: ids.map((executionId) => ({
          executionId,
          laneId: LANE,
          executionKind: executionId === one ? 'one' : 'k',
        })),
        edges: many.map((other) => ({
          edgeId: engine.uuid(),
          upstreamExecutionId: isUpstream ? one : other,
          downstreamExecutionId: isUpstream ? other : one,
        })),
        groups: isUpstream
          ? []
          : [{ downstreamExecutionId: one, policy: { kind: 'any_of', onSatisfied: 'cancel_remaining' } }],
      },
    });
    await complete(isUpstream ? 'one' : 'k');
    await admin.del(coreOf({ executionId: one }));
    await due();
    expect(await setAside()).toEqual([`execution:${one}`]);
  },
);

test.each(['of a wrong type', 'without a cursor', 'unreadable'])(
  'a claim does not start superfluous racers while the record of their walk is %s',
  async (how) => {
    const { admin, engine } = world;
    const { backend } = engine;
    const many = Array.from({ length: 150 }, () => engine.executionId());
    const judge = engine.executionId();
    await backend.createFlow({
      ...{ flowId: engine.executionId(), flowKind: 'f', namespace: 'n' },
      graph: {
        members: [...many, judge].map((executionId) => ({
          ...{ executionId, laneId: LANE, executionKind: executionId === judge ? 'judge' : 'k' },
        })),
        edges: many.map((upstreamExecutionId) => ({
          ...{ edgeId: engine.uuid(), upstreamExecutionId, downstreamExecutionId: judge },
        })),
        groups: [{ downstreamExecutionId: judge, policy: { kind: 'any_of', onSatisfied: 'cancel_remaining' } }],
      },
    });
    await complete('k');
    const walk = `${keyOf(RECORDS.walk?.key ?? '')}s${memberOf(judge)}`;
    expect(await admin.hkeys(walk)).toHaveLength(1);
    const [[field, text]] = Object.entries(await admin.hgetall(walk)) as [[string, string]];
    if (how === 'of a wrong type') await spoil(walk);
    else await admin.hset(walk, field, how === 'unreadable' ? 'nonsense' : text.replace(/[^\t]*$/, ''));
    expect(await claim('k')).toBeUndefined();
    expect(await setAside()).toEqual([]);
  },
);

test.each(['of a wrong type', 'without a life'])(
  'several members dropped with records %s keep their flow open until the last of them is dropped, and no longer',
  async (how) => {
    const flow = await flowOf('abcd');
    await complete('a');
    await claim('b');
    await complete('d');
    for (const letter of 'abc') await (spoilLife[how] as typeof spoil)(flow.core(letter));
    await world.engine.backend.verifyPartition({ partition: PARTITION });
    const names = await setAside();
    expect(names).toHaveLength(3);
    for (const name of names) {
      expect((await flow.describe())?.purgeAt).toBeUndefined();
      await world.engine.backend.dropQuarantined({ partition: PARTITION, name, reason: 'lost', requestedBy: 'ann' });
    }
    expect((await flow.describe())?.purgeAt).toBeDefined();
    await later(3 * RETENTION_MS);
    expect(await flow.describe()).toBeUndefined();
    expect(await setAside()).toEqual([]);
  },
);

test('the purge of a flow removes the timer of a walk whose record is lost', async () => {
  const { admin, engine } = world;
  const flow = await flowOf('a');
  await complete('a');
  const names = [`c${memberOf(flow.flowId)}`, `r${memberOf(flow.idOf('a'))}`].map((id) => `walk:${id}`);
  for (const name of names) await admin.zadd(keyOf(KEYS.timers), engine.now() + 9 * RETENTION_MS, name);
  await later(3 * RETENTION_MS);
  expect(await flow.describe()).toBeUndefined();
  for (const name of names) expect(await admin.zscore(keyOf(KEYS.timers), name)).toBeNull();
});

test('a verification reports the records that it sets aside in a flow', async () => {
  const { admin, engine } = world;
  const flow = await flowOf('abj', { edges: ['bj'] });
  const mend = await spoil(flow.core('b'));
  await engine.backend.cancelFlowHeader({ flowId: flow.flowId, reason: 'r' });
  await mend();
  await admin.hdel(keyOf(KEYS.quarantine), `execution:${memberOf(flow.idOf('b'))}`);
  const edges = flow.core('j') + SUFFIXES.dependencies;
  await admin.hset(edges, (await admin.hkeys(edges))[0] as string, 'x');
  const { setAside: named } = await engine.backend.verifyPartition({ partition: PARTITION });
  expect(await flow.states()).toBe('cancelled cancelled cancelled');
  expect(named).toEqual([`execution:${flow.idOf('j')}`]);
  expect(await setAside()).toEqual(named);
});
