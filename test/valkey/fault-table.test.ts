/** Each fault of a server has its code, says whether the same call can succeed later, and gives a hint that fits. */
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { ReplyError, Valkey } from 'iovalkey';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EngineError, type ErrorCode } from '../../model/errors.js';
import { BROKE_OFF, BROKE_OFF_UNMARKED } from '../../lua/layout.js';
import { library } from '../../lua/library.js';
import type { Backend } from '../../src/backend/backend.js';
import { BrokeOff, CallTimeout, faultOf, mayRunSoon } from '../../src/valkey/connection/faults.js';
import { CallLost, CallNotSent } from '../../src/valkey/connection/node-faults.js';
import { valkey } from '../../src/valkey/index.js';
import { decodeReply } from '../../src/valkey/wire/format.js';
import { startValkey, type ValkeyServer } from '../support/valkey/index.js';

const reply = (words: string): Error => new ReplyError(words);
const coded = (code: string): Error => Object.assign(new Error(`it says ${code}`), { code });
const unsent = (reason?: unknown): Error => new CallNotSent('node:1', reason);

interface Row {
  readonly met: Error;
  readonly code: ErrorCode;
  readonly retryable: boolean;
  /** The call is made again within its time. */
  readonly again: boolean;
  readonly hint: RegExp;
}

const row = (met: Error, code: ErrorCode, retryable: boolean, again: boolean, hint: RegExp): Row => ({
  met,
  code,
  retryable,
  again,
  hint,
});

const TABLE: readonly Row[] = [
  // The login.
  row(
    reply('WRONGPASS invalid username-password pair or user is disabled.'),
    'server_refused',
    false,
    false,
    /password/,
  ),
  row(reply('NOAUTH Authentication required.'), 'server_refused', false, false, /password/),
  row(unsent(reply('WRONGPASS invalid username-password pair.')), 'server_refused', false, false, /password/),
  row(reply('DENIED Running in protected mode'), 'server_refused', false, false, /user/),
  // Rights.
  row(reply("NOPERM User u has no permissions to run the 'fcall' command"), 'server_refused', false, false, /aclOf/),
  row(
    reply("ERR ACL failure in script: User u has no permissions to run the 'xadd' command"),
    'server_refused',
    false,
    false,
    /aclOf/,
  ),
  // Limits of the server.
  row(reply('ERR max number of clients reached'), 'server_clients_full', true, true, /maxclients/),
  row(unsent(reply('ERR max number of clients reached')), 'server_clients_full', true, true, /maxclients/),
  row(reply("OOM command not allowed when used memory > 'maxmemory'."), 'server_memory_full', true, false, /memory/),
  row(reply('MISCONF Valkey is configured to save RDB snapshots'), 'server_cannot_persist', true, true, /disk/),
  // It passes by itself.
  row(reply('LOADING Valkey is loading the dataset in memory'), 'server_not_ready', true, true, /backoff/),
  row(reply('CLUSTERDOWN The cluster is down'), 'server_not_ready', true, true, /backoff/),
  row(reply('CLUSTERDOWN Hash slot not served'), 'server_not_ready', true, true, /backoff/),
  row(reply("READONLY You can't write against a read only replica."), 'server_not_ready', true, true, /backoff/),
  row(reply('TRYAGAIN Multiple keys request during rehashing of slot'), 'server_not_ready', true, true, /slot/),
  row(reply('MASTERDOWN Link with MASTER is down'), 'server_not_ready', true, true, /backoff/),
  row(reply('NOREPLICAS Not enough good replicas to write.'), 'server_not_ready', true, true, /replicas/),
  row(reply('BUSY Valkey is busy running a script.'), 'server_not_ready', true, true, /backoff/),
  row(reply('ERR Function not found'), 'server_not_ready', true, true, /backoff/),
  // The way to it.
  row(new CallLost('node:1', coded('ECONNRESET')), 'transport_failed', true, false, /backoff/),
  row(unsent(coded('ECONNREFUSED')), 'transport_failed', true, true, /backoff/),
  row(unsent(coded('ENOTFOUND')), 'transport_failed', true, true, /backoff/),
  row(unsent(coded('EAI_AGAIN')), 'transport_failed', true, true, /backoff/),
  row(unsent(), 'transport_failed', true, true, /backoff/),
  row(new CallTimeout(true), 'call_timeout', true, false, /may or may not have run/),
  // Certificates.
  ...[
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'SELF_SIGNED_CERT_IN_CHAIN',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'CERT_HAS_EXPIRED',
    'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
    'EPROTO',
  ].map((code) => row(unsent(coded(code)), 'certificate_refused', false, false, /certificate/)),
  row(unsent(coded('ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE')), 'certificate_refused', false, false, /cipher/),
  // TLS on one side only.
  ...['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG'].map((code) =>
    row(unsent(coded(code)), 'tls_mismatch', false, false, /valkeys:/),
  ),
  row(
    unsent(Object.assign(new Error('write EPROTO 00:error:00:SSL:wrong version number:x.c:1:'), { code: 'EPROTO' })),
    'tls_mismatch',
    false,
    false,
    /valkeys:/,
  ),
  row(unsent(new EngineError('tls_mismatch', 'node:1 speaks TLS.')), 'tls_mismatch', false, false, /valkeys:/),
  row(unsent(new EngineError('unsupported_server', 'node:1')), 'unsupported_server', false, false, /host and port/),
  row(unsent(new EngineError('server_not_ready', 'node:1')), 'server_not_ready', true, true, /backoff/),
  // Defects: the same call meets them again.
  row(reply('ERR user_function:12: attempt to index a nil value'), 'function_failed', false, false, /report/),
  row(reply('WRONGTYPE Operation against a key holding the wrong kind of value'), 'corruption', false, false, /stored/),
  row(new Error('user_function:12: attempt to compare nil with number'), 'function_failed', false, false, /report/),
  row(new Error('flowfabric: no such operation: x'), 'function_failed', false, false, /report/),
  row(new SyntaxError('Unexpected token'), 'corruption', false, false, /decode/),
  row(reply("ERR unknown command 'FCALL', with args beginning with: "), 'unsupported_server', false, false, /8\.0/),
];

