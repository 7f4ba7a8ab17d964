/**
 * An engine for tests: any backend, under a clock that you move, with seeded ids. The same seed and the same calls give
 * the same run, on both backends.
 */
import { present } from '../../model/core/present.js';
import { ONE_OF_EACH } from '../../model/partition.js';
import { Valkey } from 'iovalkey';
import { executionIdOf } from '../../model/ids.js';
import { LIMITS } from '../../model/limits.js';
import type { OutcomeOf } from '../../model/machine.js';
import type { Header } from '../../model/state.js';
import type { PartitionConfig } from '../../model/partition.js';
import type { Backend } from '../backend/backend.js';
import { checkNumber, checkOptionNames } from '../backend/settings.js';
import { abandon } from '../embedded/backend.js';
import { seededUuids } from './seeded-ids.js';
import { memory } from '../memory/backend.js';
import { encodeCursor } from '../../model/partition/cursor.js';
import { memoryPartitions, memoryStore } from '../memory/machine.js';
import { valkeyUnderTest } from '../valkey/boot/open.js';
import { addressOf } from '../valkey/connection/address.js';
import { connectCluster, established, type Client } from '../valkey/connection/clients.js';
import type { CanonicalState } from './canonical/index.js';
import { canonicalOfMemory } from './canonical/memory.js';
import { canonicalOfValkey } from './canonical/valkey/index.js';
import { keysUnder } from './canonical/valkey/scan.js';
import { inFolder, onSimulatedDisk, type Place } from './embedded-places.js';

export interface TestEngineOptions {
  /**
   * `memory`; `embedded`, on a disk in memory or in a folder, which `close` removes; or the address of a server or of any
   * node of a cluster. The server gets the test build of the library beside any other.
   */
  readonly backend?: 'memory' | 'embedded' | { readonly path: string } | { readonly url: string } | undefined;
  /** Key prefix on a server; give every test its own. Default random. */
  readonly prefix?: string | undefined;
  /** How the engine is partitioned. Default one partition of each family. */
  readonly partitions?: Partial<PartitionConfig> | undefined;
  /** Life of an ended execution before it is purged, ms. Default 24 h. */
  readonly retentionMs?: number | undefined;
  /** Log entries kept per partition. Default 100 000. */
  readonly logMaxEntries?: number | undefined;
  /** Tag keys by which executions are indexed. Default none. */
  readonly indexedTags?: readonly string[] | undefined;
  /** Where the clock starts, ms since the epoch. Default 2023-11-14T22:13:20Z. */
  readonly startAt?: number | undefined;
  /** Seed of the ids. Default 'ids'. */
  readonly seed?: string | undefined;
}

const TEST_ENGINE_OPTIONS: readonly string[] = Object.keys({
  backend: true,
  prefix: true,
  partitions: true,
  retentionMs: true,
  logMaxEntries: true,
  indexedTags: true,
  startAt: true,
  seed: true,
} satisfies Record<keyof TestEngineOptions, true>);

export interface TestEngine {
  readonly backend: Backend;
  /** The time of the clock. */
  now(): number;
  /** Sets the clock without applying anything that falls due. */
  setTime(at: number): void;
  /** Lets time pass; everything that falls due is applied at its time, in order. Answers how many changes were made. */
  advance(ms: number): Promise<number>;
  /** The next seeded UUID. */
  uuid(): string;
  /** A new execution id in a partition. */
  executionId(partition?: number): string;
  /** Everything stored in a partition. */
  canonicalState(partition: string): Promise<CanonicalState>;
  /** Deletes everything stored, as if the engine were new; the clock stays. Faster than a new engine. */
  clear(): Promise<void>;
  /**
   * Ends the backend as the death of its process would, and reopens it from what is stored. Only with `embedded` and
   * with a folder.
   */
  restart(): Promise<void>;
  /** Closes the backend and removes what it stored. */
  close(): Promise<void>;
}

const DEFAULT_START = 1_700_000_000_000;
const READER_TIMEOUT_MS = 5_000;
/** Rounds of due work at one instant before the engine counts as never coming to rest. */
const MAX_ROUNDS = 10_000;

export async function testEngine(options: TestEngineOptions = {}): Promise<TestEngine> {
  checkOptionNames('testEngine()', options, TEST_ENGINE_OPTIONS);
  const checkTime = (field: string, given: unknown): void =>
    checkNumber('testEngine()', field, given, { min: 0, max: LIMITS.maxInteger, isWhole: true });
  checkTime('startAt', options.startAt);
  let time = options.startAt ?? DEFAULT_START;
  const now = (): number => time;
  const uuid = seededUuids(options.seed ?? 'ids');
  const target = options.backend ?? 'memory';
  const shared = {
    partitions: { ...ONE_OF_EACH, ...options.partitions },
    retentionMs: options.retentionMs,
    logMaxEntries: options.logMaxEntries,
    indexedTags: options.indexedTags,
  };
  const opened = await openTarget(target, options.prefix, shared, now);

  /** Applies what is due now; returns how much that was, and the next due time. */
  const applyDue = async (): Promise<{ applied: number; nextDueAt: number | undefined }> => {
    let applied = 0;
    let nextDueAt: number | undefined;
    for (const partition of opened.backend.partitionsInUse()) {
      const due = await opened.backend.applyDue({ partition, jitter: 1, owner: 'test engine' });
      if (due.kind !== 'applied') continue;
      applied += countOf(due);
      if (due.nextDueAt !== undefined) nextDueAt = Math.min(due.nextDueAt, nextDueAt ?? due.nextDueAt);
    }
    return { applied, nextDueAt };
  };

  return {
    get backend() {
      return opened.backend;
    },
    now,
    setTime: (at) => {
      checkTime('setTime', at ?? null);
      time = at;
    },
    async advance(ms) {
      checkTime('advance', ms ?? null);
      const end = time + ms;
      let total = 0;
      for (let round = 0; round < MAX_ROUNDS; round++) {
        const { applied, nextDueAt } = await applyDue();
        total += applied;
        if (applied > 0) continue;
        if (nextDueAt === undefined || nextDueAt > end) {
          time = end;
          return total;
        }
        time = Math.max(time, nextDueAt);
      }
      throw new Error(`Due work does not come to rest at ${time}.`);
    },
    uuid,
    executionId: (partition = 0) => executionIdOf(partition, uuid()),
    canonicalState: (partition) => opened.canonicalState(partition),
    clear: () => opened.clear(),
    restart: () => opened.restart(),
    close: () => opened.close(),
  };
}

