/** Wakes of the memory backend: no work is left unannounced, whatever happens before listeners are told. */
import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { memory } from '../../src/memory/index.js';

it('announces an execution that becomes the first when earlier work is claimed in the same turn', async () => {
  const backend = memory();
  const heard: string[] = [];
  await backend.onWake(['l'], (wake) => void (wake.kind === 'work' && heard.push(wake.laneId)));
  const create = () =>
    backend.createExecution({
      executionId: `{fp:0}:${randomUUID()}`,
      namespace: 'n',
      laneId: 'l',
      executionKind: 'k',
      creatorIdentity: 'c',
    });
  // One turn: two come, and one of them is taken by a claim that knew of them before.
  const [, , claimed] = await Promise.all([
    create(),
    create(),
    backend.claimForWorker({
      partition: '{fp:0}',
      laneId: 'l',
      workerId: 'w',
      workerInstanceId: 'i',
      claims: [{ leaseId: randomUUID(), attemptId: randomUUID() }],
    }),
  ]);
  expect(claimed.kind).toBe('claimed');
  await Promise.resolve();
  expect(heard).toContain('l');
  await backend.close();
});
