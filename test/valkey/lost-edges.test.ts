/** An edge that is lost: what waits for its upstream is set aside and reported, instead of waiting for ever. */
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { FIELDS, SUFFIXES } from '../../lua/layout.js';
import { memberOf } from '../../model/ids.js';
import { shortIdOf } from '../../model/short-id.js';
import { deployment } from '../support/valkey/deployment.js';

const PARTITION = '{fp:0}';
const shared = deployment();
const newId = (): string => `${PARTITION}:${randomUUID()}`;

test.each(['all of them', 'one of them', 'in a wrong type'])('lost edges of a member: %s', async (how) => {
  const { backend, admin } = shared;
  const [laneId, flowId, first, second, joining, healthy] = [randomUUID(), newId(), newId(), newId(), newId(), newId()];
  const edges = [
    [first, joining],
    [second, joining],
    [first, healthy],
  ].map(([upstreamExecutionId = '', downstreamExecutionId = '']) => ({
    ...{ edgeId: randomUUID(), upstreamExecutionId, downstreamExecutionId },
  }));
  await backend.createFlow({
    ...{ flowId, flowKind: 'f', namespace: 'n', creatorIdentity: 'c' },
    graph: {
      members: [first, second, joining, healthy].map((executionId) => ({ executionId, laneId, executionKind: 'k' })),
      edges,
    },
  });
  const claimed = await backend.claimForWorker({
    ...{ partition: PARTITION, laneId, workerId: 'w', workerInstanceId: 'w', leaseTtlMs: 60_000 },
    claims: [1, 2].map(() => ({ leaseId: randomUUID(), attemptId: randomUUID() })),
  });
  const key = `ff:${PARTITION}:${memberOf(joining)}${SUFFIXES.dependencies}`;
  if (how === 'one of them') await admin.hdel(key, (await admin.hkeys(key))[0] as string);
  else await admin.del(key);
  if (how === 'in a wrong type') await admin.set(key, 'something else');
  for (const { executionId, leaseId, leaseEpoch, attemptId } of claimed.kind === 'claimed' ? claimed.executions : [])
    expect(await backend.completeExecution({ executionId, fence: { leaseId, leaseEpoch, attemptId } })).toMatchObject({
      kind: 'completed',
    });
  for (let pass = 0; pass < 3; pass++) await backend.applyDue({ partition: PARTITION, owner: 'test' });
  expect(await backend.readExecutionState({ executionId: healthy })).toBe('waiting');
  const { entries } = await backend.listQuarantined({ partition: PARTITION });
  const name = `execution:${joining}`;
  expect(entries.map((entry) => entry.name)).toContain(name);
  expect(await backend.dropQuarantined({ partition: PARTITION, name })).toMatchObject({ kind: 'dropped' });
});

test('an unreadable result of an upstream stops no downstream: the worker reads the result itself', async () => {
  const { backend, admin } = shared;
  const [laneId, flowId, broken, healthy, joining] = [randomUUID(), newId(), newId(), newId(), newId()];
  const common = { laneId, executionKind: 'k' };
  const edges = [broken, healthy].map((upstreamExecutionId) => ({
    ...{ edgeId: randomUUID(), upstreamExecutionId, downstreamExecutionId: joining, dataPassingRef: 'r' },
  }));
  await backend.createFlow({
    ...{ flowId, flowKind: 'f', namespace: 'n', creatorIdentity: 'c' },
    graph: { members: [broken, healthy, joining].map((executionId) => ({ executionId, ...common })), edges },
  });
  const claim = async (count: number) => {
    const answer = await backend.claimForWorker({
      ...{ partition: PARTITION, laneId, workerId: 'w', workerInstanceId: 'w', leaseTtlMs: 60_000 },
      claims: Array.from({ length: count }, () => ({ leaseId: randomUUID(), attemptId: randomUUID() })),
    });
    return answer.kind === 'claimed' ? answer.executions : [];
  };
  for (const { executionId, leaseId, leaseEpoch, attemptId } of await claim(2)) {
    const resultPayload = Buffer.from('1');
    await backend.completeExecution({ executionId, fence: { leaseId, leaseEpoch, attemptId }, resultPayload });
  }
  await admin.hset(`ff:${PARTITION}:${memberOf(broken)}`, FIELDS.ending, 'no\tnumber\t');
  expect(await claim(1)).toMatchObject([
    { executionId: joining, moreUpstreamResults: true, upstreamResults: [{ edgeId: edges[1]?.edgeId }] },
  ]);
});

