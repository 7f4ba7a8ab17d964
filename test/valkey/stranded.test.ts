/** Ruling 40: what is damaged strands nothing that is healthy, and an operator can mend it with the tools of the engine. */
import { Valkey } from 'iovalkey';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { FIELDS, HEADER_FIELDS, KEYS, RECORDS, SUFFIXES, WAITS_FIELDS } from '../../lua/layout.js';
import { memberOf } from '../../model/ids.js';
import { ONE_OF_EACH } from '../../model/partition.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { sharedValkey } from '../support/valkey/index.js';

const PREFIX = `stranded-${process.pid}:`;
const PARTITION = '{fp:0}';
const partition = PARTITION;
const LANE = 'lane';
let engine: TestEngine;
let admin: Valkey;
beforeAll(async () => {
  const { url } = await sharedValkey();
  engine = await testEngine({ backend: { url }, prefix: PREFIX, partitions: ONE_OF_EACH, retentionMs: 60_000 });
  admin = new Valkey(url);
});
beforeEach(() => engine.clear());
afterAll(async () => {
  admin?.disconnect();
  await engine?.close();
});

const keyOf = (name: string): string => `${PREFIX}${PARTITION}:${name}`;
const coreOf = (executionId: string): string => keyOf(memberOf(executionId));
const verify = () => engine.backend.verifyPartition({ partition });
const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'resolved',
    (error: { code?: string }) => String(error.code),
  );

async function create(more: object = {}): Promise<string> {
  const executionId = engine.executionId();
  const names = { namespace: 'n', laneId: LANE, executionKind: 'k', creatorIdentity: 'c' };
  await engine.backend.createExecution({ executionId, ...names, ...more });
  return executionId;
}

async function claim(count: number, more: object = {}) {
  const claims = Array.from({ length: count }, () => ({ leaseId: engine.uuid(), attemptId: engine.uuid() }));
  const worker = { workerId: 'w', workerInstanceId: 'w-1', leaseTtlMs: 10_000 };
  const outcome = await engine.backend.claimForWorker({ partition, laneId: LANE, ...worker, claims, ...more });
  const executions = outcome.kind === 'claimed' ? outcome.executions : [];
  return { outcome, ids: executions.map(({ executionId }) => executionId), executions };
}

/** Makes passes over due work until one finds nothing. */
async function due(): Promise<readonly string[]> {
  const setAside: string[] = [];
  for (let pass = 0; pass < 20; pass++) {
    const found = await engine.backend.applyDue({ partition, limit: 50 });
    if (found.kind !== 'applied') continue;
    setAside.push(...found.setAside);
    if (found.nextDueAt === undefined || found.nextDueAt > engine.now()) return setAside;
  }
  return expect.fail('due work never comes to rest');
}

async function retype(name: string): Promise<void> {
  await admin.del(keyOf(name));
  await admin.set(keyOf(name), 'something else');
}

test.each(['x', '{"a', '\t\t\t'])('tags that read %j keep no other of a claim from its worker', async (tags) => {
  const ids = [await create(), await create({ tags: { 'a.b': 'c' } }), await create({ tags: { 'a.b': 'd' } })];
  const damaged = ids[1] as string;
  await admin.hset(coreOf(damaged), FIELDS.tags, tags);
  const { outcome, ids: taken } = await claim(3);
  expect(taken.sort()).toEqual([ids[0], ids[2]].sort());
  expect(outcome).toMatchObject({ setAside: [damaged] });
  const { entries } = await engine.backend.listQuarantined({ partition });
  expect(entries.map(({ name }) => name)).toEqual([`execution:${damaged}`]);
});

test('what only the client of a claim cannot read keeps no other of the claim from its worker', async () => {
  const executionDeadlineAt = engine.now() + 60_000;
  const ids = [await create(), await create({ executionDeadlineAt }), await create({ executionDeadlineAt })];
  const damaged = ids[1] as string;
  await admin.hset(coreOf(damaged), FIELDS.bounds, '9'.repeat(20));
  const { outcome, ids: taken, executions } = await claim(3);
  expect(taken.sort()).toEqual([ids[0], ids[2]].sort());
  expect(outcome).toMatchObject({ setAside: [damaged] });
  for (const { executionId, leaseId, leaseEpoch, attemptId } of executions)
    expect(
      await engine.backend.completeExecution({ executionId, fence: { leaseId, leaseEpoch, attemptId } }),
    ).toMatchObject({ kind: 'completed' });
  // Its lease lapses, as nobody knows of it.
  engine.setTime(engine.now() + 10_000);
  await due();
  expect((await claim(3)).outcome).toMatchObject({ kind: 'no_work', setAside: [damaged] });
});

