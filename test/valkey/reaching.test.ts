/**
 * What a client is told that cannot reach a server: TLS on one side only, another program at the port, names that do not
 * resolve, wrong options. Each has its code, says in time whether trying again can help, and tells no secret.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type LookupFunction, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import { Valkey } from 'iovalkey';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { EngineError, ErrorCode } from '../../model/errors.js';
import { app } from '../../src/index.js';
import { addressOf } from '../../src/valkey/connection/address.js';
import { connectNode, established } from '../../src/valkey/connection/clients.js';
import { valkey, type ValkeyOptions } from '../../src/valkey/index.js';
import { certificateAuthority, tlsArgs, type Certificate, type CertificateAuthority } from '../support/certificates.js';
import { expectSilent } from '../support/silent.js';
import { watchLateness } from '../support/lateness.js';
import { findValkeyProgram, freePort, startValkey, type ValkeyServer } from '../support/valkey/index.js';
import { startSentinel, type Sentinel } from '../support/valkey/sentinel.js';

const SECRET = 'hush-4711';
const CALL_TIMEOUT_MS = 2_000;
/** Of a call that has to wait for its end. */
const SHORT_MS = 300;
/** A fault that no waiting mends is told before the time of a call is over. */
const SOON_MS = 1_500;

const program = await findValkeyProgram();
let authority: CertificateAuthority;
let certificate: Certificate;
let folder: string;
const servers: ValkeyServer[] = [];
const sentinels: Sentinel[] = [];
const others: Server[] = [];
const sockets: Socket[] = [];

/** Ports without TLS and with it. */
interface Ports {
  readonly plain: number;
  readonly tls: number;
}
let single: Ports;
let cluster: Ports;
/** Sentinels for a primary that has the same on its port. */
let sentinel: Ports;
/** Sentinels for a primary that has the other. */
let crossed: Ports;

beforeAll(async () => {
  authority = certificateAuthority();
  certificate = authority.sign(['DNS:localhost', 'IP:127.0.0.1']);
  folder = await mkdtemp(join(tmpdir(), 'flowfabric-reaching-'));
  single = await bothPorts([]);
  const busPort = await freePort();
  cluster = await bothPorts(['--cluster-enabled', 'yes', '--cluster-port', String(busPort), '--tls-cluster', 'yes']);
  const admin = new Valkey(cluster.plain);
  await admin.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383);
  while (!String(await admin.call('CLUSTER', 'INFO')).includes('cluster_state:ok')) await sleep(20);
  admin.disconnect();
  if (program.kind !== 'binary') return;
  sentinel = { plain: await watching(single.plain, false), tls: await watching(single.tls, true) };
  crossed = { plain: await watching(single.tls, false), tls: await watching(single.plain, true) };
});
afterAll(async () => {
  for (const each of sentinels) each.stop();
  for (const each of others) each.close();
  for (const each of sockets) each.destroy();
  await Promise.all(servers.map((server) => server.stop()));
  await rm(folder, { recursive: true, force: true });
  authority.remove();
});

async function bothPorts(args: readonly string[]): Promise<Ports> {
  const tls = await freePort();
  const server = await startValkey({ args: [...tlsArgs(authority, certificate, tls), ...args] });
  servers.push(server);
  return { plain: server.port, tls };
}

/** The port of a Sentinel for the primary at a port of its server. */
async function watching(primary: number, withTls: boolean): Promise<number> {
  const tls = await freePort();
  const lines = [
    ...['cert', 'key'].map(
      (name) => `tls-${name}-file ${name === 'cert' ? certificate.certFile : certificate.keyFile}`,
    ),
    ...[`tls-ca-cert-file ${authority.caFile}`, 'tls-auth-clients no', `tls-port ${tls}`],
  ];
  const monitored = { name: 'main', port: primary, quorum: 1 };
  const started = await startSentinel({ program: (program as { path: string }).path, folder, monitored, lines });
  sentinels.push(started);
  return withTls ? tls : started.port;
}

