/** Several versions of the library and several processes on one server, and a server that comes back empty. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Valkey } from 'iovalkey';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { library } from '../../lua/library.js';
import { SIGNATURES } from '../../lua/signatures.js';
import type { EngineError } from '../../model/errors.js';
import type { Backend } from '../../src/backend/backend.js';
import { LibraryKeeper } from '../../src/valkey/boot/library.js';
import { DeploymentRecord } from '../../src/valkey/boot/deployment.js';
import { app } from '../../src/index.js';
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
  admin.on('error', () => undefined);
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
  const other = source
    .replace(new RegExp(`(return \\{ \\d+, )\\d+(?=, "${hash}")`), `$1${build}`)
    .replaceAll(hash, `build-${build}`);
  expect(other).not.toBe(source);
  return other;
}

/** What a process of that version does when it opens. */
async function openedByBuild(build: number): Promise<void> {
  await admin.zadd('ff:builds', 'GT', build, own.name);
  await admin.call('FUNCTION', 'LOAD', 'REPLACE', ofBuild(build));
}

/** The record of the deployment, apart from what is new each time that it is written. */
const settled = async (): Promise<object> => {
  const { incarnation: _, ...members } = JSON.parse((await admin.get('ff:deployment')) ?? '{}') as {
    incarnation?: string;
  };
  return members;
};

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
  const deadline = performance.now() + 20_000;
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

test('calls of an old process wait within their timeout for a process that has the newer build', async () => {
  const old = await opened({ callTimeoutMs: 5_000 });
  await openedByBuild(own.build + 1);
  await admin.call('FUNCTION', 'FLUSH');
  const waiting = create(old);
  await sleep(100);
  await openedByBuild(own.build + 1);
  expect((await waiting).kind).toBe('created');
  expect(await loadedBuild()).toBe(own.build + 1);
});

test('a process that saw the newer build remembers it when the server is emptied', async () => {
  await opened();
  await openedByBuild(own.build + 1);
  const old = await opened();
  await admin.flushall();
  await admin.call('FUNCTION', 'FLUSH');
  expect(await codeOf(create(old))).toBe('library_mismatch');
  expect(await loadedBuild()).toBeUndefined();
});

