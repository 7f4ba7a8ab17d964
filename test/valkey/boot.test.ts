/** What has to be right before the first call: the server, its library, the partitioning, the address. */
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { Valkey } from 'iovalkey';
import { library } from '../../lua/library.js';
import { EngineError, type ErrorCode } from '../../model/errors.js';
import type { Backend } from '../../src/backend/backend.js';
import { valkey as fromMain } from '../../src/index.js';
import { valkey, type ValkeyOptions } from '../../src/valkey/index.js';
import { checkServer } from '../../src/valkey/boot/server-check.js';
import { freePort, startValkey, type ValkeyServer } from '../support/valkey/index.js';

const wanted = library('production');
let server: ValkeyServer;
let admin: Valkey;
const open: Backend[] = [];

async function boot(options: ValkeyOptions = {}): Promise<Backend> {
  const backend = await valkey({ url: server.url, ...options });
  open.push(backend);
  return backend;
}

async function refused(call: Promise<unknown>, code: ErrorCode): Promise<EngineError> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(EngineError);
  expect((error as EngineError).code).toBe(code);
  return error as EngineError;
}

/** The library as another build would bring it. */
function otherBuild(build: number): string {
  const source = wanted.source
    .replace(
      `return { ${wanted.contract}, ${wanted.build}, "${wanted.hash}"`,
      `return { ${wanted.contract}, ${build}, "${wanted.hash}"`,
    )
    .replaceAll(wanted.hash, '0123456789abcdef');
  expect(source).toContain(`return { ${wanted.contract}, ${build}, "0123456789abcdef"`);
  return source;
}

const loaded = async (): Promise<[number, number, string]> =>
  (await admin.call('FCALL', `${wanted.functionPrefix}version`, 0)) as [number, number, string];
const load = (source: string): Promise<unknown> => admin.call('FUNCTION', 'LOAD', 'REPLACE', source);

beforeAll(async () => {
  server = await startValkey();
  admin = new Valkey(server.url);
});
beforeEach(async () => {
  await Promise.all(open.splice(0).map((backend) => backend.close()));
  await admin.flushall();
  await admin.call('FUNCTION', 'FLUSH');
});
afterAll(async () => {
  await Promise.all(open.map((backend) => backend.close()));
  admin?.disconnect();
  await server?.stop();
});

describe('the library', () => {
  test('is loaded when it is missing', async () => {
    await boot();
    expect((await loaded()).slice(0, 3)).toEqual([wanted.contract, wanted.build, wanted.hash]);
  });

  test('is left alone when it is the same', async () => {
    await boot();
    await boot();
    await boot({ library: 'verify' });
  });

  test('replaces an older build', async () => {
    await load(otherBuild(wanted.build - 1));
    await boot();
    expect((await loaded())[2]).toBe(wanted.hash);
  });

  test('of the same build with other contents is refused, and named', async () => {
    await load(otherBuild(wanted.build));
    const error = await refused(boot(), 'library_mismatch');
    expect(error.message).toContain('0123456789abcdef');
    expect(error.message).toContain(wanted.hash);
    expect(error.message).toContain("`library: 'replace'`");
    expect((await loaded())[2]).toBe('0123456789abcdef');
    await boot({ library: 'replace' });
    expect((await loaded())[2]).toBe(wanted.hash);
  });

  test('of a newer build is used without a change', async () => {
    await load(otherBuild(wanted.build + 1));
    const backend = await boot();
    expect((await loaded())[1]).toBe(wanted.build + 1);
    expect(await backend.listPartitionLanes({ partition: '{fp:0}' })).toMatchObject({ lanes: [] });
  });

  test('is only verified when another user loads it', async () => {
    await refused(boot({ library: 'verify' }), 'library_mismatch');
    await load(otherBuild(wanted.build - 1));
    await refused(boot({ library: 'verify' }), 'library_mismatch');
  });

  test('that was flushed while running is loaded again by the next call', async () => {
    const backend = await boot();
    const calls: (() => Promise<unknown>)[] = [
      () => backend.listPartitionLanes({ partition: '{fp:0}' }),
      () => backend.promoteDelayed({ executionId: '{fp:0}:00000000-0000-4000-a000-000000000000' }),
    ];
    for (const call of calls) {
      await admin.call('FUNCTION', 'FLUSH');
      await expect(call()).resolves.toBeDefined();
      // Many callers at once meet one loading, not many.
      await admin.call('FUNCTION', 'FLUSH');
      await Promise.all(Array.from({ length: 20 }, call));
    }
  });

  test.each(['its name', 'a name of its functions'])(
    'of another program that has taken %s is reported at once',
    async (taken) => {
      const isName = taken === 'its name';
      const name = isName ? wanted.name : 'stranger';
      const called = isName ? 'other' : `${wanted.functionPrefix}read`;
      await load(`#!lua name=${name}\nserver.register_function('${called}', function() return 1 end)`);
      const error = await refused(boot(), 'library_mismatch');
      expect(error.message).toContain(`foreign functions under the names of ${wanted.name}`);
      expect(error.message).toContain(`:${server.port}`);
    },
  );

  test('of tests and that of production coexist', async () => {
    await load(library('test').source);
    await boot();
    const names = JSON.stringify(await admin.call('FUNCTION', 'LIST'));
    expect(names).toContain(`"${wanted.name}"`);
    expect(names).toContain(`"${library('test').name}"`);
  });
});

