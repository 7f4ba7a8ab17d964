/** What the backend does when the server is full, when records are gone, and when options are wrong. */
import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { KEYS } from '../../lua/layout.js';
import { memberOf } from '../../model/ids.js';
import { meterSetOf, metersOf } from '../../model/metering/meters.js';
import { coreKey } from '../../src/valkey/keys.js';
import { valkey } from '../../src/valkey/index.js';
import { deployment } from '../support/valkey/deployment.js';

const deployed = deployment();

const creation = () => ({
  executionId: `{fp:0}:${randomUUID()}`,
  namespace: 'n',
  laneId: 'l',
  executionKind: 'k',
  creatorIdentity: 'c',
});
const claimArgs = () => ({
  partition: '{fp:0}',
  laneId: 'l',
  workerId: 'w',
  workerInstanceId: 'w1',
  claims: [{ leaseId: randomUUID(), attemptId: randomUUID() }],
});

it('a full server refuses creations with its code, and finishes existing work', async () => {
  const args = creation();
  await deployed.backend.createExecution(args);
  await deployed.admin.config('SET', 'maxmemory', '1');
  await expect(deployed.backend.createExecution(creation())).rejects.toMatchObject({
    code: 'server_memory_full',
    retryable: true,
  });
  const claimed = await deployed.backend.claimForWorker(claimArgs());
  if (claimed.kind !== 'claimed') throw new Error(claimed.kind);
  const [{ leaseId, leaseEpoch, attemptId } = { leaseId: '', leaseEpoch: 0, attemptId: '' }] = claimed.executions;
  // In one turn with a creation, which alone is refused.
  const [refused, completed] = await Promise.allSettled([
    deployed.backend.createExecution(creation()),
    deployed.backend.completeExecution({ executionId: args.executionId, fence: { leaseId, leaseEpoch, attemptId } }),
  ]);
  expect([refused.status, completed.status]).toEqual(['rejected', 'fulfilled']);
  await deployed.admin.config('SET', 'maxmemory', '0');
  expect((await deployed.backend.createExecution(creation())).kind).toBe('created');
});

it('a full server admits the metered work that it holds, also by limits that are new to it', async () => {
  const { backend, admin } = deployed;
  const laneId = 'metered';
  const limits = { windowSeconds: 60, maxRequestsPerWindow: 0, maxConcurrent: 1 };
  const key = { quotaPolicyId: randomUUID(), ...limits };
  const policy = { keyedQuotas: [key] };
  const args = { ...creation(), laneId, policy };
  await backend.createExecution(args);
  await admin.config('SET', 'maxmemory', '1');
  try {
    const claims = claimArgs();
    const admissionIds = claims.claims.map(({ leaseId }) => leaseId);
    const asked = { quotaPolicyId: key.quotaPolicyId, admissionIds, partition: '{fp:0}', limits };
    expect({ ...(await backend.checkAdmission(asked)) }).toEqual({ kind: 'admitted', count: 1 });
    const claimed = await backend.claimForWorker({ ...claims, laneId, meters: meterSetOf(metersOf(policy)) });
    expect(claimed).toMatchObject({ kind: 'claimed', executions: [{ executionId: args.executionId }] });
    const { quotaPolicyId } = key;
    expect({ ...(await backend.releaseAdmission({ quotaPolicyId, admissionIds })) }).toEqual({
      kind: 'released',
      released: 1,
    });
  } finally {
    await admin.config('SET', 'maxmemory', '0');
  }
});

