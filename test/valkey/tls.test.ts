/** TLS to one node: with an authority of one's own, names, client certificates; and what errors say when it fails. */
import { randomUUID } from 'node:crypto';
import type { LookupFunction } from 'node:net';
import { Valkey } from 'iovalkey';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { EngineError } from '../../model/errors.js';
import type { Backend } from '../../src/backend/backend.js';
import { valkey, type ValkeyOptions } from '../../src/valkey/index.js';
import { certificateAuthority, tlsArgs, type CertificateAuthority } from '../support/certificates.js';
import { watchLateness } from '../support/lateness.js';
import { freePort, startValkey, type ValkeyServer } from '../support/valkey/index.js';

let authority: CertificateAuthority;
const servers: ValkeyServer[] = [];

async function tlsServer(names: readonly string[], clients: 'yes' | 'no' = 'no', days?: number): Promise<number> {
  const port = await freePort();
  servers.push(await startValkey({ args: tlsArgs(authority, authority.sign(names, days), port, clients) }));
  return port;
}

beforeAll(() => {
  authority = certificateAuthority();
});
afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  authority.remove();
});

async function works(options: ValkeyOptions): Promise<void> {
  await using backend = await valkey({ callTimeoutMs: 2_000, ...options });
  await use(backend);
}

async function use(backend: Backend): Promise<void> {
  await backend.onWake(['lane'], () => undefined);
  const args = { executionId: `{fp:0}:${randomUUID()}`, namespace: 'n', laneId: 'l', executionKind: 'k' };
  expect(await backend.createExecution({ ...args, creatorIdentity: 'c' })).toMatchObject({ kind: 'created' });
}

async function refused(options: ValkeyOptions): Promise<EngineError> {
  const lateMs = watchLateness();
  const startedAt = performance.now();
  const error = await valkey({ callTimeoutMs: 5_000, ...options }).then(
    () => expect.fail('it was accepted'),
    (reason: EngineError) => reason,
  );
  expect(error).toMatchObject({ code: 'certificate_refused', retryable: false });
  // Waiting does not mend a certificate.
  expect(performance.now() - startedAt).toBeLessThan(3_000 + lateMs());
  return error;
}

