/** Ends that are asked for are told once, by the event that ends an execution. */
import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { memory } from '../../src/memory/index.js';

const PARTITION = '{fp:0}';
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

it('the end of an execution is announced once, and its creation, claim and purge are not', async () => {
  let now = 1_700_000_000_000;
  const backend = memory({ now: () => now, retentionMs: 1_000 });
  const ended: string[] = [];
  await backend.onAnnouncement('ended', (announcement) => {
    if (announcement.kind === 'ended') ended.push(...announcement.executionIds);
  });
  await backend.watchEnds({ partition: PARTITION, ttlMs: 60_000 });
  const executionId = `${PARTITION}:${randomUUID()}`;
  const fence = { leaseId: randomUUID(), attemptId: randomUUID() };
  await backend.createExecution({
    executionId,
    namespace: 'n',
    laneId: 'l',
    executionKind: 'k',
    creatorIdentity: 'c',
  });
  await backend.claimForWorker({
    partition: PARTITION,
    laneId: 'l',
    workerId: 'w',
    workerInstanceId: 'i',
    claims: [fence],
  });
  await turn();
  expect(ended).toEqual([]);
  await backend.completeExecution({ executionId, fence: { ...fence, leaseEpoch: 1 } });
  await turn();
  expect(ended).toEqual([executionId]);
  now += 30_000;
  await backend.purgeExecution({ executionId });
  await turn();
  expect(ended).toEqual([executionId]);
  await backend.close();
});
