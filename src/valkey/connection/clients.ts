/**
 * Connections to the server: one for commands, and one for wakes once a caller listens. The client library does the
 * protocol, the slots and the reconnecting; here is what we ask of it.
 */
import { Cluster, Valkey, type ClusterOptions, type RedisOptions } from 'iovalkey';
import { EngineError } from '../../../model/errors.js';
import type { Address } from './address.js';
import { AnnouncedAddresses } from './announced-addresses.js';
import { connectorWith, sentinelConnectorWith } from './connectors.js';
import type { Deadlines } from './deadlines.js';
import { CallTimeout, isLasting } from './faults.js';
import { CallNotSent, connectionFault, forgetFault, nameFaults, nameOf, NodeFault, noteFault } from './node-faults.js';

/** A client for one node or for a cluster. */
export type Client = Valkey | Cluster;

/** Wait between tries to reach a server that is gone, ms: quick at first, a second at most. */
const reconnectDelayMs = (tries: number): number => Math.min(50 * 2 ** Math.min(tries, 5), 1_000);

function commonOptions(address: Address, callTimeoutMs: number): RedisOptions {
  const { username, password, tls, lookup } = address;
  return {
    lazyConnect: true,
    // The backend repeats calls, within their deadline; the client library never does, and keeps none for later. So a
    // call that its caller has given up does not reach the server after an outage, and no call runs twice behind
    // its caller's back. What was under way when a connection breaks fails at once: it may or may not have run.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // The timeouts of calls, and of connections whose peer went away without a word, are the backend's too
    // (deadlines.ts): the client library's would fire after a pause of the event loop, before the answers that came
    // meanwhile are read.
    connectTimeout: callTimeoutMs,
    keepAlive: 10_000,
    noDelay: true,
    // Whichever family a name resolves to; Node tries both.
    family: 0,
    familyFallback: { enabled: false },
    retryStrategy: reconnectDelayMs,
    // With its name, a password for a user that needs none is no reason for a warning.
    ...(password === undefined ? {} : { username: username ?? 'default', password }),
    ...(tls === undefined ? {} : { tls: { ...tls, ...(lookup === undefined ? {} : { lookup }) } }),
    ...(tls === undefined && lookup !== undefined ? { Connector: connectorWith(lookup) } : {}),
  };
}

/**
 * Leaves a replica that was a primary a moment ago: the address may lead to the new primary by then. The first refusal of a
 * connection ends it; the client library would end it again for each of the others, with a listener and a timer every time.
 */
function leaveReplicas(client: Valkey): void {
  let isLeaving = false;
  client.on('connect', () => (isLeaving = false));
  client.options.reconnectOnError = ({ message }) => !isLeaving && message.startsWith('READONLY') && (isLeaving = true);
}

/** A connection to one node, or to the primary that Sentinels name; `deadlines` notice when it is dead. */
export function connectNode(address: Address, callTimeoutMs: number, deadlines?: Deadlines): Valkey {
  const [node] = address.nodes;
  const common = { ...commonOptions(address, callTimeoutMs), db: address.database };
  const client = new Valkey(node === undefined ? { ...common, ...sentinelOptions(address) } : { ...common, ...node });
  deadlines?.watch(client);
  leaveReplicas(client);
  return nameFaults(client);
}

function sentinelOptions({ sentinels, name, sentinelUsername, sentinelPassword, tls, lookup }: Address): RedisOptions {
  return {
    sentinels: [...sentinels],
    ...(name === undefined ? {} : { name }),
    ...(sentinelPassword === undefined ? {} : { sentinelUsername: sentinelUsername ?? 'default', sentinelPassword }),
    sentinelRetryStrategy: reconnectDelayMs,
    ...(tls === undefined ? {} : { enableTLSForSentinelMode: true, sentinelTLS: tls }),
    ...(lookup === undefined ? {} : { Connector: sentinelConnectorWith(lookup) }),
  };
}

/** A client for the cluster that the nodes belong to; `deadlines` notice when a connection is dead. */
export function connectCluster(address: Address, callTimeoutMs: number, deadlines?: Deadlines): Cluster {
  const announced = new AnnouncedAddresses(address);
  const options: ClusterOptions = {
    lazyConnect: true,
    clusterRetryStrategy: reconnectDelayMs,
    enableOfflineQueue: false,
    // A cluster that is down says so to the calls, which wait then; to ask for its state would need a right more.
    enableReadyCheck: false,
    // Redirections are followed; what may have run is not sent again, and waiting is the backend's.
    retryDelayOnFailover: 0,
    retryDelayOnTryAgain: 20,
    retryDelayOnClusterDown: 100,
    maxRedirections: 8,
    // Names stay names until a connection is made: its certificate bears the name.
    dnsLookup: (name, done) => done(null, name),
    natMap: (key) => announced.meantBy(key),
    redisOptions: commonOptions(address, callTimeoutMs),
  };
  const client = new Cluster([...address.nodes], options);
  client.on('+node', (node: Valkey) => {
    deadlines?.watch(node);
    leaveReplicas(node);
    announced.heed(nameFaults(node));
  });
  client.on('node error', (error: unknown) => noteFault(client, error));
  client.on('error', (error: Error & { lastNodeError?: unknown }) => noteFault(client, error.lastNodeError ?? error));
  client.on('ready', () => forgetFault(client));
  // A node that went away may have been replaced: ask the others who has its slots.
  client.on('-node', () => {
    if (client.status === 'ready') client.refreshSlotsCache();
  });
  return client;
}

/**
 * A connection of its own for wakes, to any one node: a cluster passes every message on to all of them. It does not
 * reconnect by itself, since its node may be gone for good: at its end another one is made.
 */
export function connectForWakes(client: Client, deadlines: Deadlines): Valkey {
  const nodes = primariesOf(client);
  const node = nodes[Math.floor(Math.random() * nodes.length)];
  if (node === undefined) throw new EngineError('transport_failed', 'No node of the cluster can be reached.');
  const wakes = nameFaults(node.duplicate({ enableOfflineQueue: true, retryStrategy: () => null }));
  deadlines.watch(wakes);
  return wakes;
}

/**
 * Connects; resolves when the server takes commands. With a signal that says that nobody waits any more, no timer is left.
 * @throws CallNotSent with the last fault that was met, at the end of the time; at once when waiting is in vain. CallTimeout
 * when none was met
 */
export async function established(
  client: Client,
  timeoutMs: number,
  { signal, isInVain = isLasting }: { signal?: AbortSignal; isInVain?: (fault: unknown) => boolean } = {},
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const fail = (): void => {
      const fault = connectionFault(client);
      if (fault === undefined || fault instanceof NodeFault) reject(fault ?? new CallTimeout(true));
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
    // Its own failure is told by the event above, and tried again until the time is over.
    client.connect().catch(() => undefined);
  });
}

/** Does what sends several commands at once; those to a single node leave in one write, as every write is a call of the system. */
export function inOneWrite<T>(client: Client, send: () => T): T {
  // There is none before the first connection.
  const stream = client instanceof Cluster ? undefined : (client.stream as Valkey['stream'] | undefined);
  if (stream === undefined) return send();
  stream.cork();
  try {
    return send();
  } finally {
    stream.uncork();
  }
}

/** Every primary behind a client. */
export function primariesOf(client: Client): Valkey[] {
  return client instanceof Cluster ? client.nodes('master') : [client];
}
