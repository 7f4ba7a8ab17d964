/** The rights that a user needs: exactly those that `aclOf` gives, named when one is missing. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import { Valkey } from 'iovalkey';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { commandsIn } from '../../lua/commands.js';
import { library } from '../../lua/library.js';
import type { EngineError } from '../../model/errors.js';
import { app } from '../../src/index.js';
import type { Backend, Wake } from '../../src/backend/backend.js';
import { aclOf, valkey, type ValkeyOptions } from '../../src/valkey/index.js';
import { neededRights } from '../../src/valkey/boot/rights.js';
import { startValkey, type ValkeyServer } from '../support/valkey/index.js';
import { useApp, useEverything } from './acl-support.js';

const run = promisify(execFile);

let server: ValkeyServer;
let admin: Valkey;
const open: Backend[] = [];

beforeAll(async () => {
  server = await startValkey();
  admin = new Valkey(server.url);
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((backend) => backend.close()));
  await admin.flushall();
  await admin.call('ACL', 'LOG', 'RESET');
});
afterAll(async () => {
  admin.disconnect();
  await server.stop();
});

async function makeUser(options: Parameters<typeof aclOf>[0], ...more: string[]): Promise<string> {
  const { user, rules } = aclOf(options);
  await admin.call('ACL', 'SETUSER', user, '>secret', ...rules, ...more);
  return server.url.replace('//', `//${user}:secret@`);
}

async function opened(url: string, options: ValkeyOptions = {}): Promise<Backend> {
  const backend = await valkey({ url, partitions: { count: 2 }, callTimeoutMs: 2_000, ...options });
  open.push(backend);
  return backend;
}

const errorOf = async (call: Promise<unknown>): Promise<EngineError> =>
  call.then(
    () => expect.fail('it was allowed'),
    (error: EngineError) => error,
  );

const denials = async (): Promise<string> => JSON.stringify(await admin.call('ACL', 'LOG'));

describe('a user with the rights of aclOf', () => {
  test('can run every operation without a refusal', async () => {
    const url = await makeUser({ prefix: 'ff:', cluster: false, user: 'least' });
    const backend = await opened(url);
    await useEverything(backend, '{fp:0}');
    await useApp(backend);
    await admin.call('FUNCTION', 'FLUSH');
    await useApp(backend);
    expect(await denials()).toBe('[]');
  });

  test('is made by the command, pasted into a shell or into the prompt of a client', async () => {
    for (const prefix of ['ff:', `a'b"$c\`*[x]\\|~;`]) {
      const { user, rules, command } = aclOf({ prefix, user: "o'neil$1", database: 1 });
      const { stdout } = await run('sh', ['-c', `printf '%s\\n' ${command}`]);
      expect(stdout.split('\n').slice(0, -1)).toEqual(['ACL', 'SETUSER', user, '>PASSWORD', ...rules]);
      // A line of the inline protocol is read as the prompt of `valkey-cli` reads it.
      const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
      socket.write(`${command}\r\n`);
      const [answer] = await once(socket, 'data');
      socket.destroy();
      expect(String(answer)).toBe('+OK\r\n');
      const found = (await admin.call('ACL', 'GETUSER', user)) as unknown[];
      const keys = String(found[found.indexOf('keys') + 1]).split(' ');
      expect(keys.sort()).toEqual(rules.filter((rule) => rule.startsWith('~')).sort());
    }
  });

  test('cannot touch the server, another prefix, or another channel', async () => {
    const url = await makeUser({ prefix: 'ff:', user: 'least', verify: false });
    await opened(url);
    const own = new Valkey(url);
    const allowed: string[][] = [
      ['GET', 'ff:{fp:0}:x'],
      ['SET', 'ff:deployment', '{}'],
    ];
    for (const words of allowed) await own.call(words[0] as string, words.slice(1));
    const denied: string[][] = [
      ['FLUSHALL'],
      ['FLUSHDB'],
      ['CONFIG', 'GET', 'requirepass'],
      ['CONFIG', 'SET', 'maxmemory', '1'],
      ['ACL', 'LIST'],
      ['KEYS', '*'],
      ['SCAN', '0'],
      ['SHUTDOWN'],
      ['CLIENT', 'LIST'],
      ['MONITOR'],
      ['EVAL', 'return 1', '0'],
      ['FUNCTION', 'FLUSH'],
      ['FUNCTION', 'DELETE', library('production').name],
      ['FUNCTION', 'LIST'],
      ['REPLICAOF', 'NO', 'ONE'],
      ['SELECT', '1'],
      ['GET', 'other:{fp:0}:x'],
      ['SET', 'ff2:{fp:0}:x', '1'],
      ['SET', 'ff:', '1'],
      ['SET', 'ff:deployments', '1'],
      ['DEL', 'ff:{fp:0}:x', 'foreign'],
      ['MGET', 'ff:{fp:0}:x', 'foreign'],
      ['PUBLISH', 'other:timers', 'x'],
      ['PUBLISH', 'ff:timers2', 'x'],
      ['SUBSCRIBE', 'ff:'],
      ['SUBSCRIBE', 'foreign'],
      [
        'FCALL',
        `${library('production').functionPrefix}read`,
        '2',
        'other:{fp:0}:log',
        'other:{fp:0}:absent',
        '1',
        '1',
        '0',
        'list_lanes',
      ],
    ];
    for (const words of denied)
      await expect(own.call(words[0] as string, words.slice(1)), words.join(' ')).rejects.toThrow(
        /NOPERM|No permissions/,
      );
    own.disconnect();
  });

  test('can rebuild the indexes of a partition unless the right to list keys was left out', async () => {
    const able = await opened(await makeUser({ prefix: 'ff:', user: 'able' }));
    expect(able.capabilities()).toMatchObject({ supports: { verifyPartition: true }, server: { wakes: true } });
    expect(await able.verifyPartition({ partition: '{fp:0}' })).toMatchObject({ executions: 0, findings: [] });
    expect(await denials()).toBe('[]');
    const unable = await opened(await makeUser({ prefix: 'ff:', user: 'unable', verify: false }));
    expect(unable.capabilities()).toMatchObject({ supports: { verifyPartition: false, claimForWorker: true } });
    expect((await errorOf(unable.verifyPartition({ partition: '{fp:0}' }))).code).toBe('server_refused');
  });

  test('of a prefix that contains pattern characters is limited to that prefix', async () => {
    const prefix = 'a*[b]?\\';
    const url = await makeUser({ prefix, user: 'pattern' });
    const backend = await opened(url, { prefix });
    await useEverything(backend, '{fp:1}');
    const own = new Valkey(url);
    for (const key of ['axb?\\{fp:0}:x', 'a*bx\\{fp:0}:x', 'ab{fp:0}:x'])
      await expect(own.get(key), key).rejects.toThrow('NOPERM');
    own.disconnect();
  });

  test('may leave the loading of the library to another user', async () => {
    const url = await makeUser({ user: 'visitor', library: 'verify' });
    await admin.call('FUNCTION', 'FLUSH');
    expect(await errorOf(opened(url))).toMatchObject({ code: 'server_refused' });
    expect(await errorOf(opened(url, { library: 'verify' }))).toMatchObject({ code: 'library_mismatch' });
    await opened(server.url);
    const backend = await opened(url, { library: 'verify' });
    await useEverything(backend, '{fp:0}');
  });

  test('in another database needs the right to select it', async () => {
    const url = `${await makeUser({ user: 'second', database: 3 })}/3`;
    await useEverything(await opened(url), '{fp:0}');
    // Without it nothing goes to another database instead, neither later
    const backend = await opened(url);
    await admin.flushall();
    await makeUser({ user: 'second' });
    await admin.call('CLIENT', 'KILL', 'USER', 'second');
    for (let i = 0; i < 5; i++) await errorOf(backend.listLanes());
    expect(await errorOf(backend.listLanes())).toMatchObject({ code: 'server_refused' });
    expect(await admin.dbsize()).toBe(0);
    // nor at boot.
    const lacking = `${await makeUser({ user: 'second' })}/3`;
    await admin.flushall();
    const error = await errorOf(opened(lacking));
    expect(error).toMatchObject({ code: 'server_refused' });
    expect(error.message).toContain('select');
    expect(await admin.dbsize()).toBe(0);
  });
});

describe('a right that is missing', () => {
  const counts = { count: 2, budgets: 2, quotas: 2 };
  const rights = neededRights({ prefix: 'ff:', counts, isCluster: false, library: library('production') });
  const commands = [
    ...new Set(rights.filter(({ neededFor }) => neededFor === 'work').map(({ words }) => words[0] as string)),
  ];

  test.each(commands)('%s is named before anything is written', async (command) => {
    await opened(server.url);
    const url = await makeUser({ user: 'lacking' }, `-${command}`);
    const error = await errorOf(opened(url));
    expect(error).toMatchObject({ code: 'server_refused', retryable: false });
    expect(error.message).toContain(command);
  });

  test('to keys is named with a key', async () => {
    await opened(server.url);
    const url = await makeUser({ user: 'lacking' }, 'resetkeys', '~ff:{fp:0}*', '~ff:deployment', '~ff:builds');
    const error = await errorOf(opened(url));
    expect(error).toMatchObject({ code: 'server_refused' });
    expect(error.message).toContain('key ff:{fp:1}');
  });

  test.each(['fp', 'b', 'q', 'w'])('to keys of the family {%s:...} is named with a key', async (family) => {
    await opened(server.url);
    const others = ['fp', 'b', 'q', 'w'].filter((other) => other !== family).map((other) => `~ff:{${other}:*`);
    const url = await makeUser({ user: 'lacking' }, 'resetkeys', ...others, '~ff:deployment', '~ff:builds');
    const error = await errorOf(opened(url));
    expect(error).toMatchObject({ code: 'server_refused' });
    expect(error.message).toContain(`key ff:{${family}:`);
  });

  test('to read or to write is named', async () => {
    await opened(server.url);
    const url = await makeUser({ user: 'lacking' }, 'resetkeys', '%R~ff:*');
    expect(await errorOf(opened(url))).toMatchObject({ code: 'server_refused' });
  });

  test('to channels is reported, and work is found without them', async () => {
    await opened(server.url);
    const url = await makeUser({ user: 'deaf' }, 'resetchannels');
    const notices: EngineError[] = [];
    const warnings: unknown[] = [];
    const backend = await opened(url, { onNotice: (notice) => notices.push(notice) });
    expect(notices).toMatchObject([{ code: 'server_refused' }]);
    expect(backend.capabilities().server).toMatchObject({ wakes: false, cluster: false });
    expect(notices[0]?.message).toContain('channel ff:timers');
    expect(notices[0]?.message).toContain('channel ff:wake:');
    const log = {
      debug() {},
      info() {},
      warn: (_text: string, ...errors: unknown[]) => warnings.push(...errors),
      error() {},
    };
    const client = app({ backend, closeBackend: false, log });
    const echo = client.task('echo', ({ input }: { input: string }) => input);
    await client.worker();
    expect(await echo.run('x').result({ timeout: '10s' })).toBe('x');
    expect(warnings).toEqual(notices);
    // What another process creates is found by the sweep; state and log of what this one creates agree.
    const executionId = `{fp:0}:${randomUUID()}`;
    const args = { executionId, namespace: 'n', laneId: 'other', executionKind: 'k', creatorIdentity: 'c' };
    expect(await backend.createExecution({ ...args, delayUntil: Date.now() + 60_000 })).toMatchObject({
      kind: 'created',
    });
    const { events } = await backend.readLog({ partition: '{fp:0}' });
    expect(events.some(({ event }) => (event as { executionId?: string }).executionId === executionId)).toBe(true);
    expect(await backend.readExecutionState({ executionId })).toBeDefined();
    await client.close();
  });

  test.each(['hmget', 'hget', 'hset'])(
    '%s, taken away for a moment, is not taken for damage: nothing is set aside or lost',
    async (right) => {
      const url = await makeUser({ user: 'short' });
      const backend = await opened(url);
      const executionId = `{fp:0}:${randomUUID()}`;
      const tags = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`a.b${i}`, 'x'.repeat(1_000)]));
      const args = { executionId, namespace: 'n', laneId: 'lane', executionKind: 'k', creatorIdentity: 'c', tags };
      await backend.createExecution(args);
      await admin.call('ACL', 'SETUSER', 'short', `-${right}`);
      const claim = {
        ...{ partition: '{fp:0}', laneId: 'lane', workerId: 'w', workerInstanceId: 'w' },
        claims: [{ leaseId: randomUUID(), attemptId: randomUUID() }],
      };
      const calls = [
        backend.setExecutionTags({ executionId, tags: { ...tags, 'a.b0': 'y'.repeat(1_000) } }),
        backend.cancelExecution({ executionId, reason: 'r', source: 'operator_override' }),
        backend.claimForWorker(claim),
      ];
      const codes = await Promise.all(
        calls.map((call) =>
          call.then(
            () => 'done',
            (error: EngineError) => error.code,
          ),
        ),
      );
      expect(codes.filter((code) => code !== 'done' && code !== 'server_refused')).toEqual([]);
      expect(codes).toContain('server_refused');
      await makeUser({ user: 'short' });
      expect((await backend.listQuarantined({ partition: '{fp:0}' })).entries).toEqual([]);
      const { tags: now } = (await backend.describeExecution({ executionId })) ?? {};
      expect({ ...now, 'a.b0': '' }).toEqual({ ...tags, 'a.b0': '' });
    },
  );

  test('to channels that is granted later starts the wakes', async () => {
    const url = await makeUser({ user: 'healed' }, 'resetchannels');
    const backend = await opened(url);
    const heard: Wake[] = [];
    await backend.onWake(['lane'], (wake) => heard.push(wake));
    await makeUser({ user: 'healed' });
    // The next look at the server is after a reconnection, or minutes later.
    await admin.call('CLIENT', 'KILL', 'USER', 'healed');
    for (let i = 0; i < 500 && heard.length === 0; i++) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(heard).toEqual([{ kind: 'resync' }]);
  });
});

describe('the commands of the library', () => {
  test('are read from its text', () => {
    const lua = `
      -- store('FLUSHALL')
      --[[ command('KEYS') ]]
      local text = "store('SHUTDOWN')"
      store('GET', key)
      command("HGETALL",
        key)
      local time = server.call('TIME')
      server.pcall('PUBLISH', channel, text)
      local change = { 'HSET', key }
      local options = { 'x', 'NX' }
      store(unpack(change))
      store('XINFO', 'STREAM', key)
      local function command(name) end`;
    expect(commandsIn(lua)).toEqual(['get', 'hgetall', 'hset', 'publish', 'time', 'xinfo|stream']);
  });

  test('must be literals', () => {
    expect(() => commandsIn("store(name, 'x')")).toThrow('does not name its command');
  });

  test('all exist', async () => {
    for (const command of library('production').commands)
      expect(await admin.call('COMMAND', 'INFO', command), command).not.toEqual([null]);
  });
});