type Shared = Pick<TestEngineOptions, 'partitions' | 'retentionMs' | 'logMaxEntries' | 'indexedTags'>;

function openTarget(
  target: NonNullable<TestEngineOptions['backend']>,
  prefix: string | undefined,
  shared: Shared,
  now: () => number,
): Promise<Opened> {
  if (target === 'memory') return Promise.resolve(openMemory({ ...shared, now }, now));
  if (target === 'embedded') return openEmbedded(onSimulatedDisk({ ...shared, now }), now);
  return 'path' in target
    ? openEmbedded(inFolder(target.path, { ...shared, now }), now)
    : openServer(target.url, prefix, shared, now);
}

/** Number of changes in one pass over due work. */
function countOf(due: Extract<OutcomeOf<'applyDue'>, { kind: 'applied' }>): number {
  const { promoted, leasesExpired, grantsLapsed, waitpointsExpired, purged, others } = due;
  const { attemptsTimedOut, expired, suspensionsTimedOut, setAside } = due;
  const counts = [promoted, leasesExpired, grantsLapsed, waitpointsExpired, purged, ...Object.values(others)];
  const lists = [attemptsTimedOut, expired, suspensionsTimedOut, setAside];
  return [...counts, ...lists.map(({ length }) => length)].reduce((sum, count) => sum + count, 0);
}

interface Opened {
  readonly backend: Backend;
  canonicalState(partition: string): Promise<CanonicalState>;
  clear(): Promise<void>;
  restart(): Promise<void>;
  close(): Promise<void>;
}

const noRestart = (): Promise<void> => {
  throw new TypeError('Only an embedded backend can be started anew.');
};

const canonicalOf = async (backend: Backend, partition: string, now: number): Promise<CanonicalState> =>
  canonicalOfMemory(present(memoryStore(backend, partition)), now, backend.settings.indexedTags);

const headerOf = (backend: Backend, partition: string): Header =>
  present(memoryStore(backend, partition)?.inspect().partition.header);

/** The cursor before all entries. */
const BEGINNING = encodeCursor({ generation: '', sequence: 0, time: 0 });

async function openEmbedded(place: Place, now: () => number): Promise<Opened> {
  let backend = await place.open();
  return {
    get backend() {
      return backend;
    },
    canonicalState: (partition) => canonicalOf(backend, partition, now()),
    async clear() {
      await backend.close();
      place.remove();
      backend = await place.open();
    },
    async restart() {
      const courtesies = memoryPartitions(backend).map(
        (partition) => [partition, headerOf(backend, partition)] as const,
      );
      place.died();
      abandon(backend);
      backend = await place.open();
      // Not part of the state, and lost with the process. Copied, so that machines stay comparable.
      for (const [partition, { applier, notices }] of courtesies) {
        // Partitions that were never written to do not exist any more.
        await backend.watchLog({ partition, after: BEGINNING });
        Object.assign(headerOf(backend, partition), { applier, notices });
      }
    },
    async close() {
      await backend.close();
      place.remove();
    },
  };
}

function openMemory(options: Parameters<typeof memory>[0], now: () => number): Opened {
  let backend = memory(options);
  return {
    get backend() {
      return backend;
    },
    canonicalState: (partition) => canonicalOf(backend, partition, now()),
    async clear() {
      await backend.close();
      backend = memory(options);
    },
    restart: noRestart,
    close: () => backend.close(),
  };
}

async function openServer(
  url: string,
  prefix = `fft-${Math.random().toString(36).slice(2, 10)}:`,
  options: Omit<Parameters<typeof valkeyUnderTest>[0], 'url' | 'prefix'>,
  now: () => number,
): Promise<Opened> {
  const backend = await valkeyUnderTest({ ...options, url, prefix }, { now });
  const reader = await openReader(url);
  const clear = async (): Promise<void> => {
    const keys = await keysUnder(reader, `${prefix}{`);
    await Promise.all(keys.map((key) => reader.unlink(key)));
  };
  return {
    backend,
    canonicalState: (partition) => canonicalOfValkey(reader, prefix, partition, now()),
    clear,
    restart: noRestart,
    async close() {
      await clear();
      await Promise.all([reader.unlink(`${prefix}deployment`), reader.unlink(`${prefix}builds`)]);
      reader.disconnect();
      await backend.close();
    },
  };
}

/** A client that reads the stored keys directly, from the server or from the whole cluster. */
async function openReader(url: string): Promise<Client> {
  const address = addressOf({ url });
  const server = new Valkey(url, { lazyConnect: true, enableAutoPipelining: true });
  await server.connect();
  if (!/^cluster_enabled:1/m.test(await server.info('cluster'))) return server;
  server.disconnect();
  const cluster = connectCluster(address, READER_TIMEOUT_MS);
  await established(cluster, READER_TIMEOUT_MS);
  return cluster;
}
