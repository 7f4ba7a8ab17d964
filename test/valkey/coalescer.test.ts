/** Calls made at one moment travel together, and nobody can tell but by their number. */
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
  backend = await valkey({ url: server.url, partitions: { count: 2 } });
  admin = new Valkey(server.port, server.host);
});
afterAll(async () => {
  await backend.close();
  admin.disconnect();
  await server.stop();
});

const creation = (partition = 0) => ({ executionId: `{fp:${partition}}:${randomUUID()}`, namespace: 'n', laneId: 'l', executionKind: 'k', creatorIdentity: 'c' });
const claimArgs = (count: number) => ({ partition: '{fp:0}', laneId: 'l', workerId: 'w', workerInstanceId: 'w1', claims: Array.from({ length: count }, () => ({ leaseId: randomUUID(), attemptId: randomUUID() })) });
async function calls(): Promise<number> {
  return Number(/cmdstat_fcall:calls=(\d+)/.exec(await admin.info('commandstats'))?.[1] ?? 0);
}

it('joins the calls of one turn, per partition, and answers each caller', async () => {
  const before = await calls();
  const all = [creation(0), creation(1), creation(0), creation(0)];
  const outcomes = await Promise.all(all.map((args) => backend.createExecution(args)));
  expect(outcomes.map((outcome) => [outcome.kind, outcome.executionId])).toEqual(all.map(({ executionId }) => ['created', executionId]));
  expect((await calls()) - before).toBe(2);
});

it('keeps the order of one caller, and refuses one caller alone', async () => {
  const claimed = await backend.claimForWorker(claimArgs(3));
  if (claimed.kind !== 'claimed') throw new Error(claimed.kind);
  const [a, b] = claimed.executions.map(({ executionId, leaseId, leaseEpoch, attemptId }) => ({ executionId, fence: { leaseId, leaseEpoch, attemptId } }));
  if (a === undefined || b === undefined) throw new Error('two are needed');
  const before = await calls();
  const [pair, refused, third] = await Promise.all([
    backend.execute([{ name: 'completeExecution', args: a }, { name: 'cancelExecution', args: { executionId: a.executionId, reason: 'late', source: 'operator_override' } }]),
    backend.completeExecution({ ...b, fence: { ...b.fence, leaseEpoch: 99 } }).catch((error: unknown) => error),
    backend.completeExecution(b),
  ]);
  expect((await calls()) - before).toBe(1);
  expect(pair[0]).toMatchObject({ ok: true, outcome: { kind: 'completed' } });
  expect(pair[1]).toMatchObject({ ok: false, error: { code: 'execution_not_active' } });
  expect(refused).toMatchObject({ code: 'stale_lease' });
  expect(third).toMatchObject({ kind: 'completed' });
});

it('shows a read what was written before it in the same turn', async () => {
  const args = creation();
  const [, state] = await Promise.all([backend.createExecution(args), backend.readExecutionState({ executionId: args.executionId })]);
  expect(state).toBe('waiting');
});
