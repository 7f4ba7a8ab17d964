/** Several versions of the library and several processes on one server, and a server that comes back empty. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Valkey } from 'iovalkey';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { library } from '../../lua/library.js';
import type { EngineError } from '../../model/errors.js';
import type { Backend } from '../../src/backend.js';
import { DeploymentRecord } from '../../src/valkey/boot/deployment.js';
import { valkey, type ValkeyOptions } from '../../src/valkey/index.js';
import { startValkey, type ValkeyServer } from '../support/valkey/index.js';

const own = library('production');
const CALL_TIMEOUT_MS = 500;

let server: ValkeyServer;
let admin: Valkey;
const open: Backend[] = [];
beforeEach(async () => {
  server = await startValkey();
  admin = new Valkey(server.url);
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((backend) => backend.close()));
  admin.disconnect();
  await server.stop();
});

async function opened(options: ValkeyOptions = {}): Promise<Backend> {
  const backend = await valkey({ url: server.url, callTimeoutMs: CALL_TIMEOUT_MS, ...options });
  open.push(backend);
  return backend;
}

/** The library as a process of another version brings it. */
function ofBuild(build: number): string {
  const { source, hash } = own;
  const other = source.replace(/(return \{ \d+, )\d+(?=, )/, `$1${build}`).replaceAll(hash, `build-${build}`);
  expect(other).not.toBe(source);
  return other;
}

/** What a process of that version does when it opens. */
async function openedByBuild(build: number): Promise<void> {
  await admin.zadd('ff:builds', 'GT', build, own.name);
  await admin.call('FUNCTION', 'LOAD', 'REPLACE', ofBuild(build));
}

const loadedBuild = async (): Promise<number | undefined> =>
  admin.call('FCALL', `${own.functionPrefix}version`, 0).then(
    (version) => (version as [number, number])[1],
    () => undefined,
  );
const create = (backend: Backend, executionId = `{fp:0}:${randomUUID()}`) =>
  backend.createExecution({ executionId, namespace: 'n', laneId: 'l', executionKind: 'k', creatorIdentity: 'c' });
const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'resolved',
    (error: EngineError) => error.code,
  );
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await condition())) {
    expect(performance.now(), condition.toString()).toBeLessThan(deadline);
    await sleep(10);
  }
}

test('an old process does not load its build where the deployment had a newer one', async () => {
  const old = await opened();
  await openedByBuild(own.build + 1);
  await create(old);
  await admin.call('FUNCTION', 'FLUSH');
  const calls = await Promise.all([codeOf(create(old)), codeOf(create(old)), codeOf(old.listLanes())]);
  expect(calls).toEqual(['library_mismatch', 'library_mismatch', 'library_mismatch']);
  expect(await loadedBuild()).toBeUndefined();
  // Neither does one that opens now.
  expect(await codeOf(opened())).toBe('library_mismatch');
  expect(await loadedBuild()).toBeUndefined();
});

test('its calls wait within their time for a process that has the newer build', async () => {
  const old = await opened({ callTimeoutMs: 5_000 });
  await openedByBuild(own.build + 1);
  await admin.call('FUNCTION', 'FLUSH');
  const waiting = create(old);
  await sleep(100);
  await openedByBuild(own.build + 1);
  expect((await waiting).kind).toBe('created');
  expect(await loadedBuild()).toBe(own.build + 1);
});

test('a process that saw the newer build remembers it when the server has forgotten all', async () => {
  await opened();
  await openedByBuild(own.build + 1);
  const old = await opened();
  await admin.flushall();
  await admin.call('FUNCTION', 'FLUSH');
  expect(await codeOf(create(old))).toBe('library_mismatch');
  expect(await loadedBuild()).toBeUndefined();
});

