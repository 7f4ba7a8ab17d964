/** What time does to suspended work is told in the process at once, so that nobody there waits for a poll. */
import { expect, it } from 'vitest';
import { runDue } from '../../src/engine/due.js';
import { localNews, type News } from '../../src/engine/local-news.js';
import { memory } from '../../src/memory/index.js';
import { uuid } from '../model/dsl.js';

it('every suspension that times out is announced', async () => {
  let now = 1_000;
  const backend = memory({ partitions: { count: 1 }, now: () => now });
  const news: News[] = [];
  localNews(backend).listen((said) => news.push(said));
  const behaviors = ['fail', 'cancel', 'expire', 'auto_resume', 'escalate'] as const;
  for (const [n, timeoutBehavior] of behaviors.entries()) {
    const executionId = `{fp:0}:${uuid(n)}`;
    await backend.createExecution({
      ...{ executionId, namespace: 'n', laneId: timeoutBehavior, executionKind: 'k', creatorIdentity: 'c' },
      inputPayload: new Uint8Array(0),
    });
    const fence = { leaseId: uuid(10 + n), leaseEpoch: 1, attemptId: uuid(20 + n) };
    await backend.claimForWorker({
      ...{ partition: '{fp:0}', laneId: timeoutBehavior, workerId: 'w', workerInstanceId: 'w', leaseTtlMs: 5_000 },
      claims: [{ leaseId: fence.leaseId, attemptId: fence.attemptId }],
    });
    await backend.suspendExecution({
      ...{ executionId, fence, suspensionId: uuid(30 + n), timeoutAt: 2_000, timeoutBehavior },
      waitpoints: [{ waitpointId: uuid(40 + n), waitpointKey: 'k' }],
      resumeCondition: { type: 'timeout_only' },
    });
  }
  now = 2_000;
  await runDue(backend);
  expect(news.sort((a, b) => (a.executionId < b.executionId ? -1 : 1))).toEqual([
    {
      kind: 'failed',
      executionId: `{fp:0}:${uuid(0)}`,
      reason: 'suspension_timeout:fail',
      category: 'suspension_timeout',
    },
    { kind: 'cancelled', executionId: `{fp:0}:${uuid(1)}`, reason: 'suspension_timeout:cancel' },
    { kind: 'expired', executionId: `{fp:0}:${uuid(2)}`, reason: 'suspension_timeout:expire' },
  ]);
});
