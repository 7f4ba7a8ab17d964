/** The options of `valkey()`. */
import { EngineError } from '../../model/errors.js';
import type { PartitionConfig } from '../../model/partition.js';
import { checkOptionNames } from '../settings.js';
import { CONNECTION_OPTIONS, type ConnectionOptions } from './connection/address.js';

/** Who puts the library on the server. */
export type LibraryMode =
  /** Load it when it is missing or older; refuse another library of the same build. */
  | 'load'
  /** Only check; for deployments that load it by other means. */
  | 'verify'
  /** Replace whatever is there: for development, where the Lua changes without a new build number. */
  | 'replace';

export interface ValkeyOptions extends ConnectionOptions {
  /** What every key starts with; several deployments can share one server. Default `ff:`. */
  readonly prefix?: string | undefined;
  /** How the deployment is partitioned. Settled at its first boot; a later boot that asks for something else is refused. */
  readonly partitions?: Partial<PartitionConfig> | undefined;
  /**
   * Life of a terminal execution before it is purged, ms. Default 24 h. Like the other settings that all processes share,
   * settled at the first boot of the deployment: a later boot that asks for something else is refused, and
   * `configureDeployment` changes it for all.
   */
  readonly retentionMs?: number | undefined;
  /** Log entries kept per partition, approximately. Default 100 000. Shared, like `retentionMs`. */
  readonly logMaxEntries?: number | undefined;
  /** Keys of tags by which executions are indexed, at most 16. Default none. Shared, like `retentionMs`. */
  readonly indexedTags?: readonly string[] | undefined;
  /** Longest time a call may take, ms, give or take a tenth; a pause of the event loop does not count. Default 5 000. */
  readonly callTimeoutMs?: number | undefined;
  /** Who puts the function library on the server. Default `load`. */
  readonly library?: LibraryMode | undefined;
  /**
   * Told of what an operator should know while the backend works: an eviction policy that became unsafe, a library of
   * another kind. Each fault is told once until it is over. Default: nobody is told.
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

const LIBRARY_MODES: readonly unknown[] = ['load', 'verify', 'replace'] satisfies LibraryMode[];

/** Printable ASCII without braces: a brace would change the slots of keys. */
const PREFIX_PATTERN = /^[\x21-\x7a|~]{0,64}$/;

/** The prefix, checked. @throws EngineError `invalid_input` */
export function parsePrefix(prefix = 'ff:'): string {
  if (typeof prefix === 'string' && PREFIX_PATTERN.test(prefix)) return prefix;
  throw new EngineError('invalid_input', 'prefix: must be at most 64 printable characters without braces or spaces.', {
    detail: { field: 'prefix' },
  });
}

/** A misspelt address would silently mean another server. @throws EngineError `invalid_input` */
export function checkOptions(options: ValkeyOptions): void {
  checkOptionNames('valkey()', options, OPTION_NAMES);
  const { library } = options;
  if (library !== undefined && !LIBRARY_MODES.includes(library))
    throw new EngineError('invalid_input', 'library: must be "load", "verify" or "replace".', {
      detail: { field: 'library' },
    });
}
