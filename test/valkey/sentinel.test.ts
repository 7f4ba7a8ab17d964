/** The primary that Sentinels name, before and after it died. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Valkey } from 'iovalkey';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EngineError } from '../../model/errors.js';
import type { Backend } from '../../src/backend/backend.js';
import { valkey } from '../../src/valkey/index.js';
import { findValkeyProgram, freePort, startValkey, type ValkeyServer } from '../support/valkey/index.js';
import { startSentinel, type Sentinel } from '../support/valkey/sentinel.js';

const NAME = 'main';
const COUNT = 3;

let folder: string;
let primary: ValkeyServer;
let replica: ValkeyServer;
const sentinels: Sentinel[] = [];

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!(await condition().catch(() => false))) {
    expect(performance.now(), condition.toString()).toBeLessThan(deadline);
    await sleep(50);
  }
}

const program = await findValkeyProgram();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flowfabric-sentinel-'));
  primary = await startValkey();
  replica = await startValkey({ replicaOf: primary });
  if (program.kind !== 'binary') return;
  for (let count = 0; count < COUNT; count++) {
    const settings = [`down-after-milliseconds ${NAME} 500`, `failover-timeout ${NAME} 3000`];
    const monitored = { name: NAME, port: primary.port, quorum: 2 };
    sentinels.push(await startSentinel({ program: program.path, folder, monitored, settings }));
  }
  for (const { port } of sentinels) {
    const client = new Valkey(port);
    client.on('error', () => undefined);
    await until(async () => {
      const facts = (await client.call('SENTINEL', 'MASTER', NAME)) as string[];
      const factOf = (name: string) => facts[facts.indexOf(name) + 1];
      return factOf('num-slaves') === '1' && factOf('num-other-sentinels') === String(COUNT - 1);
    });
    client.disconnect();
  }
});
afterAll(async () => {
  for (const sentinel of sentinels) sentinel.stop();
  await Promise.all([primary?.stop(), replica?.stop()]);
  await rm(folder, { recursive: true, force: true });
});

const create = (backend: Backend) =>
  backend.createExecution({
    executionId: `{fp:0}:${randomUUID()}`,
    namespace: 'n',
    laneId: 'lane',
    executionKind: 'k',
    creatorIdentity: 'c',
  });

test.runIf(program.kind === 'binary')('the primary is found, and found again when it died', async () => {
  const addresses = sentinels.map(({ port }) => `127.0.0.1:${port}`);
  const dead = await freePort();
  await using backend = await valkey({
    sentinels: [`127.0.0.1:${dead}`, { host: 'localhost', port: sentinels[0]?.port as number }, ...addresses],
    name: NAME,
    lookup: (_name, options, done) =>
      options.all === true ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4),
    callTimeoutMs: 20_000,
  });
  let resyncs = 0;
  await backend.onWake(['lane'], (wake) => wake.kind === 'resync' && resyncs++);
  await create(backend);
  await sleep(200);
  await primary.kill('SIGKILL');
  await sleep(50);
  // They wait for the successor.
  for (const outcome of await Promise.all(Array.from({ length: 20 }, () => create(backend))))
    expect(outcome.kind).toBe('created');
  const successor = new Valkey(replica.url);
  expect(await successor.info('replication')).toContain('role:master');
  expect(await successor.xlen('ff:{fp:0}:log')).toBe(21);
  successor.disconnect();
  for (let i = 0; i < 500 && resyncs === 0; i++) await sleep(10);
  expect(resyncs).toBe(1);
});

test.runIf(program.kind === 'binary')('a name that no Sentinel knows is refused by name', async () => {
  const address = `127.0.0.1:${sentinels[0]?.port}`;
  const error = await valkey({ sentinels: [address], name: 'unknown', callTimeoutMs: 500 }).then(
    () => undefined,
    (reason: EngineError) => reason,
  );
  expect(error).toMatchObject({ code: 'invalid_input', retryable: false, detail: { field: 'name' } });
  expect(error?.message).toContain('"unknown"');
});

test.each([
  [{ sentinels: ['127.0.0.1:1'] }, 'name'],
  [{ url: 'valkey://localhost', name: 'main' }, 'name'],
  [{ sentinels: [], name: 'main' }, 'sentinels'],
  [{ url: 'valkey://localhost', sentinels: ['127.0.0.1:1'], name: 'main' }, 'url'],
  [{ url: 'valkey://localhost', nodes: ['127.0.0.1:1'] }, 'url'],
  [{ nodes: [] }, 'nodes'],
  [{ nodes: ['127.0.0.1:0'] }, 'nodes'],
  [{ nodes: ['a b'] }, 'nodes'],
  [{ nodes: [{ host: 'x', port: 70_000 }] }, 'nodes'],
  [{ url: 'valkeys://localhost', tls: false }, 'tls'],
  [{ tls: 'yes' }, 'tls'],
  [{ url: 'valkey://localhost/x' }, 'url'],
  [{ url: 'valkey://localhost?family=6' }, 'url'],
  [{ url: 'valkey://localhost?db=1' }, 'url'],
  [{ url: 'valkey://localhost#1' }, 'url'],
  [{ url: 'valkey://a,,b' }, 'url'],
])('%j is refused', async (options, field) => {
  const error: unknown = await valkey(options as never).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'invalid_input', detail: { field } });
});

test('several nodes of a server that is no cluster are refused', async () => {
  const { port } = replica;
  const error: unknown = await valkey({ nodes: [`127.0.0.1:${port}`, `localhost:${port}`] }).catch((e: unknown) => e);
  expect(error).toMatchObject({ code: 'invalid_input', detail: { field: 'url' } });
});