test.each(TABLE.map((each) => [`${each.met.constructor.name}: ${each.met.message}`, each] as const))(
  '%s',
  (_name, { met, code, retryable, again, hint }) => {
    const error = faultOf(met, 'node:1');
    expect(error).toMatchObject({ code, retryable });
    expect(error.message).toContain('node:1');
    expect(error.hint).toMatch(hint);
    expect(mayRunSoon(met)).toBe(again);
  },
);

test('damage that a read meets is told in words, without the place in the library', () => {
  const met = reply('DAMAGED limits is unreadable script: flowfabric_v2_read, on @user_function:838.');
  expect(faultOf(met, 'node:1').message).toBe('corruption: node:1 answered: limits is unreadable.');
});

test('TLS options that allow no version are invalid options', () => {
  const error = faultOf(unsent(coded('ERR_SSL_NO_PROTOCOLS_AVAILABLE')), 'node:1');
  expect(error).toMatchObject({ code: 'invalid_input', retryable: false });
  expect(error.message).toMatch(/maxVersion/);
});

test('a call that broke off halfway is reported so, and its partition is repaired', () => {
  const refused = "ERR ACL failure in script: User u has no permissions to run the 'xadd' command";
  expect(faultOf(reply(refused), 'node:1')).not.toBeInstanceOf(BrokeOff);
  for (const [suffix, isMarked] of [
    [BROKE_OFF, true],
    [BROKE_OFF_UNMARKED, false],
  ] as const) {
    const error = faultOf(reply(`${refused}${suffix} script: f, on @user_function:7.`), 'node:1');
    expect(error).toBeInstanceOf(BrokeOff);
    expect(error).toMatchObject({ code: 'server_refused', isMarked });
    expect(error.message).toMatch(/'xadd' command script: f, .*halfway/);
  }
});