/** An execution with an unused waitpoint, and its owner. */
async function withWaitpoint() {
  const secret = { newKid: 'one', newSecret: new Uint8Array(32), graceMs: 60_000 };
  await engine.backend.rotateWaitpointHmacSecret({ partition, ...secret });
  await create();
  const [taken] = (await claim(1)).executions;
  if (taken === undefined) return expect.fail('nothing was claimed');
  const { executionId, leaseId, leaseEpoch, attemptId } = taken;
  const fence = { leaseId, leaseEpoch, attemptId };
  const waitpoint = { waitpointId: engine.uuid(), waitpointKey: 'go', expiresInMs: 5_000 };
  await engine.backend.createPendingWaitpoint({ executionId, fence, ...waitpoint });
  return { executionId, fence };
}

test.each(['lost', 'without the list of the unused ones'])(
  'waitpoints that are %s hold up no due work behind theirs, and no ending of their execution',
  async (how) => {
    const damage = (executionId: string): Promise<unknown> => {
      const key = coreOf(executionId) + SUFFIXES.waits;
      return how === 'lost' ? admin.del(key) : admin.hdel(key, WAITS_FIELDS.pending);
    };
    const ended = await withWaitpoint();
    await damage(ended.executionId);
    expect(await engine.backend.completeExecution(ended)).toMatchObject({ kind: 'completed' });
    const { executionId } = await withWaitpoint();
    await damage(executionId);
    const flowId = engine.executionId();
    const member = { executionId: engine.executionId(), laneId: 'other', executionKind: 'k' };
    const building = { building: true, buildTimeoutMs: 6_000, graph: { members: [member], edges: [] } };
    await engine.backend.createFlow({ flowId, flowKind: 'f', namespace: 'n', ...building });
    engine.setTime(engine.now() + 8_000);
    expect(await due()).toEqual([`execution:${executionId}`]);
    expect(await engine.backend.readExecutionState({ executionId: member.executionId })).toBe('cancelled');
  },
);

async function flow(): Promise<string> {
  const flowId = engine.executionId();
  const member = { executionId: engine.executionId(), laneId: LANE, executionKind: 'k' };
  const graph = { members: [member], edges: [] };
  await engine.backend.createFlow({ flowId, flowKind: 'f', namespace: 'n', closed: true, graph });
  await engine.backend.cancelExecution({
    executionId: member.executionId,
    reason: 'r',
    source: 'operator_override',
  });
  return flowId;
}

test.each([KEYS.members, `${KEYS.counts}flow:`])(
  'a flow whose key %s is none is set aside alone, and purged once it is verified',
  async (start) => {
    const [damaged, healthy] = [await flow(), await flow()];
    const plain = await create();
    await engine.backend.cancelExecution({ executionId: plain, reason: 'r', source: 'operator_override' });
    await retype(start + memberOf(damaged));
    engine.setTime(engine.now() + 200_000);
    expect(await due()).toEqual([`flow:${memberOf(damaged)}`]);
    expect((await engine.backend.listFlows({ partition })).flows.map(({ flowId }) => flowId)).not.toContain(healthy);
    expect(await engine.backend.readExecutionState({ executionId: plain })).toBeUndefined();
    await verify();
    const name = `flow:${memberOf(damaged)}`;
    expect(await engine.backend.retryQuarantined({ partition, name })).toMatchObject({ kind: 'retried' });
    await due();
    expect(await engine.canonicalState(partition)).toMatchObject({ strays: [], ids: [], tables: { flow: [] } });
  },
);

test('a header that no call can read begins anew with a verification', async () => {
  await create();
  await admin.hset(keyOf(KEYS.header), HEADER_FIELDS.position, 'rubbish');
  await expect(create()).rejects.toThrow(/header of the partition is damaged: verify the partition/);
  expect((await verify()).findings).toEqual([{ index: KEYS.header, problem: 'wrong_type', count: 1 }]);
  await create();
  expect((await claim(5)).ids).toHaveLength(2);
  expect((await engine.canonicalState(partition)).strays).toEqual([]);
});

test('a lane stays paused when the marks in the header cannot be read', async () => {
  await engine.backend.pauseLane({ partition, laneId: LANE });
  await create();
  const position = (await admin.hget(keyOf(KEYS.header), HEADER_FIELDS.position)) ?? '';
  await admin.hset(keyOf(KEYS.header), HEADER_FIELDS.position, position.replace(/^(\w*\t[\d-]+).*/s, '$1\trubbish'));
  expect((await claim(1)).ids).toEqual([]);
});