/** A port at which another program answers. */
async function port(answer: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    answer(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  others.push(server);
  return (server.address() as AddressInfo).port;
}

/** Passes a connection on to another port. */
function passOn(socket: Socket, to: number): void {
  const onward = connect(to, '127.0.0.1');
  sockets.push(onward);
  onward.on('error', () => undefined);
  onward.on('close', () => socket.destroy());
  socket.on('close', () => onward.destroy());
  socket.pipe(onward).pipe(socket);
}

const GREETING_OF_TLS = 0x16;

/** Tells connections with TLS from those without it by their first byte, as some hosted services do. */
function sort(socket: Socket, { tls: withTls, plain }: Record<keyof Ports, (socket: Socket) => void>): void {
  socket.once('data', (bytes: Buffer) => {
    socket.pause();
    socket.unshift(bytes);
    (bytes[0] === GREETING_OF_TLS ? withTls : plain)(socket);
  });
}

/** What such a service does with either. */
const passOnEither = {
  tls: (socket: Socket) => passOn(socket, single.tls),
  plain: (socket: Socket) => passOn(socket, single.plain),
};

interface Expected {
  readonly code: ErrorCode;
  readonly message: RegExp;
  readonly hint: RegExp;
}

/** What the client is told; `soon` for faults that last. */
async function told(options: ValkeyOptions, { code, message, hint }: Expected, soon = true): Promise<EngineError> {
  const lateMs = watchLateness();
  const startedAt = performance.now();
  const error = await valkey({ callTimeoutMs: soon ? CALL_TIMEOUT_MS : SHORT_MS, ...options }).then(
    () => expect.fail('it was reached'),
    (reason: EngineError) => reason,
  );
  const tookMs = performance.now() - startedAt;
  expect(error).toMatchObject({ code, retryable: !soon });
  expect(error.message).toMatch(message);
  expect(error.hint).toMatch(hint);
  expectSilent(error, SECRET);
  if (soon) expect(tookMs).toBeLessThan(SOON_MS + lateMs());
  return error;
}

async function works(options: ValkeyOptions): Promise<void> {
  const backend = await valkey({ callTimeoutMs: 5_000, ...options });
  await backend.ping();
  await backend.close();
}

const MISMATCH = { code: 'tls_mismatch', hint: /valkeys:/ } as const;
const SPEAKS = { ...MISMATCH, message: /:\d+ speaks TLS/ };
const DOES_NOT = { ...MISMATCH, message: /:\d+ does not speak TLS/ };
const FOREIGN = { code: 'unsupported_server', message: /protocol of Valkey/, hint: /host and port/ } as const;
const UNREACHED = { code: 'transport_failed', hint: /backoff/ } as const;

const tls = () => ({ ca: authority.ca });

describe.each([
  ['a single server', () => single],
  ['a cluster', () => cluster],
])('%s', (_name, ports) => {
  const password = SECRET;
  test('without TLS on both sides, and with it on both', async () => {
    await works({ url: `valkey://localhost:${ports().plain}` });
    await works({ url: `valkeys://localhost:${ports().tls}`, tls: tls() });
  });

  test('with TLS, addressed without it', async () => {
    await told({ url: `valkey://localhost:${ports().tls}` }, SPEAKS);
    await told({ url: `valkey://localhost:${ports().tls}`, password }, SPEAKS);
    await told({ nodes: [`localhost:${ports().tls}`, `127.0.0.1:${ports().tls}`] }, SPEAKS);
  });

  test('without TLS, addressed with it', async () => {
    await told({ url: `valkeys://localhost:${ports().plain}` }, DOES_NOT);
    await told({ url: `valkey://localhost:${ports().plain}`, tls: tls(), password }, DOES_NOT);
  });
});

test('a server that requires client certificates is recognised as speaking TLS', async () => {
  const tlsPort = await freePort();
  const args = tlsArgs(authority, certificate, tlsPort, 'yes');
  for (const more of [[], ['--tls-protocols', 'TLSv1.2'], ['--tls-protocols', 'TLSv1.3']]) {
    const server = await startValkey({ args: [...args, ...more] });
    await told({ url: `valkey://localhost:${tlsPort}` }, SPEAKS).finally(() => server.stop());
  }
});

describe.runIf(program.kind === 'binary')('Sentinels', () => {
  const at = (sentinelPort: number, more: ValkeyOptions = {}): ValkeyOptions => ({
    sentinels: [`localhost:${sentinelPort}`],
    name: 'main',
    ...more,
  });

  test('without TLS on both sides, and with it on both', async () => {
    await works(at(sentinel.plain));
    await works(at(sentinel.tls, { tls: tls() }));
  });

  test('with TLS on one side only', async () => {
    await told(at(sentinel.tls, { password: SECRET, sentinelPassword: SECRET }), SPEAKS);
    await told(at(sentinel.plain, { tls: tls() }), DOES_NOT);
  });

  test('with a primary with TLS and Sentinels without it, and the reverse', async () => {
    expect((await told(at(crossed.plain), SPEAKS)).message).toContain(`:${single.tls} `);
    expect((await told(at(crossed.tls, { tls: tls() }), DOES_NOT)).message).toContain(`:${single.plain} `);
  });

  test('without the name of the primary', async () => {
    const sentinels = [`127.0.0.1:${sentinel.plain}`];
    await told({ sentinels, name: '' }, { code: 'invalid_input', message: /name: /, hint: /named argument/ });
  });

  test('that are no Sentinels, and that do not know the primary', async () => {
    const hint = /named argument/;
    await told(at(single.plain), {
      code: 'invalid_input',
      message: /sentinels: localhost:\d+ is .* no Sentinel/,
      hint,
    });
    await told(
      { ...at(sentinel.plain), name: 'other' },
      { code: 'invalid_input', message: /knows no .*"other"/, hint },
    );
  });

  test('that are all unreachable when the connection ends: the outage names one of them', async () => {
    const server = await startValkey();
    servers.push(server);
    const monitored = { name: 'main', port: server.port, quorum: 1 };
    const { path } = program as { path: string };
    const last = await startSentinel({ program: path, folder, monitored });
    await using backend = await valkey(at(last.port, { callTimeoutMs: CALL_TIMEOUT_MS }));
    const heard: EngineError[] = [];
    backend.onNotice?.((notice) => heard.push(notice));
    last.stop();
    const admin = new Valkey(server.url);
    await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    admin.disconnect();
    await vi.waitFor(() => expect(heard).toHaveLength(1), 5_000);
    expect(heard[0]).toMatchObject({ code: 'transport_failed', isLost: true });
    expect(heard[0]?.message).toMatch(
      new RegExp(`the Sentinel localhost:${last.port} cannot be reached.*ECONNREFUSED`),
    );
  });

  test('with a password of their own', async () => {
    const monitored = { name: 'main', port: single.plain, quorum: 1 };
    const { path } = program as { path: string };
    const locked = await startSentinel({ program: path, folder, monitored, lines: ['requirepass right'] });
    sentinels.push(locked);
    await works(at(locked.port, { sentinelPassword: 'right' }));
    const refused = (words: string) => ({
      code: 'server_refused' as const,
      message: new RegExp(`the Sentinel localhost:${locked.port} answered: ${words}`),
      hint: /password/,
    });
    await told(at(locked.port, { sentinelPassword: SECRET }), refused('WRONGPASS'));
    await told(at(locked.port), refused('NOAUTH'));
  });

  test('that cannot be reached: the error has the reason of one that can return', async () => {
    const dead = await freePort();
    const message = new RegExp(`localhost:${dead} cannot be reached.*ECONNREFUSED`);
    await told(at(dead), { ...UNREACHED, message }, false);
    await told(
      { ...at(dead), sentinels: [`localhost:${dead}`, `localhost:${single.plain}`] },
      { ...UNREACHED, message },
      false,
    );
  });

  test('of which one never answers: the others are used', async () => {
    const mute = await port(() => undefined);
    await works({ ...at(0), sentinels: [`localhost:${mute}`, `localhost:${sentinel.plain}`], callTimeoutMs: 900 });
  });
});

describe('another program at the port', () => {
  test.each([
    ['HTTP', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
    ['SSH', 'SSH-2.0-x\r\n'],
    ['mail', '220 mail\r\n'],
    ['zeros', '\0'.repeat(8)],
  ])('%s', async (_name, words) => {
    const at = await port((socket) => socket.once('data', () => socket.write(words)));
    await told({ url: `valkey://127.0.0.1:${at}`, password: SECRET }, FOREIGN);
    await told({ url: `valkeys://127.0.0.1:${at}`, password: SECRET }, DOES_NOT);
    await told({ sentinels: [`127.0.0.1:${at}`], name: 'main', sentinelPassword: SECRET }, FOREIGN);
  });

  test('HTTP behind TLS', async () => {
    const web = createTlsServer({ cert: certificate.cert, key: certificate.key }, (socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    });
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
    others.push(web);
    await told({ url: `valkeys://localhost:${(web.address() as AddressInfo).port}`, tls: tls() }, FOREIGN);
  });

  test('an alert of TLS', async () => {
    const at = await port((socket) => socket.once('data', () => socket.write(Buffer.from('15030300020246', 'hex'))));
    await told({ url: `valkey://127.0.0.1:${at}` }, SPEAKS);
  });

  test('a program that hangs up, resets or never answers may become a server again', async () => {
    const ends = await port((socket) => socket.end());
    const resets = await port((socket) => socket.resetAndDestroy());
    const mute = await port((socket) => socket.resume());
    for (const scheme of ['valkey', 'valkeys'])
      await Promise.all([
        told(
          { url: `${scheme}://127.0.0.1:${ends}` },
          { ...UNREACHED, message: /met .*(end of the|disconnected)/ },
          false,
        ),
        told({ url: `${scheme}://127.0.0.1:${resets}` }, { ...UNREACHED, message: /ECONNRESET|disconnected/ }, false),
        told(
          { url: `${scheme}://127.0.0.1:${mute}` },
          { code: 'call_timeout', message: /did not answer/, hint: /time/ },
          false,
        ),
      ]);
  });
});

test('a port that stops speaking the protocol may speak it again', async () => {
  let isAway = false;
  const at = await port((socket) =>
    isAway ? socket.once('data', () => socket.end('HTTP/1.1 503 No server\r\n\r\n')) : passOn(socket, single.plain),
  );
  const backend = await valkey({ url: `valkey://127.0.0.1:${at}`, callTimeoutMs: CALL_TIMEOUT_MS });
  isAway = true;
  for (const socket of sockets.splice(0)) socket.destroy();
  // The first call can still be lost with the connection.
  await backend.ping().catch(() => undefined);
  const error = await backend.ping().then(
    () => expect.fail('it was answered'),
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ code: 'transport_failed', retryable: true });
  const waiting = backend.ping();
  isAway = false;
  await waiting;
  await backend.close();
});

test.each(['+OK', ':1', '$-1', '*0'])('a program that answers %s is reported as no server', async (answer) => {
  const at = await port((socket) => socket.on('data', () => socket.write(`${answer}\r\n`)));
  await told(
    { url: `valkey://127.0.0.1:${at}` },
    { code: 'unsupported_server', message: /not a Valkey server/, hint: /host and port/ },
  );
});

describe('a server that loads its data', () => {
  const info = 'loading:1\r\nloading_eta_seconds:30\r\n';
  const answersLoading = (socket: Socket): unknown => socket.write(`$${info.length}\r\n${info}\r\n`);

  test('is reported as loading after the timeout', async () => {
    const at = await port((socket) => socket.on('data', () => answersLoading(socket)));
    const loading = { code: 'server_not_ready', message: /is loading its data/, hint: /backoff/ } as const;
    await told({ url: `valkey://127.0.0.1:${at}` }, loading, false);
  });

  test('is tried again before the time that it estimates', async () => {
    const at = await port((socket) =>
      socket.once('data', () => {
        answersLoading(socket);
        socket.once('data', (bytes: Buffer) => {
          socket.pause();
          socket.unshift(bytes);
          passOn(socket, single.plain);
        });
      }),
    );
    await works({ url: `valkey://127.0.0.1:${at}` });
  });
});

describe('a port that accepts TLS and plain connections', () => {
  const ways = (['valkey', 'valkeys'] as const).map((scheme) => [scheme] as const);
  const to = (scheme: string, at: number): ValkeyOptions => ({
    url: `${scheme}://127.0.0.1:${at}`,
    ...(scheme === 'valkeys' ? { tls: tls() } : {}),
  });

  test.each(ways)('and ends the first one: %s', async (scheme) => {
    let count = 0;
    const at = await port((socket) => (count++ === 0 ? socket.end() : sort(socket, passOnEither)));
    await works(to(scheme, at));
  });

  test.each(ways)('and does not answer the first one: %s', async (scheme) => {
    let count = 0;
    const at = await port((socket) => (count++ === 0 ? socket.resume() : sort(socket, passOnEither)));
    const late = { code: 'call_timeout', message: /did not answer/, hint: /time/ } as const;
    await told({ ...to(scheme, at), callTimeoutMs: 1_000 }, late, false);
    await works(to(scheme, at));
  });

  test('and answers the first one while it is asked', async () => {
    let count = 0;
    const at = await port((socket) => {
      const isFirst = count++ === 0;
      // It is asked with TLS after 400 ms, and again without it until 800 ms.
      if (isFirst) setTimeout(() => passOn(socket, single.plain), 600);
      else sort(socket, { ...passOnEither, plain: (other) => other.resume() });
    });
    await works({ ...to('valkey', at), callTimeoutMs: CALL_TIMEOUT_MS });
    expect(count).toBeGreaterThan(2);
  });

  test('and whose server is down, so that only TLS itself is answered', async () => {
    const greeter = createTlsServer({ cert: certificate.cert, key: certificate.key }, (socket) => socket.end());
    greeter.on('tlsClientError', () => undefined);
    await new Promise<void>((resolve) => greeter.listen(0, '127.0.0.1', resolve));
    others.push(greeter);
    const greet = (socket: Socket) => passOn(socket, (greeter.address() as AddressInfo).port);
    const away = { ...UNREACHED, message: /end of the connection|ECONNRESET/ };
    const none = await port((socket) => sort(socket, { tls: greet, plain: (other) => other.end() }));
    await told(to('valkey', none), away, false);
    const plainOnly = await port((socket) => sort(socket, { ...passOnEither, tls: greet }));
    await told(to('valkeys', plainOnly), away, false);
  });
});

describe('Sentinels whose answers change', () => {
  const UNKNOWN = '-ERR No such master with that name\r\n';
  /** A Sentinel that hangs up when it has no answer. */
  const answering = (answer: () => string | undefined) =>
    port((socket) =>
      socket.on('data', (bytes) => {
        const words = bytes.includes('get-master-addr-by-name') ? answer() : '*0\r\n';
        if (words === undefined) socket.end();
        else socket.write(words);
      }),
    );

  type Answer = (primary: string) => string | undefined;
  const names: Answer = (primary) => primary;
  const doesNotKnow: Answer = () => UNKNOWN;

  /** A client that found the primary by two Sentinels; `lose` ends its connection. */
  async function found(...answers: readonly Answer[]) {
    const links: Socket[] = [];
    const primary = await port((socket) => {
      links.push(socket);
      passOn(socket, single.plain);
    });
    const named = `*2\r\n$9\r\n127.0.0.1\r\n$${String(primary).length}\r\n${primary}\r\n`;
    const ports = await Promise.all(answers.map((answer) => answering(() => answer(named))));
    const given = { sentinels: ports.map((each) => `127.0.0.1:${each}`), name: 'main' };
    const client = connectNode(addressOf(given), CALL_TIMEOUT_MS);
    await established(client, CALL_TIMEOUT_MS);
    const errors: unknown[] = [];
    client.on('error', (error) => errors.push(error));
    return { client, errors, lose: () => links.forEach((each) => each.end()) };
  }

  test('a round reports its own faults, and none of an earlier round', async () => {
    let isKnown = true;
    const { client, errors, lose } = await found(
      () => (isKnown ? undefined : UNKNOWN),
      (named) => (isKnown ? named : UNKNOWN),
    );
    isKnown = false;
    lose();
    await expect.poll(() => errors.length).toBeGreaterThan(0);
    client.disconnect();
    expect(errors[0]).toMatchObject({ code: 'invalid_input' });
  });

  test.each([
    ['first', [doesNotKnow, names]],
    ['second', [names, doesNotKnow]],
  ])('the %s does not know the primary, which is no fault while the other Sentinel does', async (_which, answers) => {
    const { client, errors, lose } = await found(...answers);
    const again = new Promise((resolve) => client.once('ready', resolve));
    lose();
    await again;
    client.disconnect();
    expect(errors).toEqual([]);
  });
});

test('a connection that the client closes was not ended by the server', async () => {
  const links: Socket[] = [];
  let isMute = false;
  const at = await port((socket) => {
    links.push(socket);
    if (isMute) socket.resume();
    else passOn(socket, single.tls);
  });
  const backend = await valkey({ url: `valkeys://127.0.0.1:${at}`, tls: tls(), callTimeoutMs: 600 });
  isMute = true;
  for (const each of links) each.destroy();
  const words = () =>
    backend.ping().then(
      () => '',
      ({ message }: EngineError) => message,
    );
  await expect.poll(words).toMatch(/ETIMEDOUT/);
  await backend.close();
});

describe('names', () => {
  const failing: readonly (readonly [string, LookupFunction])[] = [
    [
      'threw an error',
      () => {
        throw new Error(SECRET);
      },
    ],
    ['failed', (_name, _options, done) => done(new Error(SECRET), '', 0)],
    ['failed', () => Promise.reject(new Error(SECRET))],
    ['returned a promise instead of calling back', () => Promise.resolve('127.0.0.1')],
    ['gave no IP address', (_name, options, done) => (options.all ? done(null, []) : done(null, SECRET, 4))],
  ];
  const ways: readonly (readonly [string, () => ValkeyOptions])[] = [
    ['a server', () => ({ url: `valkey://localhost:${single.plain}` })],
    ['a server with TLS', () => ({ url: `valkeys://localhost:${single.tls}`, tls: tls() })],
    ['a Sentinel', () => ({ sentinels: ['localhost:1'], name: 'main' })],
  ];
  test.each(ways)('a `lookup` that fails, for %s', async (_name, options) => {
    await Promise.all(
      failing.map(([how, lookup]) =>
        told({ ...options(), lookup }, { ...UNREACHED, message: new RegExp(`lookup.* ${how} for "localhost"`) }, false),
      ),
    );
  });

  test('a `lookup` that answers twice', async () => {
    const lookup: LookupFunction = (_name, { all }, done) => {
      for (let count = 0; count < 2; count++)
        if (all) done(null, [{ address: '127.0.0.1', family: 4 }]);
        else done(null, '127.0.0.1', 4);
    };
    await works({ url: `valkey://localhost:${single.plain}`, lookup });
  });

  test('that do not resolve', async () => {
    const lookup: LookupFunction = (name, _options, done) =>
      done(Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND' }), '', 0);
    await told({ url: 'valkey://a.internal', lookup }, { ...UNREACHED, message: /ENOTFOUND a\.internal/ }, false);
  });
});

describe('options of TLS that cannot be used', () => {
  const invalid = (message: RegExp) => ({ code: 'invalid_input', message, hint: /named argument/ }) as const;
  const own = () => authority.sign(['DNS:client']);
  test.each<[string, () => NonNullable<ValkeyOptions['tls']>, RegExp]>([
    ['ciphers', () => ({ ciphers: 'NOPE' }), /`ciphers` .*no cipher/],
    ['a version that is none', () => ({ minVersion: 'TLSv9' as 'TLSv1.3' }), /`minVersion`/],
    ['versions that exclude each other', () => ({ ...tls(), maxVersion: 'TLSv1.1' }), /`maxVersion`/],
    ['the path of an authority', () => ({ ca: `/etc/${SECRET}.pem` }), /`ca` .*not its path/],
    ['a certificate that is none', () => ({ ...tls(), cert: SECRET, key: own().key }), /`cert` .*PEM/],
    ['an unreadable key', () => ({ cert: own().cert, key: `-----BEGIN PRIVATE KEY-----\n${SECRET}\n` }), /`key`/],
    ['a key of another certificate', () => ({ cert: own().cert, key: own().key }), /mismatch/],
    ['a bad archive', () => ({ pfx: Buffer.from(SECRET), passphrase: SECRET }), /`pfx`/],
    ['a curve', () => ({ ecdhCurve: SECRET }), /`ecdhCurve`/],
    ['a name that is no text', () => ({ servername: 5 as never }), /tls: /],
  ])('%s', async (_name, options, message) => {
    await told({ url: `valkeys://localhost:${single.tls}`, tls: options() }, invalid(message));
    await told({ sentinels: [`localhost:${single.tls}`], name: 'main', tls: options() }, invalid(message));
  });

  test.each([
    [
      'throws',
      () => {
        throw new Error(SECRET);
      },
    ],
    ['returns an error', () => new Error(SECRET)],
  ])('a `checkServerIdentity` that %s refuses the certificate', async (_name, checkServerIdentity) => {
    await told(
      { url: `valkeys://localhost:${single.tls}`, tls: { ...tls(), checkServerIdentity } },
      { code: 'certificate_refused', message: /checkServerIdentity/, hint: /certificate/ },
    );
  });
});

test('an app that waits for its server is told at once of a fault that waiting does not end', async () => {
  const tasks = app({ backend: valkey({ url: `valkey://localhost:${single.tls}`, callTimeoutMs: CALL_TIMEOUT_MS }) });
  const task = tasks.task('t', () => Promise.resolve(1));
  await expect(task.run()).rejects.toMatchObject({ code: 'tls_mismatch' });
  await tasks.close();
});

test('a server that loses its TLS is named to new clients, and its existing clients wait', async () => {
  const plainPort = await freePort();
  const tlsPort = await freePort();
  const args = tlsArgs(authority, certificate, tlsPort);
  const options = { url: `valkeys://localhost:${tlsPort}`, tls: tls(), callTimeoutMs: CALL_TIMEOUT_MS };
  const first = await startValkey({ port: plainPort, args });
  const backend = await valkey(options);
  await first.stop();
  const plain = await startValkey({ port: tlsPort });
  await told(options, DOES_NOT);
  for (let i = 0; i < 2; i++) await expect(backend.ping()).rejects.toMatchObject({ retryable: true });
  await plain.stop();
  const again = await startValkey({ port: plainPort, args });
  await expect
    .poll(
      () =>
        backend.ping().then(
          () => 'found',
          () => 'not yet',
        ),
      { timeout: 20_000 },
    )
    .toBe('found');
  await backend.close();
  await again.stop();
});