describe('the server', () => {
  test('that may evict data is refused', async () => {
    await admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
    try {
      const error = await refused(boot(), 'unsafe_eviction_policy');
      expect(error.message).toContain('allkeys-lru');
      expect(error.hint).toContain('noeviction');
    } finally {
      await admin.config('SET', 'maxmemory-policy', 'noeviction');
    }
  });

  test('that is a replica is waited for, though it has the record and the library', async () => {
    await boot();
    await admin.call('REPLICAOF', '127.0.0.1', '1');
    try {
      await refused(boot({ callTimeoutMs: 200 }), 'server_not_ready');
    } finally {
      await admin.call('REPLICAOF', 'NO', 'ONE');
    }
  });

  const info = (facts: Record<string, string>): Map<string, string> => new Map(Object.entries(facts));
  test.each([
    ['Redis', { redis_version: '7.2.4' }],
    ['a Valkey before 8.0', { server_name: 'valkey', redis_version: '7.2.4' }],
    ['something that says nothing', {}],
  ])('%s is refused', (_, facts) => {
    const error = (() => {
      try {
        checkServer(info(facts), 'host:1');
      } catch (reason) {
        return reason;
      }
      return undefined;
    })();
    expect(error).toMatchObject({ code: 'unsupported_server' });
    expect((error as Error).message).toContain('host:1');
  });

  test.each([
    { server_name: 'valkey', redis_version: '7.2.4', valkey_version: '8.1.3', maxmemory_policy: 'noeviction' },
    { valkey_version: '8.0.1' },
    { valkey_version: '10.0.0' },
  ])('Valkey %j is accepted', (facts) => {
    expect(() => checkServer(info(facts as unknown as Record<string, string>), 'host:1')).not.toThrow();
  });
});

describe('the partitioning', () => {
  test('is fixed at the first boot and used by later ones', async () => {
    const first = await boot({ partitions: { count: 5, placement: 'lane' } });
    expect(first.partitions).toEqual({ count: 5, placement: 'lane', budgets: 16, quotas: 16 });
    expect((await boot()).partitions).toEqual(first.partitions);
    expect((await boot({ partitions: { count: 5 } })).partitions).toEqual(first.partitions);
  });

  test('is refused when a later boot asks for another', async () => {
    await boot({ partitions: { count: 5 } });
    expect((await refused(boot({ partitions: { count: 6 } }), 'partition_mismatch')).detail).toEqual({
      field: 'count',
      stored: '5',
      config: '6',
    });
    expect((await refused(boot({ partitions: { placement: 'lane' } }), 'partition_mismatch')).detail).toEqual({
      field: 'placement',
      stored: 'spread',
      config: 'lane',
    });
  });

  test('belongs to its prefix', async () => {
    await boot({ partitions: { count: 5 } });
    expect((await boot({ prefix: 'other:', partitions: { count: 6 } })).partitions.count).toBe(6);
  });

  test.each(['no json', '{"count":0}', '[]', '{"count":"5","placement":"spread"}'])(
    'that is stored as %s is corruption',
    async (text) => {
      await admin.set('ff:deployment', text);
      await refused(boot(), 'corruption');
    },
  );

  test.each([{ count: 0 }, { count: 1.5 }, { count: 65_536 }, { placement: 'elsewhere' }])(
    '%j is refused before anything is stored',
    async (partitions) => {
      await refused(boot({ partitions: partitions as never }), 'invalid_input');
      expect(await admin.exists('ff:deployment')).toBe(0);
    },
  );
});

