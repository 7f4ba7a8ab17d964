/** No error tells a password or a payload, however it came about and however deep one looks into it. */
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { ReplyError, Valkey } from 'iovalkey';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EngineError } from '../../model/errors.js';
import type { Backend } from '../../src/backend/backend.js';
import { addressOf } from '../../src/valkey/connection/address.js';
import { valkey, type ValkeyOptions } from '../../src/valkey/index.js';
import { faultOf, TransientFault } from '../../src/valkey/connection/faults.js';
import { CallLost, CallNotSent } from '../../src/valkey/connection/node-faults.js';
import { expectSilent } from '../support/silent.js';
import { freePort, startValkey, type ValkeyServer } from '../support/valkey/index.js';

/** Long enough that it stands nowhere by accident, with what URLs and patterns trip over. */
const secrets = fc
  .tuple(
    fc.stringMatching(/^[a-zA-Z0-9]{6,12}$/),
    fc.constantFrom('', '@', ':', '/', '?', '#', '%', ' ', '"', 'é', '\n', '{'),
  )
  .map(([text, mark]) => `hush-${text}${mark}x`);

const failureOf = (call: () => Promise<unknown>): Promise<unknown> =>
  call().then(
    () => expect.fail('it did not fail'),
    (error: unknown) => error,
  );

let server: ValkeyServer;
let admin: Valkey;
beforeAll(async () => {
  server = await startValkey();
  admin = new Valkey(server.url);
});
afterAll(async () => {
  admin.disconnect();
  await server.stop();
});

const at = (): string => `${server.host}:${server.port}`;

describe('a user without a password', () => {
  test.each([
    ['in the URL', () => valkey({ url: `valkey://app@${at()}`, prefix: 'login:' })],
    ['as an option', () => valkey({ url: `valkey://${at()}`, username: 'app', prefix: 'login:' })],
  ])('%s logs in as itself, not as default', async (_, connect) => {
    await admin.call('ACL', 'SETUSER', 'app', 'on', 'nopass', '~*', '&*', '+@all');
    const backend = await connect();
    expect(await admin.client('LIST')).toMatch(/ user=app /);
    await backend.close();
  });
});

describe('options of a connection', () => {
  test.each([
    [{ url: undefined }, 'url: is undefined. Leave it out'],
    [{ username: 5 }, 'username: must be a string'],
    [{ password: 5 }, 'password: must be a string'],
    [{ lookup: 'x' }, 'lookup: must be a function'],
    [{ onNotice: 'x' }, 'onNotice: must be a function'],
    [{ nodes: [null] }, 'nodes: each must look like'],
    [{ nodes: Object.assign(Array(3), ['a']) }, 'nodes: each must look like'],
    [{ nodes: [{ host: 'a', prot: 7_000 }] }, 'prot: is no option of a node of `nodes`; there are host, port'],
    [{ nodes: [{ host: 'a:7000' }] }, 'nodes: each must look like'],
    [{ nodes: [{ host: '[::1]' }] }, 'nodes: each must look like'],
    [{ nodes: [{ host: 'beef:7000' }] }, 'nodes: each must look like'],
    [{ tls: new Map([['ca', 'x']]) }, 'tls: must be true, false or options'],
    [{ url: 'valkey://h', sentinelPassword: 'x' }, 'sentinels: are missing'],
  ])('are refused if invalid: %j', async (options, message) => {
    await expect(valkey(options as never)).rejects.toThrow(message);
  });

  test('nodes are names, and addresses without brackets, with a zone too', () => {
    const hosts = ['valkey-0.local', '10.0.0.1', '::1', 'fe80::1%eth0'];
    const { nodes } = addressOf({ nodes: hosts.map((host) => ({ host, port: undefined })) });
    expect(nodes).toEqual(hosts.map((host) => ({ host, port: 6379 })));
  });
});

