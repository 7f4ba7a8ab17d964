/**
 * Connections to the server: one for commands, and one for wakes once somebody waits for them. The client library
 * does the protocol, the slots and the reconnecting; here is what we ask of it and how its faults are named.
 */
import { Cluster, Valkey, type ClusterOptions, type RedisOptions } from 'iovalkey';
import { EngineError } from '../../model/errors.js';

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

const REDIS_SCHEMES: Record<string, string> = { 'valkey:': 'redis:', 'valkeys:': 'rediss:', 'redis:': 'redis:', 'rediss:': 'rediss:' };

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
    throw new EngineError('invalid_input', 'url: must begin with "valkey://" or "valkeys://" and name a host.', { detail: { field: 'url' } });
  }
  return new URL(url.replace(/^[a-z]+:/, scheme));
}

/** `host:port` of an address: what an error may say of it. */
export const hostOf = (address: URL): string => `${address.hostname}:${address.port || '6379'}`;

function commonOptions(callTimeoutMs: number): RedisOptions {
  return {
    lazyConnect: true,
    // A call waits for a reconnect as long as its own deadline allows, and no command is sent twice behind our back.
    maxRetriesPerRequest: null,
    autoResendUnfulfilledCommands: false,
    commandTimeout: callTimeoutMs,
    connectTimeout: callTimeoutMs,
    keepAlive: 10_000,
    noDelay: true,
    retryStrategy: reconnectDelayMs,
    // A replica that was a primary a moment ago: connect anew and ask again.
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 2 : false),
  };
}

/** A connection to one node. */
export function connectNode(address: URL, callTimeoutMs: number): Valkey {
  const client = new Valkey(address.href, commonOptions(callTimeoutMs));
  // Faults reach the caller of the command that meets them; without a listener the process would end.
  client.on('error', () => undefined);
  return client;
}

/** A client for the cluster that the node belongs to. */
export function connectCluster(address: URL, callTimeoutMs: number): Cluster {
  const { username, password, protocol } = address;
  const options: ClusterOptions = {
    lazyConnect: true,
    clusterRetryStrategy: reconnectDelayMs,
    retryDelayOnTryAgain: 20,
    retryDelayOnClusterDown: 100,
    retryDelayOnMoved: 5,
    maxRedirections: Math.ceil(callTimeoutMs / 20),
    redisOptions: {
      ...commonOptions(callTimeoutMs),
      ...(username === '' ? {} : { username: decodeURIComponent(username) }),
      ...(password === '' ? {} : { password: decodeURIComponent(password) }),
      ...(protocol === 'rediss:' ? { tls: {} } : {}),
    },
  };
  const client = new Cluster([{ host: address.hostname, port: Number(address.port || 6379) }], options);
  client.on('error', () => undefined);
  return client;
}

/** Every primary behind a client. */
export function primariesOf(client: Client): Valkey[] {
  return client instanceof Cluster ? client.nodes('master') : [client];
}

const TIMEOUT = /command timed out/i;
const FUNCTION_MISSING = /function not found/i;
/** Replies of a server that can take the very same call in a moment; the call did not run. */
const NOT_NOW = /^(TRYAGAIN|CLUSTERDOWN|LOADING|MASTERDOWN|READONLY|MOVED|ASK|NOREPLICAS)\b|Too many Cluster redirections/;
const SERVER_REPLY = /^[A-Z]+ /;

export function isFunctionMissing(error: unknown): boolean {
  return error instanceof Error && FUNCTION_MISSING.test(error.message);
}

/** Whether the server refused the call before it ran and will take it later. */
export function isNotNow(error: unknown): boolean {
  return error instanceof Error && NOT_NOW.test(error.message);
}

/** The error of the interface for a fault of the client library or of the server. */
export function faultOf(error: unknown, host: string): EngineError {
  if (error instanceof EngineError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (TIMEOUT.test(message)) return new EngineError('call_timeout', `${host} did not answer in time.`, { cause: error });
  if (SERVER_REPLY.test(message) && !NOT_NOW.test(message)) return new EngineError('function_failed', `${host} answered: ${message}.`, { cause: error });
  return new EngineError('transport_failed', `${host}: ${message}.`, { cause: error });
}