test('a number of corrections that is none stops no verification', async () => {
  await create();
  await admin.hset(keyOf(KEYS.header), HEADER_FIELDS.corrections, 'rubbish');
  await admin.hset(keyOf(KEYS.counts + LANE), 'C', '7');
  expect((await verify()).findings).toEqual([{ index: KEYS.counts + LANE, problem: 'entries', count: 1 }]);
  expect((await verify()).findings).toEqual([]);
});

test('positions of readers that are none are named and made anew', async () => {
  await create();
  const commit = async () => {
    const { next } = await engine.backend.readLog({ partition, after: 'now' });
    return codeOf(engine.backend.commitReader({ partition, readerId: 'reader', position: next }));
  };
  await retype(KEYS.readers);
  expect(await commit()).toBe('corruption');
  expect((await verify()).findings).toEqual([{ index: KEYS.readers, problem: 'wrong_type', count: 1 }]);
  expect(await commit()).toBe('resolved');
});

test.each(['paused', 'resumed'] as const)(
  'a lane whose record is none is named, and works again once it is %s',
  async (how) => {
    const { backend } = engine;
    const { key = '', fields = {} } = RECORDS.lane ?? {};
    const repair = () => backend[how === 'paused' ? 'pauseLane' : 'resumeLane']({ partition, laneId: LANE });
    for (const damage of [
      () => retype(key + LANE),
      () => admin.hset(keyOf(key + LANE), fields['state'] ?? '', 'rubbish'),
    ]) {
      await engine.clear();
      await backend.pauseLane({ partition, laneId: LANE });
      await damage();
      await expect(create()).rejects.toThrow(/lane lane is unreadable: pause or resume/);
      await expect(claim(1)).rejects.toThrow(/lane lane is unreadable/);
      expect(await repair()).toMatchObject({ kind: `lane_${how}` });
      await create();
      expect((await claim(1)).ids).toHaveLength(how === 'paused' ? 0 : 1);
      expect((await backend.readLane({ partition, laneId: LANE })).laneState).toBe(
        how === 'paused' ? 'paused' : 'open',
      );
    }
  },
);

test('a worker whose heartbeat is lost is damaged, and no defect', async () => {
  const { key = '', fields = {} } = RECORDS.worker ?? {};
  const named = { namespace: 'n', workerInstanceId: 'w-1' };
  const offer = { lanes: [LANE], capabilities: [], kinds: ['k'], slots: 1, livenessTtlMs: 30_000 };
  await engine.backend.registerWorker({ ...named, workerId: 'w', ...offer });
  await admin.hdel(`${PREFIX}{w:n}:${key}w-1`, fields['beat'] ?? '');
  expect(await codeOf(engine.backend.heartbeatWorker(named))).toBe('corruption');
});

test('an unreadable time until which a stream is watched stops no frame, and is replaced', async () => {
  const { backend } = engine;
  await create();
  const [taken] = (await claim(1)).executions;
  if (taken === undefined) return expect.fail('nothing was claimed');
  const { executionId, attemptIndex, leaseId, leaseEpoch, attemptId } = taken;
  const watch = () => backend.watchStream({ executionId, ttlMs: 30_000 });
  await watch();
  await admin.set(keyOf(KEYS.watch + memberOf(executionId)), 'rubbish');
  const frame = { executionId, attemptIndex, fence: { leaseId, leaseEpoch, attemptId }, payload: Buffer.from('x') };
  expect(await backend.appendFrame(frame)).toMatchObject({ kind: 'appended' });
  expect(await watch()).toMatchObject({ kind: 'watching' });
  expect(await admin.get(keyOf(KEYS.watch + memberOf(executionId)))).toBe(String(engine.now() + 30_000));
});

test('a rotation replaces every current signing key, and passes over unreadable times', async () => {
  const { backend } = engine;
  let secrets = 0;
  const rotate = (newKid: string) =>
    backend.rotateWaitpointHmacSecret({
      ...{ partition, newKid, newSecret: new Uint8Array(32).fill(++secrets), graceMs: 60_000 },
    });
  for (const kid of ['one', 'two']) await rotate(kid);
  // While the index is lost, a rotation finds no key to replace.
  await admin.del(keyOf(KEYS.kids));
  await rotate('three');
  await verify();
  await admin.hset(keyOf(KEYS.kids), 'one', 'rubbish');
  await rotate('four');
  const kids = await admin.hgetall(keyOf(KEYS.kids));
  expect(Object.keys(kids).filter((kid) => kids[kid] === '')).toEqual(['four']);
  await verify();
  expect((await engine.canonicalState(partition)).strays).toEqual([]);
});
