/**
 * The memory backend: the model with indexes. For unit tests, and for work that need not outlive the process.
 */
import { ONE_OF_EACH, parsePartitionConfig, type PartitionConfig } from '../../model/partition.js';
import type { Backend } from '../backend/backend.js';
import { parseGrace } from '../backend/gate.js';
import { checkOptionNames, parseNow, parseSharedSettings } from '../backend/settings.js';
import { IndexedStore } from './indexed-store.js';
import { backendOf, Machine, type Answering } from './machine.js';

export interface MemoryOptions {
  /** Partitions of this engine. Default: one. */
  readonly partitions?: Partial<PartitionConfig> | undefined;
  /** Life of a terminal execution before it is purged, ms. Default 24 h. */
  readonly retentionMs?: number | undefined;
  /** Log entries kept per partition. Default 100 000. */
  readonly logMaxEntries?: number | undefined;
  /** Keys of tags by which executions are indexed, at most 16. Default none. */
  readonly indexedTags?: readonly string[] | undefined;
  /** The clock, ms since the epoch. Default `Date.now`. */
  readonly now?: (() => number) | undefined;
}

const OPTION_NAMES: readonly (keyof MemoryOptions)[] = [
  'partitions',
  'retentionMs',
  'logMaxEntries',
  'indexedTags',
  'now',
];

const atOnce: Answering = async (call) => call();

/**
 * An engine in this process's memory.
 * @throws EngineError `invalid_input`
 *
 * @example
 * const backend = memory();
 * const execution = { executionId, namespace: 'shop', laneId: 'default', executionKind: 'mail', creatorIdentity: 'docs' };
 * await backend.createExecution(execution);
 */
export function memory(options: MemoryOptions = {}): Backend {
  checkOptionNames('memory()', options, OPTION_NAMES);
  const { retentionMs, logMaxEntries, indexedTags } = options;
  const machine = new Machine({
    label: 'memory',
    partitions: parsePartitionConfig(options.partitions, ONE_OF_EACH),
    settings: { version: 1, families: [], ...parseSharedSettings({ retentionMs, logMaxEntries, indexedTags }) },
    now: parseNow(options.now),
    store: (partition, maxEntries, listener) => new IndexedStore(partition, maxEntries, listener),
  });
  return backendOf(machine, {
    durability: 'none',
    answering: atOnce,
    async shutdownPrepare(ended) {
      parseGrace(ended);
      machine.shut();
      return { unanswered: 0 };
    },
    close: async () => machine.shut(),
  });
}