test('an execution with the id of a dropped member is not the downstream of its upstream', async () => {
  const { backend, admin } = shared;
  const [laneId, flowId, first, joining] = [randomUUID(), newId(), newId(), newId()];
  const common = { laneId, executionKind: 'k', creatorIdentity: 'c', namespace: 'n' };
  const edge = { edgeId: randomUUID(), upstreamExecutionId: first, downstreamExecutionId: joining };
  await backend.createFlow({
    ...{ flowId, flowKind: 'f', namespace: 'n', creatorIdentity: 'c' },
    graph: {
      members: [first, joining].map((executionId) => ({ executionId, laneId, executionKind: 'k' })),
      edges: [edge],
    },
  });
  const claimed = await backend.claimForWorker({
    ...{ partition: PARTITION, laneId, workerId: 'w', workerInstanceId: 'w', leaseTtlMs: 60_000 },
    claims: [{ leaseId: randomUUID(), attemptId: randomUUID() }],
  });
  await admin.hdel(`ff:${PARTITION}:${memberOf(joining)}`, FIELDS.naming);
  await backend.verifyPartition({ partition: PARTITION });
  const name = `execution:${joining}`;
  expect(await backend.dropQuarantined({ partition: PARTITION, name })).toMatchObject({ kind: 'dropped' });
  expect(await backend.createExecution({ executionId: joining, ...common })).toMatchObject({ kind: 'created' });
  for (const { executionId, leaseId, leaseEpoch, attemptId } of claimed.kind === 'claimed' ? claimed.executions : [])
    expect(await backend.completeExecution({ executionId, fence: { leaseId, leaseEpoch, attemptId } })).toMatchObject({
      kind: 'completed',
    });
  const { entries } = await backend.listQuarantined({ partition: PARTITION });
  expect(entries.map((entry) => entry.name)).not.toContain(name);
  expect(await backend.readExecutionState({ executionId: joining })).toBe('waiting');
});

test('outgoing edges to purged members are skipped, some at a time', async () => {
  const { backend, admin } = shared;
  const [laneId, flowId, upstream, ...downstream] = [randomUUID(), newId(), newId(), newId(), newId()];
  const edges = downstream.map((downstreamExecutionId) => ({
    ...{ edgeId: randomUUID(), upstreamExecutionId: upstream, downstreamExecutionId },
  }));
  const members = [upstream, ...downstream].map((executionId) => ({ executionId, laneId, executionKind: 'k' }));
  await backend.createFlow({
    ...{ flowId, flowKind: 'f', namespace: 'n', creatorIdentity: 'c' },
    graph: { members, edges },
  });
  const purged = Array.from({ length: 1_200 }, (_, n) => {
    const edgeId = `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
    return shortIdOf(edgeId) + memberOf(newId());
  });
  await admin.zadd(
    `ff:${PARTITION}:${memberOf(upstream)}${SUFFIXES.leading}`,
    ...purged.flatMap((entry) => ['0', entry]),
  );
  for (const limit of [1, 200]) {
    const pages = [];
    let cursor: string | undefined;
    do {
      const page = await backend.listEdges({ executionId: upstream, direction: 'outgoing', limit, cursor });
      expect(page.damaged).toEqual([]);
      pages.push(page.edges.map(({ edgeId }) => edgeId));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    expect(pages.flat()).toEqual(edges.map(({ edgeId }) => edgeId).sort());
    expect(pages).toContainEqual([]);
  }
});

test.each([1, 2])('lost ways to the dependents of a member, %i of them, are entered again and named', async (count) => {
  const { backend, admin } = shared;
  const [flowId, upstream, ...dependents] = [newId(), newId(), ...Array.from({ length: count }, newId)];
  const edges = dependents.map((downstreamExecutionId) => ({
    ...{ edgeId: randomUUID(), upstreamExecutionId: upstream, downstreamExecutionId },
  }));
  const laneId = randomUUID();
  await backend.createFlow({
    ...{ flowId, flowKind: 'f', namespace: 'n', creatorIdentity: 'c' },
    graph: {
      members: [upstream, ...dependents].map((executionId) => ({ executionId, laneId, executionKind: 'k' })),
      edges,
    },
  });
  const named = async () =>
    (await backend.verifyPartition({ partition: PARTITION })).findings.filter(({ index }) => index === 'next');
  // Mends what other tests have left.
  await named();
  const lost = count === 1 ? SUFFIXES.only : SUFFIXES.leading;
  expect(await admin.del(`ff:${PARTITION}:${memberOf(upstream)}${lost}`)).toBe(1);
  expect(await named()).toEqual([{ index: 'next', problem: 'entries', count }]);
  expect(await named()).toEqual([]);
});
