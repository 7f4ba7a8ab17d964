/** A backend is prepared for the end of its process while its server is slow. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Valkey } from 'iovalkey';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Backend } from '../../src/backend/backend.js';
import { tailStream } from '../../src/engine/index.js';
import { valkey } from '../../src/valkey/index.js';
import { startValkey, type ValkeyServer } from '../support/valkey/index.js';

const EXECUTION = '{fp:0}:00000000-0000-4000-a000-000000000001';
const PAUSE_MS = 700;

let server: ValkeyServer;
let admin: Valkey;
let backend: Backend;

beforeAll(async () => {
  server = await startValkey();
  admin = new Valkey(server.url);
});
beforeEach(async () => {
  await admin.flushall();
  backend = await valkey({ url: server.url, partitions: { count: 1 } });
});
afterEach(() => backend?.close());
afterAll(async () => {
  admin?.disconnect();
  await server?.stop();
});

const create = () =>
  backend.createExecution({
    executionId: EXECUTION,
    namespace: 'n',
    laneId: 'lane',
    executionKind: 'k',
    creatorIdentity: 'c',
  });

test('calls in flight are awaited', async () => {
  await admin.call('CLIENT', 'PAUSE', String(PAUSE_MS), 'ALL');
  const created = create();
  expect(await backend.shutdownPrepare({ graceMs: 20_000 })).toEqual({ unanswered: 0 });
  expect(await created).toMatchObject({ kind: 'created' });
});

test('after the grace the report has the number of calls without an answer, and closing ends them', async () => {
  await admin.call('CLIENT', 'PAUSE', String(PAUSE_MS), 'ALL');
  const outcome = create().catch((error: unknown) => error);
  expect(await backend.shutdownPrepare({ graceMs: 20 })).toEqual({ unanswered: 1 });
  await backend.close();
  expect(await outcome).toMatchObject({ name: 'EngineError' });
  expect(await backend.shutdownPrepare({ graceMs: 20_000 })).toEqual({ unanswered: 0 });
  await sleep(PAUSE_MS);
});

test('a tail that waits for frames ends at once', async () => {
  await create();
  const fence = { leaseId: EXECUTION.slice(7), leaseEpoch: 1, attemptId: EXECUTION.slice(7) };
  const claims = [{ leaseId: fence.leaseId, attemptId: fence.attemptId }];
  await backend.claimForWorker({ partition: '{fp:0}', laneId: 'lane', workerId: 'w', workerInstanceId: 'i', claims });
  const tail = tailStream(backend, { executionId: EXECUTION, attemptIndex: 0, blockMs: 30_000 });
  const ended = tail.then(
    () => undefined,
    (error: unknown) => error,
  );
  // It is subscribed and watched.
  await sleep(200);
  const begun = performance.now();
  await backend.shutdownPrepare();
  expect(await ended).toMatchObject({ code: 'backend_closed' });
  expect(performance.now() - begun).toBeLessThan(5_000);
});
