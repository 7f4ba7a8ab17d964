/**
 * Connections to the server: one for commands, and one for wakes once somebody waits for them. The client library
 * does the protocol, the slots and the reconnecting; here is what we ask of it and how its faults are named.
 */
import { Cluster, Valkey, type ClusterOptions, type RedisOptions } from 'iovalkey';
import { EngineError } from '../../model/errors.js';
import type { Deadlines } from './deadlines.js';

export interface ConnectionOptions {
  /** `valkey://[user:password@]host[:port][/db]`; `valkeys://` for TLS. */
  readonly url: string;
  /** Longest time a call may take, reconnecting included, ms. */
  readonly callTimeoutMs: number;
}

/** A client for one node or for a cluster. */
export type Client = Valkey | Cluster;

/** Wait between tries to reach a server that is gone, ms: quick at first, a second at most. */
const reconnectDelayMs = (tries: number): number => Math.min(50 * 2 ** Math.min(tries, 5), 1_000);

const REDIS_SCHEMES: Record<string, string> = {
  'valkey:': 'redis:',
  'valkeys:': 'rediss:',
  'redis:': 'redis:',
  'rediss:': 'rediss:',
};

/** The address as the client library wants it. @throws EngineError `invalid_input`, without the password */
export function parseAddress(url: string): URL {
  let address: URL;
  try {
    address = new URL(url);
  } catch {
    throw new EngineError('invalid_input', 'url: must look like "valkey://host:6379".', { detail: { field: 'url' } });
  }
  const scheme = REDIS_SCHEMES[address.protocol];
  if (scheme === undefined || address.hostname === '') {
    throw new EngineError('invalid_input', 'url: must begin with "valkey://" or "valkeys://" and name a host.', {
      detail: { field: 'url' },
    });
  }
  return new URL(url.replace(/^[a-z]+:/, scheme));
}

/** `host:port` of an address: what an error may say of it. */
export const hostOf = (address: URL): string => `${address.hostname}:${address.port || '6379'}`;

function commonOptions(callTimeoutMs: number): RedisOptions {
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
    retryStrategy: reconnectDelayMs,
    // A replica that was a primary a moment ago: connect anew, the address may lead to the new primary by then.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
  };
}

/** A connection to one node; `deadlines` notice when it is dead. */
export function connectNode(address: URL, callTimeoutMs: number, deadlines?: Deadlines): Valkey {
  const client = new Valkey(address.href, commonOptions(callTimeoutMs));
  deadlines?.watch(client);
  // Faults reach the caller of the command that meets them; without a listener the process would end.
  client.on('error', () => undefined);
  return client;
}

/** A client for the cluster that the node belongs to; `deadlines` notice when a connection is dead. */
export function connectCluster(address: URL, callTimeoutMs: number, deadlines?: Deadlines): Cluster {
  const { username, password, protocol } = address;
  const options: ClusterOptions = {
    lazyConnect: true,
    clusterRetryStrategy: reconnectDelayMs,
    enableOfflineQueue: false,
    // Redirections are followed; what may have run is not sent again, and waiting is the backend's.
    retryDelayOnFailover: 0,
    retryDelayOnTryAgain: 20,
    retryDelayOnClusterDown: 100,
    maxRedirections: 8,
    redisOptions: {
      ...commonOptions(callTimeoutMs),
      ...(username === '' ? {} : { username: decodeURIComponent(username) }),
      ...(password === '' ? {} : { password: decodeURIComponent(password) }),
      ...(protocol === 'rediss:' ? { tls: {} } : {}),
    },
  };
  const client = new Cluster([{ host: address.hostname, port: Number(address.port || 6379) }], options);
  client.on('+node', (node: Valkey) => deadlines?.watch(node));
  client.on('error', () => undefined);
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
  const wakes = node.duplicate({ enableOfflineQueue: true, retryStrategy: () => null });
  wakes.on('error', () => undefined);
  deadlines.watch(wakes);
  return wakes;
}

/** A refused login does not get better by waiting. */
const LOGIN_REFUSED = /^(WRONGPASS|NOAUTH|NOPERM)\b/;

/** Connects; resolves when the server takes commands. @throws the last fault that was met, at the end of the time */
export async function established(client: Client, timeoutMs: number): Promise<void> {
  let fault: unknown = new Error('Command timed out');
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(fault), timeoutMs);
    client.once('ready', () => {
      clearTimeout(timer);
      resolve();
    });
    client.on('error', (error: Error) => {
      fault = error;
      if (!LOGIN_REFUSED.test(error.message)) return;
      clearTimeout(timer);
      reject(error);
    });
    // Its own failure is told by the event above, and tried again until the time is over.
    client.connect().catch(() => undefined);
  });
}

/** Every primary behind a client. */
export function primariesOf(client: Client): Valkey[] {
  return client instanceof Cluster ? client.nodes('master') : [client];
}

/** The connection was lost while the call was under way. */
const LOST = /max retries per request|^Connection is closed/;
const NOT_CONNECTED = /enableOfflineQueue options is false/;
const TIMEOUT = /command timed out/i;
const FUNCTION_MISSING = /function not found/i;
/** Replies of a server that can take the very same call in a moment; the call did not run. */
const NOT_NOW =
  /^(TRYAGAIN|CLUSTERDOWN|LOADING|MASTERDOWN|READONLY|MOVED|ASK|NOREPLICAS|BUSY|MISCONF)\b|Too many Cluster redirections/;
const SERVER_REPLY = /^[A-Z]+ /;

export function isFunctionMissing(error: unknown): boolean {
  return error instanceof Error && FUNCTION_MISSING.test(error.message);
}

/** Whether the call did not run, for want of a connection or by the server's refusal, and can run in a moment. */
export function isNotNow(error: unknown): boolean {
  return error instanceof Error && (NOT_NOW.test(error.message) || NOT_CONNECTED.test(error.message));
}

/** The error of the interface for a fault of the client library or of the server. */
export function faultOf(error: unknown, host: string): EngineError {
  if (error instanceof EngineError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (NOT_CONNECTED.test(message))
    return new EngineError('transport_failed', `${host} cannot be reached; the call did not run.`, { cause: error });
  // A replica without the library takes none; a new primary without it gets it from the next call.
  if (FUNCTION_MISSING.test(message))
    return new EngineError('transport_failed', `${host} has not got the function library yet; the call did not run.`, {
      cause: error,
    });
  if (LOST.test(message))
    return new EngineError('transport_failed', `The connection to ${host} was lost during the call.`, { cause: error });
  if (TIMEOUT.test(message))
    return new EngineError('call_timeout', `${host} did not answer in time.`, { cause: error });
  if (/^OOM\b/.test(message))
    return new EngineError('server_memory_full', `${host} is out of memory; the call did not run.`, { cause: error });
  if (/^(NOAUTH|NOPERM|WRONGPASS)\b/.test(message))
    return new EngineError('server_refused', `${host} answered: ${message.replace(/\.$/, '')}.`, { cause: error });
  if (SERVER_REPLY.test(message) && !NOT_NOW.test(message))
    return new EngineError('function_failed', `${host} answered: ${message.replace(/\.$/, '')}.`, { cause: error });
  return new EngineError('transport_failed', `${host}: ${message}.`, { cause: error });
}