describe('TLS', () => {
  test('works with an authority that only the options name', async () => {
    const port = await tlsServer(['DNS:localhost']);
    await works({ url: `valkeys://localhost:${port}`, tls: { ca: authority.ca } });
    await works({ url: `rediss://localhost:${port}`, tls: { ca: authority.ca } });
    await works({ url: `valkey://localhost:${port}`, tls: { ca: authority.ca } });
    await works({ nodes: [`localhost:${port}`], tls: { ca: authority.ca } });
    await works({ nodes: [{ host: 'localhost', port }], tls: { ca: authority.ca } });
  });

  test('with an unknown authority is refused, and the error names the node', async () => {
    const port = await tlsServer(['DNS:localhost']);
    const error = await refused({ url: `valkeys://localhost:${port}` });
    expect(error.message).toContain(`localhost:${port}`);
    expect(error.message).toMatch(/certificate|self-signed/i);
    expect(error.hint).toContain('`ca`');
    await works({ url: `valkeys://localhost:${port}`, tls: { rejectUnauthorized: false } });
  });

  test('with a certificate of another name is refused, unless the name is given', async () => {
    const port = await tlsServer(['DNS:cache.internal']);
    const error = await refused({ url: `valkeys://localhost:${port}`, tls: { ca: authority.ca } });
    expect(error.message).toContain('localhost');
    expect(error.message).toContain('cache.internal');
    await works({ url: `valkeys://localhost:${port}`, tls: { ca: authority.ca, servername: 'cache.internal' } });
    await works({ url: `valkeys://127.0.0.1:${port}`, tls: { ca: authority.ca, servername: 'cache.internal' } });
  });

  test('with a certificate that has expired is refused', async () => {
    const port = await tlsServer(['DNS:localhost'], 'no', -1);
    const error = await refused({ url: `valkeys://localhost:${port}`, tls: { ca: authority.ca } });
    expect(error.message).toContain('expired');
  });

  test('continues with replaced certificates, and reports one of another name until it is corrected', async () => {
    const port = await tlsServer(['DNS:localhost']);
    const admin = new Valkey((servers.at(-1) as ValkeyServer).url);
    const replace = async (names: readonly string[]): Promise<void> => {
      const { certFile, keyFile } = authority.sign(names);
      await admin.config('SET', 'tls-cert-file', certFile, 'tls-key-file', keyFile);
      for (const type of ['normal', 'pubsub']) await admin.call('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes');
    };
    const url = `valkeys://localhost:${port}`;
    await using backend = await valkey({ url, tls: { ca: authority.ca }, callTimeoutMs: 2_000 });
    const heard: EngineError[] = [];
    backend.onNotice?.((notice) => heard.push(notice));
    await replace(['DNS:localhost']);
    await use(backend);
    await replace(['DNS:cache.internal']);
    await vi.waitFor(() => expect(heard).toHaveLength(1), 5_000);
    expect(heard[0]).toMatchObject({ code: 'certificate_refused', retryable: false, isLost: true });
    expect(heard[0]?.message).toContain(`localhost:${port}`);
    await expect(use(backend)).rejects.toMatchObject({ code: 'certificate_refused' });
    await replace(['DNS:localhost']);
    await vi.waitFor(() => expect(heard).toMatchObject([{ isLost: true }, { isLost: false }]), 5_000);
    await use(backend);
    admin.disconnect();
  });

  test('presents a client certificate to a server that requires one', async () => {
    const port = await tlsServer(['DNS:localhost'], 'yes');
    const url = `valkeys://localhost:${port}`;
    await refused({ url, tls: { ca: authority.ca } });
    const { cert, key } = authority.sign(['DNS:client']);
    await works({ url, tls: { ca: authority.ca, cert, key } });
  });
});

describe('names', () => {
  /** Knows one name. */
  const lookup: LookupFunction = (name, options, done) => {
    const error: NodeJS.ErrnoException | null =
      name === 'cache.internal'
        ? null
        : Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND' });
    if (options.all === true) done(error, error === null ? [{ address: '127.0.0.1', family: 4 }] : []);
    else done(error, '127.0.0.1', 4);
  };

  test('are resolved as the options say, with TLS and without', async () => {
    const port = await tlsServer(['DNS:cache.internal']);
    await works({ url: `valkeys://cache.internal:${port}`, tls: { ca: authority.ca }, lookup });
    const plain = servers.at(-1) as ValkeyServer;
    await works({ url: `valkey://cache.internal:${plain.port}`, lookup });
  });

  test('are resolved by a function that answers in the other form than requested', async () => {
    const port = await tlsServer(['DNS:cache.internal']);
    const plain = servers.at(-1) as ValkeyServer;
    const one: LookupFunction = (_name, _options, done) => done(null, '127.0.0.1', 4);
    const list: LookupFunction = (_name, _options, done) => done(null, [{ address: '127.0.0.1', family: 4 }]);
    for (const lookup of [one, list]) {
      await works({ url: `valkeys://cache.internal:${port}`, tls: { ca: authority.ca }, lookup });
      await works({ url: `valkey://cache.internal:${plain.port}`, lookup });
    }
  });

  test('that are unknown are named', async () => {
    const error = await valkey({ url: 'valkey://nowhere.internal:1', lookup, callTimeoutMs: 200 }).then(
      () => undefined,
      (reason: EngineError) => reason,
    );
    expect(error).toMatchObject({ code: 'transport_failed', retryable: true });
    expect(error?.message).toContain('nowhere.internal:1');
    expect(error?.message).toContain('ENOTFOUND');
  });
});
