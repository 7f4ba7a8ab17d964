/** Clusters that speak TLS, and the addresses that their nodes announce. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Valkey } from 'iovalkey';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { executionIdOf } from '../../model/ids.js';
import type { EngineError } from '../../model/errors.js';
import { valkey, type ValkeyOptions } from '../../src/valkey/index.js';
import { certificateAuthority, tlsArgs, type CertificateAuthority } from '../support/certificates.js';
import { freePort, startValkey, type ValkeyServer } from '../support/valkey/index.js';

const SLOTS = 16_384;

let authority: CertificateAuthority;
let servers: ValkeyServer[] = [];
beforeAll(() => {
  authority = certificateAuthority();
});
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
  servers = [];
});
afterAll(() => authority.remove());

interface Node {
  readonly server: ValkeyServer;
  readonly admin: Valkey;
  readonly tlsPort: number;
  readonly busPort: number;
}

/** Starts a cluster in which every node has these arguments; answers the ports for TLS. */
async function cluster(
  count: number,
  argsOf: (index: number) => string[],
  names = ['DNS:localhost'],
): Promise<number[]> {
  const nodes: Node[] = [];
  for (let index = 0; index < count; index++) {
    const [tlsPort, busPort] = [await freePort(), await freePort()];
    const own = authority.sign(names);
    const args = ['--cluster-enabled', 'yes', '--cluster-port', String(busPort), '--tls-cluster', 'yes'];
    const server = await startValkey({ args: [...args, ...tlsArgs(authority, own, tlsPort), ...argsOf(index)] });
    servers.push(server);
    nodes.push({ server, admin: new Valkey(server.url), tlsPort, busPort });
  }
  const first = nodes[0] as Node;
  for (const [index, { admin, tlsPort, busPort }] of nodes.entries()) {
    const from = Math.floor((index * SLOTS) / count);
    await admin.call('CLUSTER', 'ADDSLOTSRANGE', from, Math.floor(((index + 1) * SLOTS) / count) - 1);
    if (index > 0) await first.admin.call('CLUSTER', 'MEET', '127.0.0.1', tlsPort, busPort);
  }
  const isWhole = async ({ admin }: Node): Promise<boolean> => {
    const info = String(await admin.call('CLUSTER', 'INFO'));
    return info.includes('cluster_state:ok') && info.includes(`cluster_size:${count}`);
  };
  for (const node of nodes) while (!(await isWhole(node))) await sleep(20);
  await passMessages(nodes);
  for (const { admin } of nodes) admin.disconnect();
  return nodes.map(({ tlsPort }) => tlsPort);
}

/** Waits until every node passes messages on to every other: right after they have met they do not. */
async function passMessages(nodes: readonly Node[]): Promise<void> {
  for (const { server } of nodes) {
    const listener = new Valkey(server.url);
    const heard = new Set<string>();
    listener.on('message', (_channel, message) => heard.add(message));
    await listener.subscribe('probe');
    while (heard.size < nodes.length) {
      await Promise.all(nodes.map(({ admin }, index) => admin.publish('probe', String(index))));
      await sleep(20);
    }
    listener.disconnect();
  }
}

/** Creates an execution in partitions of every node, and hears of them. */
async function works(options: ValkeyOptions): Promise<void> {
  const prefix = `${randomUUID()}:`;
  await using backend = await valkey({ callTimeoutMs: 3_000, partitions: { count: 12 }, prefix, ...options });
  const heard = new Set<string>();
  await backend.onWake(
    ['lane'],
    (wake) => wake.kind === 'work' && wake.arriving === undefined && heard.add(wake.partition),
  );
  for (let partition = 0; partition < 12; partition++)
    await backend.createExecution({
      executionId: executionIdOf(partition, randomUUID()),
      namespace: 'n',
      laneId: 'lane',
      executionKind: 'k',
      creatorIdentity: 'c',
    });
  for (let i = 0; i < 200 && heard.size < 12; i++) await sleep(10);
  expect(heard.size).toBe(12);
}

const refused = (options: ValkeyOptions): Promise<EngineError> =>
  valkey({ callTimeoutMs: 3_000, ...options }).then(
    () => expect.fail('it was accepted'),
    (error: EngineError) => error,
  );