test('an error inside one command of a call says that the command broke off, whatever the error is', () => {
  for (const [words, code] of [
    ['WRONGTYPE Operation against a key', 'corruption'],
    ['DAMAGED the record is none', 'corruption'],
    ['MISMATCH of a group', 'library_mismatch'],
    ["ERR ACL failure in script: User u has no permissions to run the 'xadd' command", 'server_refused'],
  ]) {
    const decode = (suffix: string) => () =>
      decodeReply('completeExecution', {}, [-1, Buffer.from(words + suffix)], '{fp:0}');
    const met: unknown[] = ['', BROKE_OFF, BROKE_OFF_UNMARKED].map((suffix) => {
      try {
        return decode(suffix)();
      } catch (error) {
        return error;
      }
    });
    expect(met).toMatchObject([{ code }, { code, isMarked: true }, { code, isMarked: false }]);
    expect(met.map((error) => error instanceof BrokeOff)).toEqual([false, true, true]);
    expect(String(met)).not.toContain('[broke off');
  }
});

test('a call without a connection reports the known reason', () => {
  const met = new Error("Stream isn't writeable and enableOfflineQueue options is false");
  expect(faultOf(met, 'node:1')).toMatchObject({ code: 'transport_failed' });
  expect(mayRunSoon(met)).toBe(true);
  const login = reply('WRONGPASS invalid username-password pair.');
  expect(faultOf(met, 'node:1', login)).toMatchObject({ code: 'server_refused' });
  expect(mayRunSoon(met, login)).toBe(false);
});

describe('on a server', () => {
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

  const boot = async (url = server.url): Promise<Backend> => {
    const backend = await valkey({ url, partitions: { count: 1 }, callTimeoutMs: 600 });
    open.push(backend);
    return backend;
  };
  const create = (backend: Backend) =>
    backend.createExecution({
      executionId: `{fp:0}:${randomUUID()}`,
      namespace: 'n',
      laneId: 'lane',
      executionKind: 'k',
      creatorIdentity: 'c',
    });
  const errorOf = async (call: Promise<unknown>): Promise<EngineError> => {
    const error: unknown = await call.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(EngineError);
    return error as EngineError;
  };

  test('too many clients at boot is retryable, and its hint names the setting', async () => {
    await admin.config('SET', 'maxclients', '1');
    const error = await errorOf(boot());
    expect(error).toMatchObject({ code: 'server_clients_full', retryable: true });
    expect(error.hint).toContain('maxclients');
    expect(error.message).toContain(`${server.host}:${server.port}`);
    // A boot that waits meets the end of the shortage.
    const waiting = boot();
    await admin.config('SET', 'maxclients', '100');
    await waiting;
  });

  test('a server that cannot save its data', async () => {
    const backend = await boot();
    await admin.config('SET', 'save', '3600 1');
    await rm(server.dir, { recursive: true, force: true });
    await create(backend);
    await admin.bgsave();
    for (let i = 0; i < 200 && !/rdb_last_bgsave_status:err/.test(await admin.info('persistence')); i++)
      await sleep(20);
    expect(await errorOf(create(backend))).toMatchObject({ code: 'server_cannot_persist', retryable: true });
  });

  test('a right that is taken away', async () => {
    await admin.call('ACL', 'SETUSER', 'u', 'on', '>pw', '~*', '&*', '+@all');
    const backend = await boot(server.url.replace('//', '//u:pw@'));
    await admin.call('ACL', 'SETUSER', 'u', '-fcall');
    const error = await errorOf(create(backend));
    expect(error).toMatchObject({ code: 'server_refused', retryable: false });
    expect(error.message).toContain('fcall');
  });

  test('an error raised inside the function, by one command or by the whole call', async () => {
    const backend = await boot();
    await admin.set('ff:{fp:0}:timers', 'no index');
    const executionId = `{fp:0}:${randomUUID()}`;
    expect(
      await errorOf(
        backend.createExecution({
          executionId,
          namespace: 'n',
          laneId: 'l',
          executionKind: 'k',
          creatorIdentity: 'c',
          delayUntil: Date.now() + 60_000,
        }),
      ),
    ).toMatchObject({ code: 'corruption', retryable: false });
    const { source } = library('production');
    const broken = source.replace(/callback = execute/, "callback = function() error('out of order') end");
    expect(broken).not.toBe(source);
    await admin.call('FUNCTION', 'LOAD', 'REPLACE', broken);
    expect(
      await errorOf(backend.cancelExecution({ executionId, reason: 'r', source: 'operator_override' })),
    ).toMatchObject({
      code: 'function_failed',
      retryable: false,
    });
  });
});
