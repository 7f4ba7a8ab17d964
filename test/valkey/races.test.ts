/**
 * A race that is decided: the racers that are no longer needed are ended together, and those that differ from the
 * others, or are damaged, one by one.
 */
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { FIELDS, SUFFIXES } from '../../lua/layout.js';
import { memberOf } from '../../model/ids.js';
import type { Event } from '../../model/events.js';
import type { ArgsOf } from '../../model/machine.js';
import type { Backend } from '../../src/backend/backend.js';
import { memory } from '../../src/index.js';
import { deployment } from '../support/valkey/deployment.js';

const PARTITION = '{fp:0}';
const shared = deployment();
const newId = (): string => `${PARTITION}:${randomUUID()}`;
const keyOf = (executionId: string): string => `ff:${PARTITION}:${memberOf(executionId)}`;

type Member = Partial<NonNullable<NonNullable<ArgsOf<'createFlow'>['graph']>['members']>[number]>;

/** A race of which one racer has to win. The winner is claimed; the other racers are like `others`. */
async function race(others: readonly Member[]) {
  const [laneId, flowId, winner, judge] = [randomUUID(), newId(), newId(), newId()];
  const common = { laneId, executionKind: 'k' };
  const racers = others.map((more) => ({ ...common, executionId: newId(), ...more }));
  const edges = [winner, ...racers.map(({ executionId }) => executionId)].map((upstreamExecutionId) => ({
    ...{ edgeId: randomUUID(), upstreamExecutionId, downstreamExecutionId: judge },
  }));
  await shared.backend.createFlow({
    ...{ flowId, flowKind: 'f', namespace: 'n', creatorIdentity: 'c' },
    graph: {
      members: [{ ...common, executionId: winner, priority: 9 }, ...racers, { ...common, executionId: judge }],
      edges,
      groups: [{ downstreamExecutionId: judge, policy: { kind: 'any_of', onSatisfied: 'cancel_remaining' } }],
    },
  });
  const claimed = await shared.backend.claimForWorker({
    ...{ partition: PARTITION, laneId, workerId: 'w', workerInstanceId: 'w', leaseTtlMs: 60_000 },
    claims: [{ leaseId: randomUUID(), attemptId: randomUUID() }],
  });
  const [owned] = claimed.kind === 'claimed' ? claimed.executions : [];
  if (owned?.executionId !== winner) throw new Error('The winner was not claimed.');
  const { leaseId, leaseEpoch, attemptId } = owned;
  const win = () =>
    shared.backend.completeExecution({ executionId: winner, fence: { leaseId, leaseEpoch, attemptId } });
  return { laneId, flowId, judge, racers: racers.map(({ executionId }) => executionId), win };
}

const pass = (limit = 100) => shared.backend.applyDue({ partition: PARTITION, limit, owner: 'test' });

const statesOf = (executionIds: readonly string[]) =>
  Promise.all(executionIds.map((executionId) => shared.backend.readExecutionState({ executionId })));

const plain = (count: number): Member[] => Array.from({ length: count }, () => ({}));

test('racers of every form are cancelled, and none of them can be claimed', async () => {
  const { laneId, racers, win, judge, flowId } = await race([
    ...plain(4),
    { tags: { 'a.b': 'c' } },
    ...plain(2),
    { executionKind: 'other' },
    { policy: { retryPolicy: { maxRetries: 2, backoff: { type: 'fixed', delayMs: 5 } } } },
    { executionDeadlineAt: Date.now() + 60_000 },
    { delayUntil: Date.now() + 60_000 },
    ...plain(4),
  ]);
  await win();
  await pass();
  expect(new Set(await statesOf(racers))).toEqual(new Set(['cancelled']));
  const claimed = await shared.backend.claimForWorker({
    ...{ partition: PARTITION, laneId, workerId: 'w', workerInstanceId: 'w' },
    claims: Array.from({ length: 5 }, () => ({ leaseId: randomUUID(), attemptId: randomUUID() })),
  });
  const ids = claimed.kind === 'claimed' ? claimed.executions.map(({ executionId }) => executionId) : [];
  expect(ids).toEqual([judge]);
  const flow = await shared.backend.describeFlow({ flowId });
  expect(flow?.members).toMatchObject({ cancelled: racers.length, completed: 1, active: 1 });
  expect(await shared.backend.verifyPartition({ partition: PARTITION })).toMatchObject({
    findings: [],
    setAside: [],
  });
});

test('racers with their own rules and needs keep their own retention', async () => {
  const gpu = { routingRequirements: { requiredCapabilities: ['gpu'] } };
  const short = { streamPolicy: { retentionTtlMs: 120_000 }, maxReclaimCount: 3 };
  const policies = [gpu, gpu, short, short, { maxReclaimCount: 3 }, { maxReclaimCount: 3 }, undefined, gpu, short];
  const { racers, win } = await race(policies.map((policy) => ({ policy })));
  await win();
  await pass();
  expect(new Set(await statesOf(racers))).toEqual(new Set(['cancelled']));
  const purgeTimes = await Promise.all(
    racers.map(async (executionId) => (await shared.admin.hget(keyOf(executionId), FIELDS.life))?.split('\t')[2]),
  );
  // Edges have random ids, so the order of the racers is another one each time.
  expect(purgeTimes.map((at) => at === purgeTimes[2])).toEqual(policies.map((policy) => policy === short));
  for (const key of await shared.admin.keys(`ff:${PARTITION}:queue:*`)) {
    const waiting = await shared.admin.zrange(key, 0, -1);
    expect(waiting.filter((member) => racers.some((executionId) => memberOf(executionId) === member))).toEqual([]);
  }
});

