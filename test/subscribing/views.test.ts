/** What subscribers to completions, leases, tags and signals get, and what their filters leave out. */
import { expect, it } from 'vitest';
import { feedsOn, take } from './support.js';

/** A claim of whatever waits in the lane. */
async function claimed({ engine }: Awaited<ReturnType<typeof feedsOn>>) {
  const claim = await engine.backend.claimForWorker({
    ...{ partition: '{fp:0}', laneId: 'lane', workerId: 'w', workerInstanceId: 'i', leaseTtlMs: 60_000 },
    claims: [{ leaseId: engine.uuid(), attemptId: engine.uuid() }],
  });
  if (claim.kind !== 'claimed' || claim.executions[0] === undefined) throw new Error('nothing was claimed');
  const { executionId, leaseId, leaseEpoch, attemptId } = claim.executions[0];
  return { executionId, fence: { leaseId, leaseEpoch, attemptId } };
}

it('completions say how and why work failed, expired or was skipped', async () => {
  const it = await feedsOn('memory');
  const { backend } = it.engine;
  const feed = await it.feeds.completions();
  await it.create(0);
  await backend.failExecution({ ...(await claimed(it)), failureReason: 'broken', failureCategory: 'odd' });
  const executionId = await it.create(0, { policy: { timeoutPolicy: { executionDeadlineMs: 100 } } });
  it.engine.setTime(it.engine.now() + 100);
  await backend.expireExecution({ executionId, expireReason: 'execution_deadline' });
  const [upstream, downstream] = [it.engine.executionId(0), it.engine.executionId(0)];
  const members = [upstream, downstream].map((member) => ({ executionId: member, laneId: 'l', executionKind: 'k' }));
  const edge = { edgeId: it.engine.uuid(), upstreamExecutionId: upstream, downstreamExecutionId: downstream };
  const graph = { members, edges: [edge] };
  await backend.createFlow({ flowId: it.engine.executionId(0), flowKind: 'f', namespace: 'n', graph });
  await backend.cancelExecution({ executionId: upstream, reason: 'enough', source: 'operator_override' });
  await backend.applyDue({ partition: '{fp:0}' });
  const told = (await take(feed, 4)).map(({ event: { outcome, reason, category } }) => [outcome, reason, category]);
  expect(told).toEqual([
    ['failed', 'broken', 'odd'],
    ['expired', 'execution_deadline', undefined],
    ['cancelled', 'enough', undefined],
    ['skipped', undefined, undefined],
  ]);
  await feed.close();
});

it('the lease history leaves renewals out unless they are asked for', async () => {
  const it = await feedsOn('memory');
  const [usual, all, renewed] = await Promise.all([
    it.feeds.leaseHistory(),
    it.feeds.leaseHistory({ renewals: true }),
    it.feeds.leaseHistory({ types: ['renewed'] }),
  ]);
  await it.create(0);
  const owned = await claimed(it);
  it.engine.setTime(it.engine.now() + 1_000);
  await it.engine.backend.renewLease({ ...owned, leaseTtlMs: 60_000 });
  await it.engine.backend.releaseLease(owned);
  const typesOf = async (feed: typeof usual, count: number) => (await take(feed, count)).map(({ event }) => event.type);
  expect(await typesOf(all, 3)).toEqual(['acquired', 'renewed', 'released']);
  expect(await typesOf(usual, 2)).toEqual(['acquired', 'released']);
  expect(await typesOf(renewed, 1)).toEqual(['renewed']);
  await Promise.all([usual.close(), all.close(), renewed.close()]);
});

it('tags and signals of one execution leave out those of others', async () => {
  const it = await feedsOn('memory');
  const [other, wanted] = [
    await it.create(0, { tags: { 'a.b': 'other' } }),
    await it.create(0, { tags: { 'a.b': 'wanted' } }),
  ];
  for (const executionId of [other, wanted])
    await it.engine.backend.signalExecution({ executionId, signalId: it.engine.uuid(), signalName: 'go' });
  const tags = await it.feeds.tags({ executionId: wanted, from: 'earliest' });
  const signals = await it.feeds.signals({ executionId: wanted, from: 'earliest' });
  expect((await take(tags, 1)).map(({ event }) => event.executionId)).toEqual([wanted]);
  expect((await take(signals, 1)).map(({ event }) => event.executionId)).toEqual([wanted]);
  await Promise.all([tags.close(), signals.close()]);
});
