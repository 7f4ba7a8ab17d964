/** The address of the server: a URL, the nodes of a cluster, or the Sentinels that know the primary. */
import { isIP, type LookupFunction } from 'node:net';
import { present } from '../../../model/core/present.js';
import { checkOptionNames } from '../../backend/settings.js';
import { isRecord } from '../../shared/shown.js';
import { invalidOption } from '../invalid-option.js';
import { checkedTls, type TlsOptions } from './tls-options.js';

/** `host:port`, `host` (port 6379, for a Sentinel 26379), or an object. IPv6 addresses in strings have brackets. */
export type NodeAddress = string | { readonly host: string; readonly port?: number | undefined };

/** How to reach the server. */
export interface ConnectionOptions {
  /**
   * `valkey://[user:password@]host[:port][/database]`, `valkeys://` with TLS; several nodes of a cluster are separated
   * by commas. Default: the environment variable `VALKEY_URL`, or `valkey://localhost:6379`.
   */
  readonly url?: string | undefined;
  /** Nodes of a cluster, instead of `url`; one that answers is enough to find all others. */
  readonly nodes?: readonly NodeAddress[] | undefined;
  /** Sentinels, instead of `url`. They are asked for the primary, again after each lost connection. */
  readonly sentinels?: readonly NodeAddress[] | undefined;
  /** The name of the primary at the Sentinels. */
  readonly name?: string | undefined;
  /** User of the server. Default: that of the URL, or `default`. */
  readonly username?: string | undefined;
  /** Password of the server. Default: that of the URL, or none. */
  readonly password?: string | undefined;
  /** Number of the database. Default: that of the URL, or 0. A cluster has only database 0. */
  readonly database?: number | undefined;
  /** User of the Sentinels. Default none. */
  readonly sentinelUsername?: string | undefined;
  /** Password of the Sentinels. Default none. */
  readonly sentinelPassword?: string | undefined;
  /**
   * TLS, with these certificates and names. Default: on for `valkeys://`, off otherwise. The certificate of a node must
   * have the name of the node in the URL or the cluster, or `servername`.
   */
  readonly tls?: boolean | TlsOptions | undefined;
  /** Resolves host names, like the option of `net.connect`. Default: `dns.lookup`. */
  readonly lookup?: LookupFunction | undefined;
}

export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

/** The checked options with their defaults. */
export interface Address {
  /** Nodes to connect to first; empty with Sentinels. */
  readonly nodes: readonly HostAndPort[];
  readonly sentinels: readonly HostAndPort[];
  readonly name: string | undefined;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly sentinelUsername: string | undefined;
  readonly sentinelPassword: string | undefined;
  readonly database: number;
  readonly tls: TlsOptions | undefined;
  readonly lookup: LookupFunction | undefined;
  /** The address in errors: `host:port`, without user and password. */
  readonly label: string;
}

const NODE_PORT = 6379;
const SENTINEL_PORT = 26379;
const DEFAULT_URL = 'valkey://localhost:6379';

const SCHEMES: ReadonlyMap<string, { readonly tls: boolean }> = new Map([
  ['valkey', { tls: false }],
  ['redis', { tls: false }],
  ['valkeys', { tls: true }],
  ['rediss', { tls: true }],
]);

/** Names of the options, for the check against misspelt ones. */
export const CONNECTION_OPTIONS = [
  'url',
  'nodes',
  'sentinels',
  'name',
  'username',
  'password',
  'database',
  'sentinelUsername',
  'sentinelPassword',
  'tls',
  'lookup',
] as const satisfies readonly (keyof ConnectionOptions)[];

/** Options that are texts. */
const TEXTS = ['url', 'name', 'username', 'password', 'sentinelUsername', 'sentinelPassword'] as const;

/** The address in the options. @throws EngineError `invalid_input`, which never quotes a user or password */
export function addressOf(options: ConnectionOptions): Address {
  const { url, nodes, sentinels, name, lookup, sentinelUsername } = options;
  for (const field of TEXTS)
    if (options[field] !== undefined && typeof options[field] !== 'string')
      throw invalidOption(field, 'must be a string.');
  if (lookup !== undefined && typeof lookup !== 'function') throw invalidOption('lookup', 'must be a function.');
  const ways = [url, nodes, sentinels].filter((way) => way !== undefined).length;
  if (ways > 1) throw invalidOption('url', 'give one of `url`, `nodes` and `sentinels`.');
  if ((sentinels === undefined) !== (name === undefined))
    throw invalidOption('name', 'Sentinels need the `name` of the primary, and only they do.');
  for (const field of ['name', 'username', 'sentinelUsername'] as const)
    if (options[field] === '') throw invalidOption(field, 'must not be empty.');
  if (sentinels === undefined && (sentinelUsername ?? options.sentinelPassword) !== undefined)
    throw invalidOption('sentinels', 'are missing, but there is a user or a password for them.');
  const parsed = nodes === undefined && sentinels === undefined ? parsedUrl(url) : undefined;
  const given = nodes === undefined ? parsed?.nodes : nodesOf('nodes', nodes, NODE_PORT);
  const asked = sentinels === undefined ? [] : nodesOf('sentinels', sentinels, SENTINEL_PORT);
  const username = options.username ?? parsed?.username;
  return {
    nodes: given ?? [],
    sentinels: asked,
    name,
    username,
    password: options.password ?? parsed?.password ?? passwordOf(username),
    sentinelUsername,
    sentinelPassword: options.sentinelPassword ?? passwordOf(sentinelUsername),
    database: databaseOf(options.database ?? parsed?.database ?? 0),
    tls: tlsOf(options.tls, parsed?.tls ?? false),
    lookup,
    label: name === undefined ? (given ?? []).map(textOf).join(', ') : `the primary "${name}"`,
  };
}

