/** What callers see when the server is slow, gone, or back again. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Valkey } from 'iovalkey';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EngineError } from '../../model/errors.js';
import type { Backend, Wake } from '../../src/backend/backend.js';
import { valkey } from '../../src/valkey/index.js';
import { startValkey, type ValkeyServer } from '../support/valkey/index.js';

const PARTITION = '{fp:0}';
const WAKE = {
  kind: 'work',
  laneId: 'lane',
  partition: PARTITION,
  executionKind: 'k',
  priority: 0,
  requiredCapabilities: [],
};
const LIMIT_MS = 20_000;
const idOf = (n: number): string => `${PARTITION}:00000000-0000-4000-a000-${String(n).padStart(12, '0')}`;

let server: ValkeyServer;
let backend: Backend;

beforeEach(async () => {
  server = await startValkey({ appendonly: true, args: ['--appendfsync', 'always'] });
  backend = await valkey({ url: server.url, callTimeoutMs: 1_000, partitions: { count: 1 } });
});
afterEach(async () => {
  await backend?.close();
  await server?.stop();
});

const create = (n: number) =>
  backend.createExecution({
    executionId: idOf(n),
    namespace: 'n',
    laneId: 'lane',
    executionKind: 'k',
    creatorIdentity: 'c',
  });

/** Repeats a call for as long as it fails in a way that its caller may retry. */
async function persistently<Value>(call: () => Promise<Value>): Promise<Value> {
  const deadline = performance.now() + LIMIT_MS;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof EngineError) || !error.retryable || performance.now() > deadline) throw error;
      await sleep(50);
    }
  }
}

test('a server that does not answer in time causes a retryable timeout', async () => {
  const admin = new Valkey(server.url);
  await admin.call('CLIENT', 'PAUSE', '3000', 'ALL');
  const startedAt = performance.now();
  const error = await create(1).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(performance.now() - startedAt).toBeLessThan(2_900);
  expect(error).toMatchObject({ name: 'EngineError', retryable: true });
  expect(['call_timeout', 'transport_failed']).toContain((error as EngineError).code);
  expect((error as EngineError).message).toContain(`127.0.0.1:${server.port}`);
  admin.disconnect();
  expect(['created', 'duplicate']).toContain((await persistently(() => create(1))).kind);
});

test('work survives the death of the server, and calls continue after its return', async () => {
  await create(1);
  await server.kill('SIGKILL');
  const error = await create(2).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ name: 'EngineError', retryable: true });
  await server.restart();
  expect((await persistently(() => create(2))).kind).toMatch(/created|duplicate/);
  expect((await backend.listExecutions({ partition: PARTITION })).executions).toEqual([idOf(1), idOf(2)]);
  const { events } = await backend.readLog({ partition: PARTITION });
  expect(events.map(({ sequence }) => sequence)).toEqual([1, 2]);
});

test('wakes arrive, also after the connection was lost', async () => {
  const wakes: Wake[] = [];
  await backend.onWake(['lane'], (wake) => void ('arriving' in wake || wake.kind === 'resync' || wakes.push(wake)));
  const woken = async (): Promise<void> => {
    const deadline = performance.now() + LIMIT_MS;
    for (let n = 1; wakes.length === 0; n++) {
      expect(performance.now()).toBeLessThan(deadline);
      // A wake can be lost while the subscription is renewed: cause another one.
      await persistently(() => create(n + 100 * wakesSeen));
      await persistently(() =>
        backend.cancelExecution({ executionId: idOf(n + 100 * wakesSeen), reason: 'r', source: 'operator_override' }),
      ).catch(() => undefined);
      await sleep(50);
    }
  };
  let wakesSeen = 0;
  await woken();
  expect(wakes[0]).toEqual(WAKE);
  wakesSeen = 1;
  await server.restart();
  wakes.length = 0;
  await woken();
  expect(wakes[0]).toEqual(WAKE);
});

test('a library that is lost with the server is loaded again', async () => {
  await create(1);
  const admin = new Valkey(server.url);
  await admin.call('FUNCTION', 'FLUSH');
  admin.disconnect();
  await server.restart();
  expect((await persistently(() => create(2))).kind).toMatch(/created|duplicate/);
});

test('a backend that is closed during a call ends that call', async () => {
  await server.kill('SIGSTOP');
  const call = create(1).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  await sleep(50);
  await backend.close();
  const error = await call;
  expect(error).toBeInstanceOf(EngineError);
  expect(['backend_closed', 'transport_failed', 'call_timeout']).toContain((error as EngineError).code);
  await server.kill('SIGCONT');
});
