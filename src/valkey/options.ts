/** The options of `valkey()`. */
import type { EngineError } from '../../model/errors.js';
import type { PartitionConfig } from '../../model/partition.js';
import { checkOptionNames } from '../backend/settings.js';
import { invalidOption } from './invalid-option.js';
import { CONNECTION_OPTIONS, type ConnectionOptions } from './connection/address.js';

/** How the function library gets onto the server. */
export type LibraryMode =
  /** Load it if it is missing or older; refuse another library of the same build. */
  | 'load'
  /** Only check it; for deployments that load it by other means. */
  | 'verify'
  /** Replace any library; for development, where the Lua changes without a new build number. */
  | 'replace';

export interface ValkeyOptions extends ConnectionOptions {
  /** What every key starts with; several deployments can share one server. Default `ff:`. */
  readonly prefix?: string | undefined;
  /**
   * How the deployment is partitioned. Fixed at its first boot; a later boot that asks for something else is refused.
   */
  readonly partitions?: Partial<PartitionConfig> | undefined;
  /**
   * How long an ended execution is kept, ms. Default 24 h. Shared by all processes and set at the first boot of the
   * deployment: a later boot that asks for something else is refused, and `configureDeployment` changes it for all.
   */
  readonly retentionMs?: number | undefined;
  /** Log entries kept per partition, approximately. Default 100 000. Shared, like `retentionMs`. */
  readonly logMaxEntries?: number | undefined;
  /** Tag keys by which executions are indexed, at most 16. Default none. Shared, like `retentionMs`. */
  readonly indexedTags?: readonly string[] | undefined;
  /**
   * Limit for one call to the server, ms, give or take a tenth; a pause of the event loop does not count. A batch that
   * runs in several calls has it for each of them. Default 5 000.
   */
  readonly callTimeoutMs?: number | undefined;
  /** How the function library gets onto the server. Default `load`. */
  readonly library?: LibraryMode | undefined;
  /**
   * Called with what an operator should know while the backend runs: an eviction policy that became unsafe, another
   * library. Called once per fault until it is over, and for damaged records that a call has quarantined on its way.
   * Called too when the server cannot be reached (`isLost` is true; the code and the reason are those of calls) and when
   * it can again. Default none.
   */
  readonly onNotice?: ((notice: EngineError) => void) | undefined;
}

const OPTION_NAMES: readonly (keyof ValkeyOptions)[] = [
  ...CONNECTION_OPTIONS,
  'prefix',
  'partitions',
  'retentionMs',
  'logMaxEntries',
  'indexedTags',
  'callTimeoutMs',
  'library',
  'onNotice',
];

export const LIBRARY_MODES: readonly unknown[] = ['load', 'verify', 'replace'] satisfies LibraryMode[];

/** Printable ASCII without braces: a brace would change the slots of keys. */
const PREFIX_PATTERN = /^[\x21-\x7a|~]{0,64}$/;

/** The prefix, checked. @throws EngineError `invalid_input` */
export function parsePrefix(prefix = 'ff:'): string {
  if (typeof prefix === 'string' && PREFIX_PATTERN.test(prefix)) return prefix;
  throw invalidOption('prefix', 'must be at most 64 printable characters without braces or spaces.');
}

/** A misspelt address would silently mean another server. @throws EngineError `invalid_input` */
export function checkOptions(options: ValkeyOptions): void {
  checkOptionNames('valkey()', options, OPTION_NAMES);
  const { library, onNotice, url, nodes, sentinels } = options;
  // Most likely a variable of the environment that is not set: the default would be another server.
  if ('url' in options && url === undefined && nodes === undefined && sentinels === undefined)
    throw invalidOption('url', 'is undefined. Leave it out for `VALKEY_URL`, or else `valkey://localhost:6379`.');
  if (onNotice !== undefined && typeof onNotice !== 'function') throw invalidOption('onNotice', 'must be a function.');
  if (library !== undefined && !LIBRARY_MODES.includes(library))
    throw invalidOption('library', 'must be "load", "verify" or "replace".');
}