test('is checked with the other options before a server is contacted', async () => {
  const url = 'valkey://localhost:1';
  for (const options of [
    { partitions: 5 },
    { partitions: null },
    { partitions: { total: 1 } },
    { retentionMs: '5' },
    { logMaxEntries: 0 },
  ])
    await refused(valkey({ url, ...options } as never), 'invalid_input');
});

describe('the address', () => {
  const secret = 'hush-7f3a';

  test.each(['', 'host:6379', `ftp://user:${secret}@host`, `:${secret}@`, 'valkey://'])(
    '%j is refused',
    async (url) => {
      const error = await refused(valkey({ url }), 'invalid_input');
      expect(error.message).not.toContain(secret);
    },
  );

  test('is read from the environment, and named as such', async () => {
    vi.stubEnv('VALKEY_URL', `http://user:${secret}@host`);
    const error = await refused(valkey(), 'invalid_input');
    expect(error.message).toMatch(/VALKEY_URL: must begin with "valkey:.*"rediss:/);
    expect(error.detail).toEqual({ field: 'VALKEY_URL' });
    expect(error.message).not.toContain(secret);
    expect((await refused(valkey({ url: 'x' }), 'invalid_input')).detail).toEqual({ field: 'url' });
    // Most likely another variable that is not set; the default would be another server.
    for (const connect of [valkey, fromMain])
      expect((await refused(connect(undefined), 'invalid_input')).message).toContain('url: is undefined');
    vi.stubEnv('VALKEY_URL', server.url);
    open.push(await valkey());
    vi.unstubAllEnvs();
  });

  test('of a database that the server does not have is refused, and no other database is used', async () => {
    const error = await refused(boot({ url: `${server.url}/99` }), 'invalid_input');
    expect(error.message).toMatch(/database: .*DB index is out of range/);
    await refused(boot({ database: 99 }), 'invalid_input');
    await refused(boot({ database: -1 }), 'invalid_input');
    expect(await admin.dbsize()).toBe(0);
    await boot({ database: 2 });
    expect(await admin.dbsize()).toBe(0);
  });

  test('with a prefix that could break keys is refused', async () => {
    for (const prefix of ['a b', '{x}', 'ü', 'p'.repeat(65)])
      await refused(valkey({ url: server.url, prefix }), 'invalid_input');
  });

  test('where no server listens is reported at once, without its password', async () => {
    const port = await freePort();
    const startedAt = performance.now();
    for (const host of ['127.0.0.1', 'localhost']) {
      const opening = valkey({ url: `valkey://user:${secret}@${host}:${port}`, callTimeoutMs: 60_000 });
      const error = await refused(opening, 'transport_failed');
      expect(error.retryable).toBe(true);
      expect(error.message).toContain(`${host}:${port}`);
      expect(error.message).not.toContain(secret);
      expect(error.hint).not.toBe('');
    }
    // Without waiting for a server.
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });

  test('with a wrong password is refused without showing it', async () => {
    const error = await valkey({
      url: server.url.replace('redis://', `valkey://user:${secret}@`),
      callTimeoutMs: 1_000,
    }).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(EngineError);
    expect(String((error as EngineError).message)).not.toContain(secret);
  });
});
