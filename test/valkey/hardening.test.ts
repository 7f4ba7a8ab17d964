/** What the backend does when the server is full, when records are gone, and when options are wrong. */
import { randomUUID } from 'node:crypto';
import { Valkey } from 'iovalkey';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Backend } from '../../src/backend.js';
import { valkey } from '../../src/valkey/index.js';
import { startValkey } from '../support/valkey/index.js';

let server: Awaited<ReturnType<typeof startValkey>>;
let backend: Backend;
let admin: Valkey;
beforeAll(async () => {
  server = await startValkey();
  backend = await valkey({ url: server.url, partitions: { count: 1 } });
  admin = new Valkey(server.port, server.host);
});
afterAll(async () => {
  await backend.close();
  admin.disconnect();
  await server.stop();
});

const creation = () => ({ executionId: `{fp:0}:${randomUUID()}`, namespace: 'n', laneId: 'l', executionKind: 'k', creatorIdentity: 'c' });
const claimArgs = () => ({ partition: '{fp:0}', laneId: 'l', workerId: 'w', workerInstanceId: 'w1', claims: [{ leaseId: randomUUID(), attemptId: randomUUID() }] });

it('refuses creations with a code that says so, and finishes what there is', async () => {
  const args = creation();
  await backend.createExecution(args);
  await admin.config('SET', 'maxmemory', '1');
  await expect(backend.createExecution(creation())).rejects.toMatchObject({ code: 'server_memory_full', retryable: true });
  const claimed = await backend.claimForWorker(claimArgs());
  if (claimed.kind !== 'claimed') throw new Error(claimed.kind);
  const [{ leaseId, leaseEpoch, attemptId } = { leaseId: '', leaseEpoch: 0, attemptId: '' }] = claimed.executions;
  // In one turn with a creation, which alone is refused.
  const [refused, completed] = await Promise.allSettled([backend.createExecution(creation()), backend.completeExecution({ executionId: args.executionId, fence: { leaseId, leaseEpoch, attemptId } })]);
  expect([refused.status, completed.status]).toEqual(['rejected', 'fulfilled']);
  await admin.config('SET', 'maxmemory', '0');
  expect((await backend.createExecution(creation())).kind).toBe('created');
});

it('is not held up by records that something else deleted', async () => {
  const gone = { ...creation(), laneId: 'lost' };
  const delayed = { ...creation(), laneId: 'lost', delayUntil: Date.now() + 150 };
  const healthy = { ...creation(), laneId: 'lost' };
  for (const args of [gone, delayed, healthy]) await backend.createExecution(args);
  await admin.del(`ff:${gone.executionId}`, `ff:${delayed.executionId}`);
  // A claim for one looks at the head of the queue, which is gone, and takes it away.
  const claim = async () => backend.claimForWorker({ ...claimArgs(), laneId: 'lost' });
  const first = await claim();
  const second = first.kind === 'claimed' ? first : await claim();
  expect(second).toMatchObject({ kind: 'claimed', executions: [{ executionId: healthy.executionId }] });
  await new Promise((resolve) => setTimeout(resolve, 200));
  const due = await backend.listDue({ partition: '{fp:0}' });
  expect(due.commands).toEqual([{ name: 'markLeaseExpiredIfDue', args: { executionId: delayed.executionId } }]);
  await backend.execute(due.commands);
  expect((await backend.listDue({ partition: '{fp:0}' })).commands).toEqual([]);
});

it('refuses options that it does not know, before it connects anywhere', async () => {
  const misspelt = { host: '127.0.0.1', port: 1 } as unknown as Parameters<typeof valkey>[0];
  await expect(valkey(misspelt)).rejects.toMatchObject({ code: 'invalid_input', detail: { field: 'host' } });
});