describe('no password is shown', () => {
  const ways: readonly (readonly [string, (secret: string) => Promise<unknown>])[] = [
    ['a wrong password in the URL', (secret) => valkey(`valkey://user:${encodeURIComponent(secret)}@${at()}`)],
    [
      'a wrong password as an option',
      (secret) => valkey({ url: `valkey://${at()}`, username: 'user', password: secret }),
    ],
    ['a password that was not encoded', (secret) => valkey(`valkey://user:a@${secret}@${at()}`)],
    ['a password in a URL of no known kind', (secret) => valkey(`http://user:${encodeURIComponent(secret)}@${at()}`)],
    ['a password in parameters', (secret) => valkey(`valkey://${at()}?password=${encodeURIComponent(secret)}`)],
    ['a password behind a hash', (secret) => valkey(`valkey://${at()}#${encodeURIComponent(secret)}`)],
    ['a password in the place of a database', (secret) => valkey(`valkey://${at()}/${encodeURIComponent(secret)}`)],
    ['a password in a node', (secret) => valkey({ nodes: [`user:${secret}@${at()}`] })],
    ['a wrong option beside it', (secret) => valkey({ password: secret, hots: 'x' } as ValkeyOptions)],
    [
      'a wrong password for a Sentinel',
      async (secret) =>
        valkey({ sentinels: [at()], name: 'main', sentinelPassword: secret, password: secret, callTimeoutMs: 100 }),
    ],
    [
      'a password where nothing listens',
      async (secret) => valkey({ url: `valkey://127.0.0.1:${await freePort()}`, password: secret, callTimeoutMs: 60 }),
    ],
  ];

  test.each(ways)('%s', async (_name, way) => {
    await fc.assert(
      fc.asyncProperty(secrets, async (secret) => {
        expectSilent(await failureOf(() => way(secret)), secret);
      }),
      { numRuns: 12 },
    );
  });

  test('a password that was changed while the backend works', async () => {
    const secret = 'hush-before-4711';
    await admin.call('ACL', 'SETUSER', 'turning', 'on', `>${secret}`, '~*', '&*', '+@all');
    await using backend = await valkey({ url: `valkey://turning:${secret}@${at()}`, prefix: 'turn:' });
    await admin.call('ACL', 'SETUSER', 'turning', 'resetpass', '>another');
    await admin.call('CLIENT', 'KILL', 'USER', 'turning');
    let error: unknown;
    // The first call may still meet the connection's end.
    for (let i = 0; i < 20 && (error as EngineError | undefined)?.code !== 'server_refused'; i++)
      error = await failureOf(() => backend.listPartitionLanes({ partition: '{fp:0}' }));
    expect(error).toMatchObject({ code: 'server_refused', retryable: false });
    expectSilent(error, secret);
  });
});