test('a newer build that is loaded between the check and the loading stays', async () => {
  /** Another process is faster: between two commands of this one. */
  const racing = new Proxy(admin, {
    get(target, name) {
      if (name === 'zscore')
        return async (...args: [string, string]) => {
          const found = await target.zscore(...args);
          await admin.call('FUNCTION', 'LOAD', 'REPLACE', ofBuild(own.build + 1));
          return found;
        };
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  await new LibraryKeeper(racing, new DeploymentRecord(racing, 'ff:'), 'production').ensureLoaded('load');
  expect(await loadedBuild()).toBe(own.build + 1);
});

test('an older build that a racing process loaded over the newer one is replaced within seconds', async () => {
  await openedByBuild(own.build - 2);
  vi.useFakeTimers({ toFake: ['setTimeout'], shouldAdvanceTime: true });
  try {
    await opened();
    expect(await loadedBuild()).toBe(own.build);
    // It had looked before this process noted its build.
    await admin.call('FUNCTION', 'LOAD', 'REPLACE', ofBuild(own.build - 1));
    vi.advanceTimersByTime(10_000);
    await until(async () => (await loadedBuild()) === own.build);
  } finally {
    vi.useRealTimers();
  }
});

describe('on a full server', () => {
  const fill = (maxmemory: number) => admin.config('SET', 'maxmemory', maxmemory);

  test('a process uses an older build that has all its operations, until there is room for its own', async () => {
    const executionId = `{fp:0}:${randomUUID()}`;
    await create(await opened(), executionId);
    await admin.call('FUNCTION', 'LOAD', 'REPLACE', ofBuild(own.build - 1));
    await admin.zadd('ff:builds', own.build - 1, own.name);
    await fill(1);
    const notices: EngineError[] = [];
    const backend = await opened({ onNotice: (notice) => notices.push(notice) });
    expect(await loadedBuild()).toBe(own.build - 1);
    expect(notices).toMatchObject([{ code: 'server_memory_full' }]);
    expect(notices[0]?.message).toContain(`build ${own.build - 1} is in use`);
    // What ends work frees memory.
    const cancelled = await backend.cancelExecution({ executionId, reason: 'r', source: 'operator_override' });
    expect(cancelled).toMatchObject({ kind: 'cancelled' });
    expect(await codeOf(create(backend))).toBe('server_memory_full');
    await fill(0);
    await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await until(async () => (await loadedBuild()) === own.build);
    expect((await create(backend)).kind).toBe('created');
  });

  test.each([
    ['no library', () => admin.call('FUNCTION', 'FLUSH')],
    [
      'an older one without its operations',
      () => {
        const { pauseLane } = SIGNATURES;
        const source = ofBuild(own.build - 1).replaceAll(pauseLane, pauseLane.replace(/:\w{6}:/, ':000000:'));
        return admin.call('FUNCTION', 'LOAD', 'REPLACE', source);
      },
    ],
  ])('a process that finds %s says what has no room', async (_, leave) => {
    const backend = await opened();
    await backend.close();
    await leave();
    await fill(1);
    await expect(opened()).rejects.toMatchObject({
      code: 'server_memory_full',
      message: expect.stringContaining(`no room for ${own.name} of build ${own.build}`),
    });
  });
});

test('a library that expects other arguments is a mismatch at once, without a loop', async () => {
  // It looks for the bytes in another place than this process puts them, and answers that they are not there.
  const source = ofBuild(own.build + 1);
  const other = source.replace(/('execute'), execute\)/, '$1, function() return { -2 } end)');
  expect(other).not.toBe(source);
  await admin.call('FUNCTION', 'LOAD', 'REPLACE', other);
  const backend = await opened({ callTimeoutMs: 20_000 });
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
  expect(performance.now() - startedAt).toBeLessThan(10_000);
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

test('the whole record is written again when the server comes back empty', async () => {
  const backend = await opened({ partitions: { count: 5 }, callTimeoutMs: 5_000 });
  const record = await settled();
  // No file: what was stored is gone.
  await server.restart();
  await until(async () => (await admin.get('ff:deployment').catch(() => null)) !== null);
  expect(await settled()).toEqual(record);
  await until(async () => (await loadedBuild()) === own.build);
  expect((await create(backend)).kind).toBe('created');
  expect(await codeOf(opened({ partitions: { count: 6 } }))).toBe('partition_mismatch');
});

test('a record that is lost is written again by the first call that needs it, and one that is none by the next check', async () => {
  const backend = await opened();
  await admin.del('ff:deployment');
  expect(await backend.configureDeployment({ retentionMs: 120_000 })).toMatchObject({
    retentionMs: 120_000,
    version: 2,
  });
  await admin.del('ff:deployment');
  await backend.createBudget({ budgetId: randomUUID(), limits: { tokens: { hard: 1 } } });
  const known = (await admin.get('ff:deployment')) ?? '';
  expect(JSON.parse(known)).toMatchObject({ retentionMs: 120_000, version: 3, families: ['budget'] });
  await admin.set('ff:deployment', 'rubbish');
  await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await until(async () => (await admin.get('ff:deployment')) === known);
});

test('a record that has gone is told once by each process that knew it, and not by one that starts later', async () => {
  const [notices, others, late]: EngineError[][] = [[], [], []];
  await opened({ onNotice: (notice) => notices?.push(notice) });
  await opened({ onNotice: (notice) => others?.push(notice) });
  await admin.flushall();
  await opened({ onNotice: (notice) => late?.push(notice) });
  await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await until(() => notices?.length === 1 && others?.length === 1);
  await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await sleep(900);
  for (const told of [notices, others]) expect(told).toMatchObject([{ code: 'server_emptied', retryable: false }]);
  expect(notices?.[0]?.message).toContain('ff:deployment was gone, and another process has written it again: ');
  expect(late).toEqual([]);
});

test('a record that has gone is told by the process that writes it again', async () => {
  const notices: EngineError[] = [];
  await opened({ onNotice: (notice) => notices.push(notice) });
  await admin.flushall();
  await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await until(() => notices.length === 1);
  expect(notices).toMatchObject([{ code: 'server_emptied', retryable: false }]);
  expect(notices[0]?.message).toContain('ff:deployment is gone');
});

test('a server without an append-only file is logged at boot, once for each backend; one with it is not', async () => {
  const lines: string[] = [];
  const at = () => (message: string) => void lines.push(message);
  const log = { debug: at(), info: at(), warn: at(), error: at() };
  for (const appendOnly of [false, true]) {
    await admin.config('SET', 'appendonly', appendOnly ? 'yes' : 'no');
    const backend = await opened();
    expect(backend.capabilities().server).toMatchObject({ appendOnly });
    const a = app({ backend, log });
    await a.backend();
    await a.task(`t${appendOnly}`, () => 1).run();
  }
  await admin.config('SET', 'appendonly', 'no');
  expect(lines).toEqual([expect.stringContaining('no append-only file (`appendonly no`)')]);
});

test('members of the record that a newer version wrote are kept', async () => {
  const newer = JSON.stringify({ count: 3, placement: 'lane', contract: own.contract, logMaxEntries: 7 });
  await admin.set('ff:deployment', newer);
  await opened();
  await admin.flushall();
  await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await until(async () => (await admin.get('ff:deployment')) !== null);
  expect(await settled()).toEqual(JSON.parse(newer));
});

test('an eviction policy that becomes unsafe is reported, once until it is corrected', async () => {
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
  // The look after a reconnection has no sign if it finds nothing; it comes within 600 ms on a machine with nothing else to do.
  await sleep(2_000);
  await admin.config('SET', 'maxmemory-policy', 'volatile-ttl');
  await reconnect();
  await until(() => notices.length > 1);
  expect(notices[1]?.message).toContain('volatile-ttl');
});

test('the eviction policy is checked every few minutes, also while the connection lasts', async () => {
  vi.useFakeTimers({ toFake: ['setInterval'] });
  const notices: EngineError[] = [];
  try {
    await opened({ onNotice: (notice) => notices.push(notice) });
    await admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
    await sleep(100);
    expect(notices).toEqual([]);
    vi.advanceTimersByTime(300_000);
  } finally {
    vi.useRealTimers();
  }
  await until(() => notices.length > 0);
  expect(notices).toMatchObject([{ code: 'unsafe_eviction_policy' }]);
});

test('the replacement of a deployment by another one under the same prefix is reported', async () => {
  const notices: EngineError[] = [];
  await opened({ partitions: { count: 5 }, onNotice: (notice) => notices.push(notice) });
  await admin.set('ff:deployment', JSON.stringify({ count: 6, placement: 'spread', contract: own.contract }));
  await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await until(() => notices.length > 0);
  expect(notices[0]).toMatchObject({ code: 'partition_mismatch', detail: { stored: '6', config: '5' } });
});

test('processes learn of changed settings with their next call, whichever process changed them', async () => {
  const first = await opened({ partitions: { count: 3 }, retentionMs: 60_000 });
  const second = await opened();
  expect(second.settings).toEqual({
    version: 1,
    families: [],
    retentionMs: 60_000,
    logMaxEntries: 100_000,
    indexedTags: [],
  });
  const changed = await first.configureDeployment({ retentionMs: 120_000, indexedTags: ['team.name', 'a.b'] });
  expect(changed).toEqual({ ...second.settings, version: 2, retentionMs: 120_000, indexedTags: ['a.b', 'team.name'] });
  expect(second.settings.version).toBe(1);
  expect((await create(second, `{fp:2}:${randomUUID()}`)).kind).toBe('created');
  expect(second.settings).toEqual(changed);
  // The same again is no change, and a read tells as much as a command.
  expect((await second.configureDeployment({ retentionMs: 120_000 })).version).toBe(2);
  await second.configureDeployment({ logMaxEntries: 5_000 });
  expect((await first.readCounts({ partition: '{fp:1}' })).lanes).toEqual([]);
  expect(first.settings).toEqual({ ...changed, version: 3, logMaxEntries: 5_000 });
  expect(await codeOf(opened({ retentionMs: 60_000 }))).toBe('settings_mismatch');
  expect((await opened({ retentionMs: 120_000, indexedTags: ['team.name', 'a.b'] })).settings.version).toBe(3);
});

test('calls that learn of changed settings together all run', async () => {
  const partitions = 16;
  const first = await opened({ partitions: { count: partitions } });
  const stale = await opened();
  await first.configureDeployment({ retentionMs: 120_000 });
  const ids = Array.from({ length: partitions }, (_, partition) => `{fp:${partition}}:${randomUUID()}`);
  const outcomes = await Promise.all(ids.map((id) => create(stale, id)));
  expect(outcomes.map(({ kind }) => kind)).toEqual(ids.map(() => 'created'));
  expect(stale.settings.version).toBe(2);
});

test('calls of stale processes do not run, and concurrent changes do not overwrite each other', async () => {
  const processes = await Promise.all([1, 2, 3, 4].map(() => opened({ partitions: { count: 2 } })));
  const changes = [
    { retentionMs: 61_000 },
    { logMaxEntries: 7_000 },
    { indexedTags: ['x.y'] },
    { retentionMs: 62_000 },
  ];
  await Promise.all(processes.map((each, i) => each.configureDeployment(changes[i] as object)));
  const [last] = processes as [Backend];
  await create(last);
  expect(last.settings).toMatchObject({ version: 5, logMaxEntries: 7_000, indexedTags: ['x.y'] });
  // The record of a version that no partition has seen, and a partition that is ahead of the record.
  const position = await admin.hget('ff:{fp:0}:header', 'p');
  expect(position).toMatch(/\tv5$/);
  await admin.hset('ff:{fp:0}:header', 'p', (position ?? '').replace(/5$/, '6'));
  const events = await admin.xlen('ff:{fp:0}:log');
  expect(await codeOf(create(last))).toBe('settings_changed');
  expect(await admin.xlen('ff:{fp:0}:log')).toBe(events);
});

test('a server that comes back empty gets the newest settings of any living process', async () => {
  const stale = await opened({ callTimeoutMs: 5_000 });
  const fresh = await opened({ callTimeoutMs: 5_000 });
  await fresh.configureDeployment({ retentionMs: 90_000 });
  await server.restart();
  await until(async () => JSON.parse((await admin.get('ff:deployment').catch(() => null)) ?? '{}').version === 2);
  await create(fresh);
  await create(stale);
  expect([stale.settings, fresh.settings]).toMatchObject([{ retentionMs: 90_000 }, { retentionMs: 90_000 }]);
});

test('invalid settings are refused', async () => {
  const backend = await opened();
  expect(await codeOf(backend.configureDeployment({ retention: 1 } as object))).toBe('invalid_input');
  expect(await codeOf(backend.configureDeployment({ indexedTags: ['Team'] }))).toBe('invalid_input');
  const many = Array.from({ length: 17 }, (_, i) => `a.k${i}`);
  expect(await codeOf(backend.configureDeployment({ indexedTags: many }))).toBe('invalid_input');
  expect(backend.settings.version).toBe(1);
  await admin.set(
    'bad:deployment',
    JSON.stringify({ count: 1, placement: 'spread', contract: own.contract, version: 'x' }),
  );
  expect(await codeOf(opened({ prefix: 'bad:' }))).toBe('corruption');
});

/** A newer library in which an operation has another signature. */
function ofOtherShape(signature: string, other: string): string {
  const source = ofBuild(own.build + 1);
  expect(source).toContain(signature);
  return source.replaceAll(signature, other);
}

test('a library with another form of an operation is a mismatch at once, at boot and in a running process', async () => {
  const running = await opened({ callTimeoutMs: 5_000 });
  const signature = SIGNATURES.createExecution;
  const other = signature.replace(/:\w{6}:/, ':000000:');
  await admin.zadd('ff:builds', 'GT', own.build + 1, own.name);
  await admin.call('FUNCTION', 'LOAD', 'REPLACE', ofOtherShape(signature, other));
  await admin.config('RESETSTAT');
  const executionId = `{fp:0}:${randomUUID()}`;
  expect(await codeOf(create(running, executionId))).toBe('library_mismatch');
  expect(Number(/cmdstat_fcall:calls=(\d+)/.exec(await admin.info('commandstats'))?.[1])).toBe(1);
  expect(await admin.exists(`ff:${executionId}`)).toBe(0);
  // What it has in the same form goes on, in the same call too.
  const answers = await running.execute([
    { name: 'pauseLane', args: { partition: '{fp:0}', laneId: 'l' } },
    {
      name: 'createExecution',
      args: { executionId, namespace: 'n', laneId: 'l', executionKind: 'k', creatorIdentity: 'c' },
    },
    { name: 'resumeLane', args: { partition: '{fp:0}', laneId: 'l' } },
  ]);
  expect(answers.map((answer) => (answer.ok ? answer.outcome.kind : (answer.error as EngineError).code))).toEqual([
    'lane_paused',
    'library_mismatch',
    'lane_resumed',
  ]);
  await expect(opened()).rejects.toMatchObject({
    code: 'library_mismatch',
    detail: { operations: 'create_execution' },
  });
});

test('a library whose operation got optional arguments accepts calls without them', async () => {
  const running = await opened({ callTimeoutMs: 5_000 });
  const signature = SIGNATURES.pauseLane;
  const [name, hash, shared, each] = signature.split(':') as [string, string, string, string];
  const more = [name, hash, shared, String(Number(each) + 1)].join(':');
  await admin.zadd('ff:builds', 'GT', own.build + 1, own.name);
  const source = ofOtherShape(signature, more).replace(
    `{ ${shared}, ${each}, "${name}" }`,
    `{ ${shared}, ${Number(each) + 1}, "${name}" }`,
  );
  await admin.call('FUNCTION', 'LOAD', 'REPLACE', source);
  const lane = { partition: '{fp:0}', laneId: 'l' };
  expect((await running.pauseLane({ ...lane, reason: 'why', requestedBy: 'ann' })).kind).toBe('lane_paused');
  expect(await running.readLane(lane)).toMatchObject({ stateReason: 'why', stateChangedBy: 'ann' });
  expect((await create(await opened())).kind).toBe('created');
  // The other way round, a text would be lost: that is refused.
  const fewer = [name, hash, shared, String(Number(each) - 1)].join(':');
  await admin.call('FUNCTION', 'LOAD', 'REPLACE', ofOtherShape(signature, fewer));
  expect(await codeOf(running.pauseLane(lane))).toBe('library_mismatch');
});
