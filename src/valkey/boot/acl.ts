/**
 * The exact rights that a user of the server needs, generated from the commands of the library and the client, so that
 * they are always complete. A user with them can use one deployment and nothing else.
 */
import { CHANNELS } from '../../../lua/layout.js';
import { library } from '../../../lua/library.js';
import { EngineError } from '../../../model/errors.js';
import { buildsKey, deploymentKey } from '../keys.js';
import { checkOptionNames } from '../../backend/settings.js';
import { LIBRARY_MODES, parsePrefix, type LibraryMode } from '../options.js';

/** Commands that the client runs; those of the library come on top. */
export const CLIENT_COMMANDS = [
  'append',
  'fcall',
  'get',
  'getrange',
  'info',
  'mget',
  'persist',
  'pexpire',
  'ping',
  'set',
  'subscribe',
  'time',
  'unlink',
  'unsubscribe',
  'zadd',
  'zscore',
] as const;

/** Further commands in a cluster, to find the nodes and to follow a slot that moves. */
export const CLUSTER_COMMANDS = ['asking', 'client|setname', 'cluster|slots', 'readonly', 'readwrite'] as const;

export interface AclOptions {
  /** Prefix of the deployment. Default `ff:`. */
  readonly prefix?: string;
  /** Whether the server is a cluster; create the user on every node then. Default false. */
  readonly cluster?: boolean;
  /** Name of the user. Default `flowfabric`. */
  readonly user?: string;
  /** The same as in the options of `valkey()`: with `verify`, the user may not load the library. Default `load`. */
  readonly library?: LibraryMode;
  /**
   * Lets the user verify partitions (`SCAN`), by which calls that broke off halfway are repaired, and which
   * `verifyPartition` needs. It shows the names of all keys of the server, also those of other prefixes. Default true.
   */
  readonly verify?: boolean;
  /** Database, as in the URL; a database other than 0 needs one more right. Default 0. */
  readonly database?: number;
}

export interface Acl {
  readonly user: string;
  /**
   * The rules for `ACL SETUSER <user>`, without the password: add `>password` or `#hash`. They remove all other rights.
   */
  readonly rules: readonly string[];
  /** The same as a line for `valkey-cli`: for its prompt, or behind its name in a shell. */
  readonly command: string;
}

/** Keys and channels of a deployment, as ACL patterns. They match none of a deployment with another prefix. */
function aclPatterns(prefix: string): {
  readonly keys: readonly string[];
  readonly channels: readonly string[];
} {
  const start = escaped(prefix);
  return {
    keys: [`${start}{*`, escaped(deploymentKey(prefix)), escaped(buildsKey(prefix))],
    channels: Object.values(CHANNELS).map((name) => `${start}${name}${name.endsWith(':') ? '*' : ''}`),
  };
}

/** Escapes the special characters of a pattern. */
const escaped = (text: string): string => text.replace(/[*?[\]\\]/g, '\\$&');

const ACL_OPTIONS: readonly string[] = ['prefix', 'cluster', 'user', 'library', 'verify', 'database'];

/** A misspelt option would grant other rights than those that were meant. */
function checkAclOptions(options: AclOptions): void {
  checkOptionNames('aclOf()', options, ACL_OPTIONS);
  const { cluster = false, user = 'flowfabric', library: mode = 'load', database = 0, verify = true } = options;
  const check = (field: string, rule: string, holds: boolean): void => {
    if (!holds) throw new EngineError('invalid_input', `${field}: must be ${rule}.`, { detail: { field } });
  };
  check('cluster', 'true or false', typeof cluster === 'boolean');
  check('verify', 'true or false', typeof verify === 'boolean');
  check('library', '"load", "verify" or "replace"', LIBRARY_MODES.includes(mode));
  check('database', 'a whole number from 0', Number.isInteger(database) && database >= 0);
  check('user', 'printable and without spaces', typeof user === 'string' && /^[\x21-\x7e]{1,256}$/.test(user));
}

/**
 * The least rights for all operations of a deployment.
 *
 * @throws EngineError `invalid_input` for an unknown or invalid option
 * @example
 * const { user, rules } = aclOf({ prefix: 'ff:', cluster: false, user: 'app' });
 * await admin.call('ACL', 'SETUSER', user, ...rules, '>password');
 */
export function aclOf(options: AclOptions = {}): Acl {
  checkAclOptions(options);
  const { cluster = false, user = 'flowfabric', library: mode = 'load', database = 0, verify = true } = options;
  const prefix = parsePrefix(options.prefix);
  const commands = new Set<string>([
    ...library('production').commands,
    ...CLIENT_COMMANDS,
    ...(cluster ? CLUSTER_COMMANDS : []),
    ...(mode === 'verify' ? [] : ['function|load']),
    ...(verify ? ['scan'] : []),
    ...(database === 0 ? [] : ['select']),
  ]);
  const { keys, channels } = aclPatterns(prefix);
  const rules = [
    'on',
    'resetkeys',
    'resetchannels',
    'clearselectors',
    ...keys.map((pattern) => `~${pattern}`),
    ...channels.map((pattern) => `&${pattern}`),
    '-@all',
    ...[...commands].sort().map((command) => `+${command}`),
  ];
  return { user, rules, command: ['ACL', 'SETUSER', user, '>PASSWORD', ...rules].map(quoted).join(' ') };
}

/** A word as a shell and `valkey-cli` read it. Neither reads an escaped quote in single quotes as the other does. */
function quoted(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  return word.includes("'") ? `"${word.replace(/["$`\\]/g, '\\$&')}"` : `'${word}'`;
}