/** A user without a password still logs in: otherwise the connection would have the rights of `default`. */
const passwordOf = (username: string | undefined): string | undefined => (username === undefined ? undefined : '');

const textOf = ({ host, port }: HostAndPort): string => `${host.includes(':') ? `[${host}]` : host}:${port}`;

function databaseOf(number: number): number {
  if (Number.isInteger(number) && number >= 0 && number < 10_000) return number;
  throw invalidOption('database', 'must be an integer from 0 to 9,999.');
}

function tlsOf(given: ConnectionOptions['tls'], byScheme: boolean): TlsOptions | undefined {
  if (given === undefined) return byScheme ? {} : undefined;
  if (given === false && byScheme) throw invalidOption('tls', 'is off, but the URL asks for TLS; use "valkey://".');
  if (typeof given !== 'boolean' && !isRecord(given))
    throw invalidOption('tls', 'must be true, false or options of `tls.connect`.');
  return given === false ? undefined : given === true ? {} : checkedTls(given);
}

function nodesOf(field: string, given: readonly NodeAddress[], defaultPort: number): HostAndPort[] {
  if (!Array.isArray(given) || given.length === 0) throw invalidOption(field, 'must name at least one node.');
  // A list with holes has nodes that are not there.
  return Array.from(given, (each: NodeAddress | null | undefined) => {
    const node =
      typeof each === 'string'
        ? parseNode(each, defaultPort)
        : each && { host: each.host, port: each.port ?? defaultPort };
    if (typeof each === 'object' && each !== null) checkOptionNames(`a node of \`${field}\``, each, ['host', 'port']);
    if (node === undefined || node === null || !isHost(node.host) || !isPort(node.port))
      throw invalidOption(field, 'each must look like "host:port" or { host, port }.');
    return node;
  });
}

/** A name or an address, without a port and without brackets. */
const isHost = (host: unknown): boolean =>
  typeof host === 'string' && (/^[^\s:@/?#[\]]+$/.test(host) || isIP(host) !== 0);
const isPort = (port: number): boolean => Number.isInteger(port) && port >= 1 && port <= 65_535;

/** `host`, `host:port`, `[address]` or `[address]:port`. */
function parseNode(text: string, defaultPort: number): HostAndPort | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.%]+)\]|([^\s:@/?#[\]]+))(?::(\d{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const [, address, host, port] = match;
  return { host: address ?? present(host), port: port === undefined ? defaultPort : Number(port) };
}

interface ParsedUrl {
  readonly nodes: readonly HostAndPort[];
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly database: number;
  readonly tls: boolean;
}

const FORM = 'must look like "valkey://[user:password@]host:port[/database]"; encode reserved characters as "%40".';

const SCHEME = 'must begin with "valkey://" or "redis://", or for TLS with "valkeys://" or "rediss://".';

/** scheme, user and password, hosts, path, parameters, fragment. */
const URL_PARTS = /^([a-z]+):\/\/(?:([^@/?#]*)@)?([^@/?#]*)(?:\/([^?#]*))?(\?[^#]*)?(#.*)?$/i;

function parsedUrl(given: string | undefined): ParsedUrl {
  const fromEnvironment = process.env['VALKEY_URL'];
  return given === undefined && fromEnvironment !== undefined
    ? parseUrl('VALKEY_URL', fromEnvironment)
    : parseUrl('url', given ?? DEFAULT_URL);
}

/** @param field what gave the URL, for errors */
function parseUrl(field: 'url' | 'VALKEY_URL', url: string): ParsedUrl {
  const match = URL_PARTS.exec(url.trim());
  if (match === null) throw invalidOption(field, FORM);
  const [, scheme = '', login, hosts = '', path = '', parameters = '', fragment = ''] = match;
  const known = SCHEMES.get(scheme.toLowerCase());
  if (known === undefined) throw invalidOption(field, SCHEME);
  if (parameters.length > 1) throw invalidOption(field, parameterFault(parameters));
  if (fragment !== '') throw invalidOption(field, FORM);
  const nodes = hosts.split(',').map((text) => parseNode(text, NODE_PORT));
  if (nodes.some((node) => node === undefined || !isPort(node.port))) throw invalidOption(field, FORM);
  if (!/^\d{0,4}$/.test(path)) throw invalidOption(field, 'the path after the host must be the number of a database.');
  const [username, ...password] = login === undefined ? [] : login.split(':');
  return {
    nodes: nodes as HostAndPort[],
    username: username ? decoded(field, username) : undefined,
    password: password.length === 0 ? undefined : decoded(field, password.join(':')),
    database: Number(path),
    tls: known.tls,
  };
}

function decoded(field: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalidOption(field, FORM);
  }
}

/** Names the parameter, unless it might be part of a password. */
function parameterFault(parameters: string): string {
  const name = /^\?([a-zA-Z_]{1,32})=[\w.-]*(&|$)/.exec(parameters)?.[1];
  const which = name === undefined ? 'it has parameters' : `its parameter "${name}" is unknown`;
  return `${which}; a URL of flowfabric takes none: use the options of valkey().`;
}
