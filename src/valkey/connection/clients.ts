/**
 * Connections to the server: one for commands, and one for wakes once a caller listens. The client library handles the
 * protocol, the slots and reconnections; this file configures it.
 */
import { Cluster, Valkey, type ClusterOptions, type RedisOptions } from 'iovalkey';
import { present } from '../../../model/core/present.js';
import { crc16 } from '../../../model/ids.js';
import type { Address } from './address.js';
import { AnnouncedAddresses } from './announced-addresses.js';
import { connectorWith, sentinelConnectorWith } from './connectors.js';
import type { Deadlines } from './deadlines.js';
import { CallTimeout, isPermanent } from './faults.js';
import { CallNotSent, connectionFault, forgetFault, nameFaults, nameOf, NodeFault, noteFault } from './node-faults.js';

/** A client for one node or for a cluster. */
export type Client = Valkey | Cluster;

/** Slots of a cluster. */
const SLOT_COUNT = 16_384;

const MAX_RECONNECT_DELAY_MS = 1_000;
/** Delay between tries to reach a lost server, ms: short at first. */
const reconnectDelayMs = (tries: number): number => Math.min(50 * 2 ** Math.min(tries, 5), MAX_RECONNECT_DELAY_MS);

function commonOptions(address: Address, callTimeoutMs: number): RedisOptions {
  const { username, password, tls } = address;
  return {
    lazyConnect: true,
    // The backend retries calls within their deadline. The client library must neither retry nor queue them, so that a
    // call that its caller has given up does not reach the server after an outage, and no call runs twice without its
    // caller's knowledge. Calls in flight when a connection breaks fail at once: they may or may not have run.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // The backend also handles timeouts of calls and of dead connections (deadlines.ts): those of the client library
    // would fire after a pause of the event loop, before the answers that arrived meanwhile are read.
    connectTimeout: callTimeoutMs,
    keepAlive: 10_000,
    noDelay: true,
    // Any address family; Node tries both.
    family: 0,
    familyFallback: { enabled: false },
    retryStrategy: reconnectDelayMs,
    // A server that loads its data can be done long before the time that it estimates.
    maxLoadingRetryTime: MAX_RECONNECT_DELAY_MS,
    // With the user's name, the library does not warn about a password that the user does not need.
    ...(password === undefined ? {} : { username: username ?? 'default', password }),
    ...(tls === undefined ? {} : { tls }),
    Connector: connectorWith(address, callTimeoutMs),
  };
}

/**
 * Reconnects when the node has become a replica, because the address may lead to the new primary by then. Only the
 * first refusal on a connection counts: the client library would end the connection again for each further one, with a
 * listener and a timer every time.
 */
function leaveReplicas(client: Valkey): void {
  let isLeaving = false;
  client.on('connect', () => (isLeaving = false));
  client.options.reconnectOnError = ({ message }) => !isLeaving && message.startsWith('READONLY') && (isLeaving = true);
}

const ignored = (): void => undefined;

/**
 * Parses answers in the turn that receives them. The client library listens with `prependListener`, which a stream of
 * Node does not count as a listener for data: without another one, the stream buffers every chunk until the next tick.
 */
function parseAtOnce(client: Valkey): void {
  client.on('connect', () => client.stream.on('data', ignored));
}

/** A connection to one node, or to the primary that Sentinels name; `deadlines` detects a dead connection. */
export function connectNode(address: Address, callTimeoutMs: number, deadlines?: Deadlines): Valkey {
  const [node] = address.nodes;
  const common = { ...commonOptions(address, callTimeoutMs), db: address.database };
  const client = new Valkey(
    node === undefined ? { ...common, ...sentinelOptions(address, callTimeoutMs) } : { ...common, ...node },
  );
  deadlines?.watch(client);
  leaveReplicas(client);
  parseAtOnce(client);
  return nameFaults(client);
}

function sentinelOptions(address: Address, callTimeoutMs: number): RedisOptions {
  const { sentinels, name, sentinelUsername, sentinelPassword, tls } = address;
  return {
    sentinels: [...sentinels],
    ...(name === undefined ? {} : { name }),
    ...(sentinelPassword === undefined ? {} : { sentinelUsername: sentinelUsername ?? 'default', sentinelPassword }),
    sentinelRetryStrategy: reconnectDelayMs,
    ...(tls === undefined ? {} : { enableTLSForSentinelMode: true, sentinelTLS: tls }),
    Connector: sentinelConnectorWith(address, callTimeoutMs),
  };
}