test('a library that takes other arguments is a mismatch at once, and no loop', async () => {
  // It looks for the bytes in another place than this process puts them, and answers that they are not there.
  const source = ofBuild(own.build + 1);
  const other = source.replace(/('execute'), execute\)/, '$1, function() return { -2 } end)');
  expect(other).not.toBe(source);
  await admin.call('FUNCTION', 'LOAD', 'REPLACE', other);
  const backend = await opened({ callTimeoutMs: 5_000 });
  await admin.config('RESETSTAT');
  const startedAt = performance.now();
  const executionId = `{fp:0}:${randomUUID()}`;
  const call = backend.createExecution({
    executionId,
    namespace: 'n',
    laneId: 'l',
    executionKind: 'k',
    creatorIdentity: 'c',
    inputPayload: Buffer.from('hello'),
  });
  expect(await codeOf(call)).toBe('library_mismatch');
  expect(performance.now() - startedAt).toBeLessThan(1_000);
  expect(Number(/cmdstat_fcall:calls=(\d+)/.exec(await admin.info('commandstats'))?.[1])).toBeLessThan(10);
  expect(await admin.exists(`ff:${executionId}`)).toBe(0);
});

test('contracts do not share a prefix', async () => {
  await opened();
  expect(JSON.parse((await admin.get('ff:deployment')) ?? '')).toMatchObject({ contract: own.contract });
  const next = new DeploymentRecord(admin, 'ff:', own.contract + 1);
  await expect(next.settle(undefined)).rejects.toMatchObject({
    code: 'library_mismatch',
    detail: { field: 'contract', stored: String(own.contract), config: String(own.contract + 1) },
  });
  await admin.set('next:deployment', JSON.stringify({ count: 4, placement: 'spread', contract: own.contract + 1 }));
  expect(await codeOf(opened({ prefix: 'next:' }))).toBe('library_mismatch');
  // Nothing was changed for those who use it.
  expect(JSON.parse((await admin.get('next:deployment')) ?? '')).toMatchObject({ contract: own.contract + 1 });
});

test('the record is written again, whole, when the server comes back empty', async () => {
  const backend = await opened({ partitions: { count: 5 }, callTimeoutMs: 5_000 });
  const record = await admin.get('ff:deployment');
  // No file: what was stored is gone.
  await server.restart();
  await until(async () => (await admin.get('ff:deployment').catch(() => null)) !== null);
  expect(await admin.get('ff:deployment')).toBe(record);
  await until(async () => (await loadedBuild()) === own.build);
  expect((await create(backend)).kind).toBe('created');
  expect(await codeOf(opened({ partitions: { count: 6 } }))).toBe('partition_mismatch');
});

test('members of the record that a newer version wrote are kept', async () => {
  const newer = JSON.stringify({ count: 3, placement: 'lane', contract: own.contract, logMaxEntries: 7 });
  await admin.set('ff:deployment', newer);
  await opened();
  await admin.flushall();
  await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await until(async () => (await admin.get('ff:deployment')) !== null);
  expect(await admin.get('ff:deployment')).toBe(newer);
});

test('an eviction policy that becomes unsafe is told, once until it is mended', async () => {
  const notices: EngineError[] = [];
  await opened({ onNotice: (notice) => notices.push(notice) });
  const reconnect = () => admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
  await reconnect();
  await until(() => notices.length > 0);
  await reconnect();
  await sleep(900);
  expect(notices).toMatchObject([{ code: 'unsafe_eviction_policy' }]);
  await admin.config('SET', 'maxmemory-policy', 'noeviction');
  await reconnect();
  await sleep(900);
  await admin.config('SET', 'maxmemory-policy', 'volatile-ttl');
  await reconnect();
  await until(() => notices.length > 1);
  expect(notices[1]?.message).toContain('volatile-ttl');
});

test('a deployment that was replaced by another one under the same prefix is told', async () => {
  const notices: EngineError[] = [];
  await opened({ partitions: { count: 5 }, onNotice: (notice) => notices.push(notice) });
  await admin.set('ff:deployment', JSON.stringify({ count: 6, placement: 'spread', contract: own.contract }));
  await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await until(() => notices.length > 0);
  expect(notices[0]).toMatchObject({ code: 'partition_mismatch', detail: { stored: '6', config: '5' } });
});