/** What is wrong with a racer among others that are alike, and whether it is set aside. */
const DAMAGE: readonly (readonly [how: string, isAside: boolean, spoil: (key: string) => Promise<unknown>])[] = [
  ['its life is unreadable', true, (key) => shared.admin.hset(key, FIELDS.life, 'r\t\tx')],
  ['its life is lost', true, (key) => shared.admin.hdel(key, FIELDS.life)],
  ['its naming is lost', true, (key) => shared.admin.hdel(key, FIELDS.naming)],
  ['its naming is that of no execution', true, (key) => shared.admin.hset(key, FIELDS.naming, 'n')],
  ['its record is of another type', true, (key) => shared.admin.del(key).then(() => shared.admin.set(key, 'x'))],
  [
    'it names rules that are lost',
    true,
    (key) => shared.admin.hset(key, FIELDS.life, `r\t\t\t1\t\t\ta${FIELDS.rules}`),
  ],
  ['its record is lost', true, (key) => shared.admin.del(key)],
  ['its outgoing edge is lost', false, (key) => shared.admin.del(`${key}${SUFFIXES.only}`)],
  ['its outgoing edge is that of another', false, (key) => shared.admin.set(`${key}${SUFFIXES.only}`, 'e'.repeat(44))],
];

test.each(DAMAGE)('one damaged racer among others: %s', async (_, isAside, spoil) => {
  const { racers, win, judge } = await race(plain(9));
  const broken = racers[4] as string;
  await spoil(keyOf(broken));
  await win();
  await pass();
  const others = racers.filter((executionId) => executionId !== broken);
  expect(new Set(await statesOf(others))).toEqual(new Set(['cancelled']));
  expect(await statesOf([judge])).toEqual(['waiting']);
  const { entries } = await shared.backend.listQuarantined({ partition: PARTITION });
  expect(entries.some(({ name }) => name === `execution:${broken}`)).toBe(isAside);
});

test('two large races that are decided at once are both cancelled to the last racer', async () => {
  const races = [await race(plain(150)), await race(plain(150))];
  for (const { win } of races) await win();
  for (let count = 0; count < 8; count++) await pass();
  for (const { racers } of races) expect(new Set(await statesOf(racers))).toEqual(new Set(['cancelled']));
});

test('both backends log a race alike, with racers whose end has more consequences than an edge', async () => {
  const ids = Array.from({ length: 14 }, newId);
  const [flowId = '', winner = '', judge = '', other = '', child = '', ...racers] = ids;
  const [edgeIds, childEdge] = [racers.map(() => randomUUID()), randomUUID()];
  const leases = Array.from({ length: 2 }, () => ({ leaseId: randomUUID(), attemptId: randomUUID() }));
  const [laneId, work] = [randomUUID(), { executionKind: 'k' }];
  const winning = { edgeId: randomUUID(), upstreamExecutionId: winner, downstreamExecutionId: judge };
  const second = { edgeId: randomUUID(), upstreamExecutionId: racers[2] as string, downstreamExecutionId: other };
  /** Edges are looked at in the order of their ids. */
  const edges = edgeIds.sort().map((edgeId, n) => ({
    ...{ edgeId, upstreamExecutionId: racers[n] as string, downstreamExecutionId: judge },
  }));
  const told = async (backend: Backend): Promise<readonly unknown[]> => {
    await backend.createFlow({
      ...{ flowId, flowKind: 'f', namespace: 'n', creatorIdentity: 'c' },
      graph: {
        members: [{ ...work, laneId, executionId: winner, priority: 9 }].concat(
          [...racers, judge, other].map((executionId) => ({
            ...work,
            laneId,
            executionId,
            priority: executionId === racers[6] ? 8 : 0,
          })),
        ),
        edges: [winning, ...edges, second],
        groups: [{ downstreamExecutionId: judge, policy: { kind: 'any_of', onSatisfied: 'cancel_remaining' } }],
      },
    });
    const source = 'operator_override';
    const children = [{ ...work, laneId, executionId: child, edgeId: childEdge }];
    await backend.claimForWorker({
      ...{ partition: PARTITION, laneId, workerId: 'w', workerInstanceId: 'w', leaseTtlMs: 60_000 },
      claims: leases,
    });
    await backend.spawnChildren({ executionId: racers[6] as string, source, flowId, children });
    await backend.completeExecution({ executionId: winner, source });
    await backend.applyDue({ partition: PARTITION, owner: 'test' });
    const log: unknown[] = [];
    for (let after: string | undefined; ; ) {
      const { events, next } = await backend.readLog({ partition: PARTITION, limit: 1_000, ...(after && { after }) });
      for (const { event } of events) {
        if (!('executionId' in event) || !ids.includes(event.executionId)) continue;
        log.push(Object.fromEntries(Object.entries(event).filter(([name]) => !/at$/i.test(name))));
      }
      if (events.length === 0 || next === after) return log;
      after = next;
    }
  };
  const log = await told(shared.backend);
  expect(log).toEqual(await told(memory({ partitions: { count: 1 } })));
  const together = log.filter((event) => (event as Event).type === 'dependencies_resolved') as { edges: unknown[] }[];
  expect(together.map((event) => event.edges.length)).toEqual([2, 3, 2]);
});