describe('no payload is shown', () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await valkey({ url: server.url, partitions: { count: 1 }, prefix: 'pay:', callTimeoutMs: 300 });
  });
  afterAll(async () => {
    await server.kill('SIGCONT');
    await backend.close();
  });

  const create = (payload: Buffer, more: object = {}) =>
    backend.createExecution({
      executionId: `{fp:0}:${randomUUID()}`,
      namespace: 'n',
      laneId: 'lane',
      executionKind: 'k',
      creatorIdentity: 'c',
      inputPayload: payload,
      ...more,
    });

  /** Long and short ones go different ways. */
  const payloads = fc.tuple(secrets, fc.constantFrom(1, 200)).map(([secret, times]) => ({
    secret,
    payload: Buffer.from(secret.repeat(times)),
  }));

  async function always(way: (payload: Buffer, secret: string) => Promise<unknown>, numRuns = 6): Promise<void> {
    await fc.assert(
      fc.asyncProperty(payloads, async ({ secret, payload }) => {
        expectSilent(await failureOf(() => way(payload, secret)), secret);
      }),
      { numRuns },
    );
  }

  test('when the server is out of memory', async () => {
    await admin.config('SET', 'maxmemory', '1');
    try {
      await always((payload) => create(payload));
    } finally {
      await admin.config('SET', 'maxmemory', '0');
    }
  });

  test('when the function fails', async () => {
    await admin.rename('pay:{fp:0}:log', 'pay:{fp:0}:kept').catch(() => undefined);
    await admin.set('pay:{fp:0}:log', 'not a log');
    await always((payload) => create(payload));
    await admin.del('pay:{fp:0}:log');
  });

  test('when the connection breaks', async () => {
    await always(async (payload) => {
      await server.kill('SIGSTOP');
      const call = create(payload);
      setTimeout(() => void server.kill('SIGCONT'), 20);
      const killer = new Valkey(server.url);
      void killer.call('CLIENT', 'KILL', 'SKIPME', 'yes').catch(() => undefined);
      await call.finally(() => killer.disconnect());
      // The answer came first: nothing was lost this time.
      throw new EngineError('transport_failed', 'No fault.');
    }, 3);
  });

  test('when the server does not answer in time', async () => {
    await server.kill('SIGSTOP');
    await always((payload) => create(payload), 3);
    await server.kill('SIGCONT');
  });

  test('when the input is refused', async () => {
    await always((payload, secret) => create(payload, { tags: { 'team.name': secret.repeat(1_000) } }));
    await always((payload, secret) => create(payload, { policy: { retryPolicy: secret } }));
    await always((payload, secret) => create(payload, { executionId: secret }));
    await always((_payload, secret) => create(secret as never));
  });

  test('when a stored value does not decode', async () => {
    const executionId = `{fp:0}:${randomUUID()}`;
    await create(Buffer.from('x'), { executionId, tags: { 'team.name': 'a' } });
    for (const key of await admin.keys(`pay:${executionId}*`)) {
      if ((await admin.type(key)) !== 'hash') continue;
      for (const [field, value] of Object.entries(await admin.hgetall(key))) {
        for (const wrong of [
          (secret: string) => secret,
          (secret: string) => `{"a":"${secret}`,
          (secret: string) => `5|${secret}|`,
        ])
          await always(async (_payload, secret) => {
            await admin.hset(key, field, wrong(secret));
            await backend.describeExecution({ executionId });
            await backend.readExecutionContext({ executionId });
            // What is read all the same tells nothing.
            throw new EngineError('corruption', 'No fault.');
          }, 2);
        await admin.hset(key, field, value);
      }
    }
  });

  test('when a handle is invalid', async () => {
    await always((_payload, secret) => backend.renewLease({ handle: secret, leaseTtlMs: 1_000 }));
    await always((_payload, secret) =>
      backend.renewLease({ handle: Buffer.from(`{"${secret}`).toString('base64url'), leaseTtlMs: 1_000 }),
    );
  });

  test('when the backend is closed', async () => {
    const closed = await valkey({ url: server.url, prefix: 'closed:' });
    await closed.close();
    await always((payload, secret) =>
      closed.createExecution({
        executionId: `{fp:0}:${randomUUID()}`,
        namespace: secret.replace(/[^\x21-\x7e]/g, ''),
        laneId: 'lane',
        executionKind: 'k',
        creatorIdentity: 'c',
        inputPayload: payload,
      }),
    );
  });
});

describe('whatever error is thrown inside', () => {
  /** As the client library makes them: with the command that met the fault. */
  const withCommand = (error: Error, secret: string): Error =>
    Object.assign(error, { command: { name: 'auth', args: ['user', secret] }, secret, nested: { deep: [secret] } });

  const raw = fc.tuple(
    secrets,
    fc.constantFrom<(secret: string) => unknown>(
      (secret) => new SyntaxError(`Unexpected token in "${secret}"`),
      (secret) => new TypeError(secret),
      (secret) => withCommand(new ReplyError('WRONGPASS invalid username-password pair'), secret),
      (secret) =>
        withCommand(new ReplyError(`ERR unknown command 'X', with args beginning with: '${secret}' `), secret),
      (secret) => withCommand(new ReplyError('ERR value is not an integer'), secret),
      (secret) => Object.assign(new Error(`Received '${secret}'`), { code: 'ERR_INVALID_ARG_VALUE' }),
      (secret) => withCommand(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }), secret),
      (secret) => Object.assign(new Error('x'), { code: secret, name: secret }),
      (secret) => new Error('outer', { cause: withCommand(new Error(secret), secret) }),
      (secret) => secret,
      (secret) => ({ secret }),
    ),
  );

  test('the EngineError made of it contains no data', () => {
    fc.assert(
      fc.property(raw, fc.integer({ min: 0, max: 3 }), ([secret, make], wrapping) => {
        const thrown = make(secret);
        const wrapped = [
          thrown,
          new CallLost('host:1', thrown),
          new CallNotSent('host:1', thrown),
          new TransientFault(new EngineError('corruption', 'x.', { cause: thrown })),
        ][wrapping];
        // A plain error is the server's own words, which hold no data of a command.
        if (
          wrapping === 0 &&
          thrown instanceof Error &&
          thrown.constructor === Error &&
          thrown.message.includes(secret)
        )
          return;
        expectSilent(faultOf(wrapped, 'host:1', thrown), secret);
      }),
      { numRuns: 300 },
    );
  });
});