/** A client for the cluster of the nodes; `deadlines` detects dead connections. */
export function connectCluster(address: Address, callTimeoutMs: number, deadlines?: Deadlines): Cluster {
  const announced = new AnnouncedAddresses(address);
  const options: ClusterOptions = {
    lazyConnect: true,
    clusterRetryStrategy: reconnectDelayMs,
    enableOfflineQueue: false,
    // A cluster that is down refuses calls, which are then retried; asking for its state would need another right.
    enableReadyCheck: false,
    // Redirections are followed; calls that may have run are not sent again, and the backend does the waiting.
    retryDelayOnFailover: 0,
    retryDelayOnTryAgain: 20,
    retryDelayOnClusterDown: 100,
    maxRedirections: 8,
    // Names are resolved only by the connection, because the certificate contains the name.
    dnsLookup: (name, done) => done(null, name),
    natMap: (key) => announced.addressFor(key),
    redisOptions: commonOptions(address, callTimeoutMs),
  };
  const client = new Cluster([...address.nodes], options);
  client.on('+node', (node: Valkey) => {
    deadlines?.watch(node);
    leaveReplicas(node);
    parseAtOnce(node);
    announced.interceptSlots(nameFaults(node));
  });
  client.on('node error', (error: unknown) => noteFault(client, error));
  client.on('error', (error: Error & { lastNodeError?: unknown }) => noteFault(client, error.lastNodeError ?? error));
  client.on('ready', () => forgetFault(client));
  // A removed node may have a successor: ask the other nodes for its slots.
  client.on('-node', () => {
    if (client.status === 'ready') client.refreshSlotsCache();
  });
  return client;
}

/**
 * A separate connection for wakes, to any node, because a cluster forwards every message to all nodes. It does not
 * reconnect, because its node may be gone for good: when it ends, the subscriber creates another.
 */
export function connectForWakes(client: Client, deadlines: Deadlines): Valkey {
  const nodes = primariesOf(client);
  const node = present(nodes[Math.floor(Math.random() * nodes.length)]);
  const wakes = nameFaults(node.duplicate({ enableOfflineQueue: true, retryStrategy: () => null }));
  deadlines.watch(wakes);
  parseAtOnce(wakes);
  return wakes;
}

/**
 * Connects; resolves when the server accepts commands. Aborting the signal ends the wait and its timer.
 * @throws CallNotSent with the last fault when the time is over, or at once for a fault that lasts; CallTimeout without
 *   a fault
 */
export async function established(
  client: Client,
  timeoutMs: number,
  { signal, isInVain = isPermanent }: { signal?: AbortSignal; isInVain?: (fault: unknown) => boolean } = {},
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const fail = (): void => {
      const fault = connectionFault(client);
      if (fault === undefined) reject(new CallTimeout(true));
      // A call that is lost here is one of the client library's own.
      else if (fault instanceof NodeFault) reject(new CallNotSent(fault.node, fault.reason));
      else reject(new CallNotSent(client instanceof Cluster ? 'the cluster' : nameOf(client), fault));
    };
    const timer = setTimeout(fail, timeoutMs);
    client.once('ready', () => {
      clearTimeout(timer);
      resolve();
    });
    const ended = (): void => {
      clearTimeout(timer);
      fail();
    };
    client.on('error', () => {
      if (isInVain(connectionFault(client))) ended();
    });
    signal?.addEventListener('abort', ended, { once: true });
    // The event above reports its failure, and the connection is retried until the time is over.
    client.connect().catch(() => undefined);
  });
}

/**
 * Runs a function that sends several commands; to a single node they leave in one write, because each is a system call.
 */
export function inOneWrite<T>(client: Client, send: () => T): T {
  // Undefined before the first connection.
  const stream = client instanceof Cluster ? undefined : (client.stream as Valkey['stream'] | undefined);
  if (stream === undefined) return send();
  stream.cork();
  try {
    return send();
  } finally {
    stream.uncork();
  }
}

/** The node that has a key with a hash tag, by any name, as far as the client knows. */
export function nodeOf(client: Client, key: string): string {
  if (!(client instanceof Cluster)) return '';
  const tag = key.slice(key.indexOf('{') + 1, key.indexOf('}'));
  return client.slots[crc16(Buffer.from(tag)) % SLOT_COUNT]?.[0] ?? '';
}

/** Every primary behind a client that it knows at present: none during an outage of a whole cluster. */
export function knownPrimariesOf(client: Client): Valkey[] {
  return client instanceof Cluster ? client.nodes('master') : [client];
}

/** Every primary behind a client. @throws CallNotSent during an outage of a whole cluster */
export function primariesOf(client: Client): [Valkey, ...Valkey[]] {
  const [first, ...others] = knownPrimariesOf(client);
  if (first === undefined) throw new CallNotSent('the cluster', connectionFault(client));
  return [first, ...others];
}