it('an unreadable idempotency entry is named, and the key is new when it is deleted', async () => {
  const { backend, admin } = deployed;
  const args = { ...creation(), idempotencyKey: 'order 5' };
  const entry = `ff:{fp:0}:${KEYS.idempotency}${args.namespace}:order 5`;
  const fault = { code: 'corruption', message: expect.stringContaining(`entry ${entry} is in the way`) };
  const find = () => backend.findExecution({ partition: '{fp:0}', namespace: 'n', idempotencyKey: 'order 5' });
  for (const spoil of [() => admin.set(entry, 'rubbish'), () => admin.hset(entry, 'a', 'hash')]) {
    await admin.del(entry);
    await spoil();
    await expect(backend.createExecution(args)).rejects.toMatchObject(fault);
    await expect(find()).rejects.toMatchObject(fault);
    expect((await backend.createExecution(creation())).kind).toBe('created');
  }
  await admin.del(entry);
  expect((await backend.createExecution(args)).kind).toBe('created');
  expect(await find()).toBe(args.executionId);
});

it('a process starts on a full server, and finishes existing work', async () => {
  const args = { ...creation(), laneId: 'full' };
  await deployed.backend.createExecution(args);
  await deployed.admin.config('SET', 'maxmemory', '1');
  try {
    await using started = await valkey({ url: deployed.server.url });
    expect(await started.claimForWorker({ ...claimArgs(), laneId: 'full' })).toMatchObject({
      kind: 'claimed',
      executions: [{ executionId: args.executionId }],
    });
  } finally {
    await deployed.admin.config('SET', 'maxmemory', '0');
  }
});

it('records that another program deleted are set aside, and work continues', async () => {
  const gone = { ...creation(), laneId: 'lost', priority: 1 };
  const delayed = { ...creation(), laneId: 'lost', delayUntil: Date.now() + 1_000 };
  const healthy = { ...creation(), laneId: 'lost' };
  for (const args of [gone, delayed, healthy]) await deployed.backend.createExecution(args);
  const coreOf = ({ executionId }: { executionId: string }) => coreKey('ff:', executionId);
  await deployed.admin.del(coreOf(gone), coreOf(delayed));
  // A claim for one looks at the head of the queue, which is gone, and takes it away.
  const claim = async () => deployed.backend.claimForWorker({ ...claimArgs(), laneId: 'lost' });
  expect({ ...(await claim()) }).toMatchObject({ kind: 'no_work', setAside: [gone.executionId] });
  const second = await claim();
  expect(second).toMatchObject({ kind: 'claimed', executions: [{ executionId: healthy.executionId }] });
  expect(second).toHaveProperty('setAside', undefined);
  await new Promise((resolve) => setTimeout(resolve, 1_050));
  const due = await deployed.backend.applyDue({ partition: '{fp:0}' });
  expect(due).toMatchObject({ kind: 'applied', promoted: 0, setAside: [`execution:${delayed.executionId}`] });
  expect(await deployed.backend.applyDue({ partition: '{fp:0}' })).toMatchObject({ promoted: 0, setAside: [] });
  const quarantine = await deployed.admin.hkeys('ff:{fp:0}:quarantine');
  expect(quarantine.sort()).toEqual([gone, delayed].map((args) => `execution:${memberOf(args.executionId)}`).sort());
});

it('an execution that another program put back into a queue is not claimed twice', async () => {
  const args = { ...creation(), laneId: 'back' };
  await deployed.backend.createExecution(args);
  const claim = async () => (await deployed.backend.claimForWorker({ ...claimArgs(), laneId: 'back' })).kind;
  expect(await claim()).toBe('claimed');
  const queue = `ff:{fp:0}:${KEYS.queue}back\t\tk`;
  await deployed.admin.zadd(queue, 0, memberOf(args.executionId));
  await deployed.admin.sadd('ff:{fp:0}:queues:back', '\tk');
  expect(await claim()).toBe('no_work');
  expect(await deployed.admin.exists(queue)).toBe(0);
});

it('unknown options are refused before a connection is made', async () => {
  const misspelt = { host: '127.0.0.1', port: 1 } as unknown as Parameters<typeof valkey>[0];
  await expect(valkey(misspelt)).rejects.toMatchObject({ code: 'invalid_input', detail: { field: 'host' } });
});