test('a cluster whose nodes announce names: each certificate is checked against its name', async () => {
  const ports = await cluster(3, () => [
    ...['--cluster-announce-hostname', 'localhost', '--cluster-preferred-endpoint-type', 'hostname'],
  ]);
  const tls = { ca: authority.ca };
  await works({ url: `valkeys://localhost:${ports[0]}`, tls });
  // Any node that answers leads to the others.
  const dead = await freePort();
  await works({ url: `valkeys://localhost:${dead},localhost:${ports[1]},localhost:${ports[2]}`, tls });
  await works({ nodes: [`localhost:${dead}`, { host: 'localhost', port: ports[2] as number }], tls });
});

test('a cluster whose nodes announce addresses and also names: certificates are checked against the names', async () => {
  const ports = await cluster(3, () => ['--cluster-announce-hostname', 'localhost']);
  await works({ url: `valkeys://localhost:${ports[0]}`, tls: { ca: authority.ca } });
});

test('a cluster whose nodes announce addresses: certificates are checked against the given name', async () => {
  const ports = await cluster(2, () => [], ['DNS:cluster.internal']);
  await works({ url: `valkeys://127.0.0.1:${ports[0]}`, tls: { ca: authority.ca, servername: 'cluster.internal' } });
  const error = await refused({ url: `valkeys://127.0.0.1:${ports[0]}`, tls: { ca: authority.ca } });
  expect(error).toMatchObject({ code: 'certificate_refused', retryable: false });
});

test('a cluster with one certificate of another name: boot names the certificate and its node', async () => {
  const names = ['localhost', 'wrong.localhost'];
  const ports = await cluster(2, (index) => [
    ...['--cluster-announce-hostname', names[index] as string, '--cluster-preferred-endpoint-type', 'hostname'],
  ]);
  const error = await refused({
    url: `valkeys://localhost:${ports[0]}`,
    tls: { ca: authority.ca },
    lookup: (_name, options, done) =>
      options.all === true ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4),
  });
  expect(error).toMatchObject({ code: 'certificate_refused', retryable: false });
  expect(error.message).toContain(`wrong.localhost:${ports[1]}`);
  expect(error.message).toMatch(/certificate/);
  expect(error.message).not.toMatch(/slots/i);
});

test('a cluster without a trusted certificate: boot names the certificate, not slots', async () => {
  const ports = await cluster(2, () => ['--cluster-announce-hostname', 'localhost']);
  const error = await refused({ url: `valkeys://localhost:${ports[0]}` });
  expect(error).toMatchObject({ code: 'certificate_refused' });
  expect(error.message).toContain(`localhost:${ports[0]}`);
});

test('a cluster whose slots have no owners yet is reported as not ready', async () => {
  const server = await startValkey({ args: ['--cluster-enabled', 'yes', '--cluster-port', String(await freePort())] });
  servers.push(server);
  const error = await refused({ url: server.url, callTimeoutMs: 300 });
  expect(error).toMatchObject({ code: 'server_not_ready', retryable: true });
  expect(error.message).toContain(`The cluster of ${server.host}:${server.port} has no slots yet`);
});

test('a cluster of one node that announces no address is reached at the given address', async () => {
  const server = await startValkey({ args: ['--cluster-enabled', 'yes', '--cluster-port', String(await freePort())] });
  servers.push(server);
  const admin = new Valkey(server.url);
  await admin.call('CLUSTER', 'ADDSLOTSRANGE', 0, SLOTS - 1);
  while (!String(await admin.call('CLUSTER', 'INFO')).includes('cluster_state:ok')) await sleep(20);
  await works({ url: `valkey://localhost:${server.port}` });
  await works({ url: `valkey://127.0.0.1:${server.port}` });
  // The same by rule instead of by accident.
  await admin.config('SET', 'cluster-preferred-endpoint-type', 'unknown-endpoint');
  await works({ url: `valkey://localhost:${server.port}` });
  // A name that is announced and not set.
  await admin.config('SET', 'cluster-preferred-endpoint-type', 'hostname');
  await works({ url: `valkey://127.0.0.1:${server.port}` });
  admin.disconnect();
});
