/** `embedded()`: the engine in this process, with its state in files. */
import { resolve } from 'node:path';
import { EngineError } from '../../model/errors.js';
import type { PartitionConfig } from '../../model/partition.js';
import type { Backend } from '../backend/backend.js';
import { checkOptionNames, parseNow } from '../backend/settings.js';
import { Lazy } from '../shared/lazy.js';
import { propertyOf } from '../util/thrown.js';
import { checkedDisk, nodeDisk, type Disk } from './disk.js';
import { EmbeddedEngine } from './engine.js';
import { openingFailureOf } from './failures.js';
import type { FsyncMode } from './journal.js';
import { takeLock, type Lock } from './lock.js';
import { Wanted } from './wanted.js';

export interface EmbeddedOptions {
  /** The folder of the store; created if missing. One process at a time can open it. */
  readonly path: string;
  /**
   * What answered calls survive. `'always'`: a loss of power. `'everysec'`: the death of the process; a loss of power
   * costs at most the last second. `'never'`: the death of the process; the operating system decides what survives a
   * loss of power. Default `'everysec'`.
   */
  readonly fsync?: FsyncMode | undefined;
  /**
   * Partitions. This and the next three options are stored when the store is created, and checked if given later.
   * Default one.
   */
  readonly partitions?: Partial<PartitionConfig> | undefined;
  /** How long an ended execution is kept, ms; `configureDeployment` changes it. Default 24 h. */
  readonly retentionMs?: number | undefined;
  /** Log entries kept per partition; `configureDeployment` changes it. Default 100 000. */
  readonly logMaxEntries?: number | undefined;
  /** Keys of tags by which executions are indexed, at most 16; `configureDeployment` changes them. Default none. */
  readonly indexedTags?: readonly string[] | undefined;
  /** How much the journal must grow before a snapshot replaces it, bytes. Default 32 MiB. */
  readonly snapshotEveryBytes?: number | undefined;
  /** The clock, ms since the epoch. Default `Date.now`. */
  readonly now?: (() => number) | undefined;
}

const MODES: readonly FsyncMode[] = ['always', 'everysec', 'never'];
const OPTION_NAMES: readonly (keyof EmbeddedOptions)[] = [
  'path',
  'fsync',
  'partitions',
  'retentionMs',
  'logMaxEntries',
  'indexedTags',
  'snapshotEveryBytes',
  'now',
];
const SNAPSHOT_EVERY_BYTES = 32 * 1024 * 1024;

const engines = new WeakMap<Backend, EmbeddedEngine>();

function invalid(field: string, what: string): EngineError {
  return new EngineError('invalid_input', `${field}: ${what}.`, { detail: { field } });
}

function checkOptions(options: EmbeddedOptions): void {
  checkOptionNames('embedded()', options, OPTION_NAMES);
  const { path, fsync, snapshotEveryBytes, now } = options;
  if (typeof path !== 'string' || path === '') throw invalid('path', 'must name a folder');
  if (fsync !== undefined && !MODES.includes(fsync)) throw invalid('fsync', 'must be "always", "everysec" or "never"');
  if (snapshotEveryBytes !== undefined && !(Number.isSafeInteger(snapshotEveryBytes) && snapshotEveryBytes > 0))
    throw invalid('snapshotEveryBytes', 'must be a whole number of bytes, at least 1');
  parseNow(now);
}

/**
 * Opens a store on a disk; the caller holds the lock. @throws EngineError `corruption`, `library_mismatch`,
 * `partition_mismatch`, `storage_failed`
 */
export function openOn(
  disk: Disk,
  options: EmbeddedOptions,
  { onClosed = () => undefined, wasOpen = false }: { onClosed?: () => void; wasOpen?: boolean } = {},
): Backend {
  const wanted = new Wanted(options);
  let engine: EmbeddedEngine;
  try {
    engine = new EmbeddedEngine(
      {
        disk,
        folder: options.path,
        fsync: options.fsync ?? 'everysec',
        wanted,
        snapshotEveryBytes: options.snapshotEveryBytes ?? SNAPSHOT_EVERY_BYTES,
        now: parseNow(options.now),
        wasOpen,
      },
      onClosed,
    );
  } catch (error) {
    throw openingFailureOf(error, options.path);
  }
  engines.set(engine.backend, engine);
  return engine.backend;
}

async function open(given: EmbeddedOptions, path: string): Promise<Backend> {
  checkOptions(given);
  const options = { ...given, path };
  let lock: Lock | undefined;
  let engine: EmbeddedEngine | undefined;
  try {
    nodeDisk.makeFolder(options.path);
    const taken = await takeLock(options.path, (loss) => engine?.lostLock(loss));
    lock = taken;
    // Also while a large store is read, in one stretch: other processes see a sign of life.
    const disk = checkedDisk(nodeDisk, () => taken.check());
    const backend = openOn(disk, options, { onClosed: () => taken.release(), wasOpen: taken.wasOpened });
    engine = engines.get(backend);
    lock.opened();
    return backend;
  } catch (error) {
    lock?.giveBack();
    throw openingFailureOf(error, options.path);
  }
}

/**
 * The engine in this process, with its state in a folder: answered calls survive a restart of the process. The folder
 * is opened when the app is first used, or the promise is awaited.
 *
 * @example
 * const a = app({ backend: embedded({ path: './jobs' }) });
 * @throws EngineError by rejecting: `storage_locked` while another process has the store open, `corruption` if files
 *   are damaged, `library_mismatch` if a newer package wrote them, `partition_mismatch`, `settings_mismatch`,
 *   `storage_full`, `storage_failed`, `invalid_input`
 */
export function embedded(options: EmbeddedOptions): Promise<Backend> {
  const path = propertyOf(options, 'path');
  // As it is meant now: the process can change its working folder before the store is opened, and while it is.
  const folder = typeof path === 'string' ? resolve(path) : '';
  return new Lazy(() => open(options, folder));
}

function engineOf(backend: Backend): EmbeddedEngine {
  const engine = engines.get(backend);
  if (engine === undefined) throw invalid('backend', 'must be one that embedded() opened');
  return engine;
}

/**
 * Writes a snapshot of everything now and removes the older journal, which minimises the size of the store and the time
 * to open it. This also happens automatically as the journal grows.
 */
export async function compact(backend: Backend): Promise<void> {
  await engineOf(backend).compact();
}

/** Ends a backend like the death of its process: data that was not written is lost. For tests. */
export function abandon(backend: Backend): void {
  engineOf(backend).abandon();
}
