/**
 * The memory backend: the model itself, with indexes. For unit tests and for embedded use in one process; nothing
 * outlives the process.
 */
import { EngineError } from '../../model/errors.js';
import { execute, transitionTime } from '../../model/execute.js';
import { partitionIndexOf, partitionKeyOf } from '../../model/ids.js';
import {
  OPERATIONS,
  partitionOfCommand,
  QUERIES,
  queryNamed,
  type Command,
  type OperationName,
  type ParsedCommand,
  type QueryName,
} from '../../model/machine.js';
import { parsePartitionConfig, type PartitionConfig } from '../../model/partition.js';
import type { Context, Decision } from '../../model/core/operation.js';
import type {
  AnnouncementKind,
  AnnouncementListener,
  Backend,
  CommandResult,
  ListLanesPage,
  Wake,
} from '../backend.js';
import { parseBatch, parseCommand, parseQuery } from '../boundary.js';
import { pageOfLanes, parseLanesPage } from '../lanes.js';
import { refusal } from '../refusal.js';
import {
  changedSettings,
  parseSharedSettings,
  sameSettings,
  type DeploymentSettings,
  type GivenSettings,
} from '../settings.js';
import { WakeListeners, type WakeListener } from '../wake-listeners.js';
import { Announcer } from './announcer.js';
import { IndexedStore } from './indexed-store.js';

export interface MemoryOptions {
  /** Partitions of this engine; 1 partition unless told otherwise. */
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

/** Calls the listeners of wakes, after the step that caused them: a listener may call the backend. */
class Wakes {
  private readonly lanes = new Map<string, WakeListeners>();
  private readonly timers = new WakeListeners();

  add(laneIds: readonly string[], listener: WakeListener, capabilities: readonly string[] | undefined): () => void {
    const leaves = [
      ...laneIds.map((laneId) => this.lane(laneId).add(listener, capabilities)),
      this.timers.add(listener),
    ];
    return () => {
      for (const leave of leaves) leave();
    };
  }

  /** Work goes to one listener after the other as long as some of it waits. */
  work(laneId: string, wakeNow: () => Wake | undefined): void {
    const listeners = this.lanes.get(laneId);
    if (listeners !== undefined && !listeners.isEmpty) queueMicrotask(() => listeners.tell(wakeNow));
  }

  timer(wake: Wake): void {
    if (!this.timers.isEmpty) queueMicrotask(() => this.timers.tell(() => wake));
  }

  private lane(laneId: string): WakeListeners {
    let known = this.lanes.get(laneId);
    if (known === undefined) this.lanes.set(laneId, (known = new WakeListeners()));
    return known;
  }
}

class MemoryBackend {
  readonly label = 'memory';
  readonly partitions: PartitionConfig;
  private readonly stores: IndexedStore[];
  private readonly wakes = new Wakes();
  private readonly announcer = new Announcer();
  settings: DeploymentSettings;
  private readonly now: () => number;
  private closed = false;

  constructor(options: MemoryOptions) {
    this.partitions = parsePartitionConfig({ count: 1, ...options.partitions });
    const { retentionMs, logMaxEntries, indexedTags } = options;
    this.settings = { version: 1, ...parseSharedSettings({ retentionMs, logMaxEntries, indexedTags }) };
    this.now = options.now ?? Date.now;
    this.stores = Array.from({ length: this.partitions.count }, (_, index) => this.newStore(index));
  }

  private newStore(index: number): IndexedStore {
    const partition = partitionKeyOf(index);
    const store: IndexedStore = new IndexedStore(this.settings.logMaxEntries, {
      onHead: (execution) => {
        const { laneId, executionKind, requiredCapabilities } = execution;
        this.wakes.work(laneId, () => {
          // Once this one is taken, what is first behind it may never have been announced: only new heads are.
          const head = store.headOf(execution);
          if (head === undefined) return undefined;
          return { kind: 'work', laneId, partition, executionKind, priority: head.priority, requiredCapabilities };
        });
      },
      onTimer: (at) => this.wakes.timer({ kind: 'timer', partition, at }),
      onAppended: () => this.announcer.tellAppended(partition),
      onEnded: (executionId) => this.announcer.tellEnded(partition, executionId),
    });
    return store;
  }

  configureDeployment(changes: GivenSettings): DeploymentSettings {
    this.assertOpen();
    const { version, ...now } = this.settings;
    const next = changedSettings(now, changes);
    if (sameSettings(now, next)) return this.settings;
    this.settings = { version: version + 1, ...next };
    for (const store of this.stores) store.limitLog(next.logMaxEntries);
    return this.settings;
  }

  run(name: OperationName, args: unknown): unknown {
    const command = parseCommand(name, args, this.label);
    const store = this.store(partitionOfCommand(command));
    const decision = execute(store, command, this.context(store));
    if (!decision.ok) throw refusal(name, decision);
    return decision.outcome;
  }

  read(name: QueryName, args: never): unknown {
    const parsed = parseQuery(name, args) as never;
    const declaration = queryNamed(name);
    const store = this.store(declaration.partition(parsed));
    const decision = declaration.read(store.view, parsed, this.context(store)) as Decision<unknown>;
    if (!decision.ok) throw refusal(name, decision);
    return decision.outcome;
  }

  runBatch(commands: readonly Command[]): CommandResult[] {
    const parsed = parseBatch(commands, this.label);
    const store = this.store(partitionOfCommand(parsed[0] as ParsedCommand));
    // One step, so one time for all of it.
    const context = this.context(store);
    return parsed.map((command) => {
      const decision = execute(store, command, context);
      return decision.ok
        ? { ok: true, outcome: decision.outcome }
        : { ok: false, error: refusal(command.name, decision) };
    });
  }

  listLanes(page: unknown): ListLanesPage {
    this.assertOpen();
    return pageOfLanes(
      this.stores.map(({ view }) => view.schedule.lanes()),
      parseLanesPage(page),
    );
  }

  serverTime(): number {
    this.assertOpen();
    return this.now();
  }

  onWake(lanes: readonly string[], listener: WakeListener, capabilities?: readonly string[]): () => void {
    this.assertOpen();
    return this.wakes.add(lanes, listener, capabilities);
  }

  onAnnouncement(kind: AnnouncementKind, listener: AnnouncementListener): () => void {
    this.assertOpen();
    return this.announcer.add(kind, listener);
  }

  close(): void {
    this.closed = true;
  }

  /** The store of a partition, for the canonical state reader. */
  store(partition: string): IndexedStore {
    this.assertOpen();
    const store = this.stores[partitionIndexOf(partition)];
    if (store === undefined) {
      throw new EngineError(
        'invalid_input',
        `partition: ${partition} is out of range; this deployment has ${this.partitions.count} partitions.`,
        { detail: { field: 'partition' } },
      );
    }
    return store;
  }

  private context({ view }: IndexedStore): Context {
    return { now: transitionTime(view.log.header, this.now()), settings: this.settings };
  }

  private assertOpen(): void {
    if (this.closed) throw new EngineError('backend_closed', 'The memory backend is closed.');
  }
}

const backends = new WeakMap<Backend, MemoryBackend>();

/**
 * An engine in this process's memory.
 *
 * @example
 * const backend = memory();
 * await backend.createExecution({ executionId, namespace: 'shop', laneId: 'default', executionKind: 'mail', creatorIdentity: 'docs' });
 */
export function memory(options: MemoryOptions = {}): Backend {
  const engine = new MemoryBackend(options);
  const backend = {
    label: engine.label,
    partitions: engine.partitions,
    get settings() {
      return engine.settings;
    },
    configureDeployment: async (changes: GivenSettings) => engine.configureDeployment(changes),
    execute: async (commands: readonly Command[]) => engine.runBatch(commands),
    listLanes: async (page = {}) => engine.listLanes(page),
    ping: async () => void engine.serverTime(),
    serverTime: async () => engine.serverTime(),
    onWake: async (...args: Parameters<Backend['onWake']>) => engine.onWake(...args),
    onAnnouncement: async (...args: Parameters<Backend['onAnnouncement']>) => engine.onAnnouncement(...args),
    close: async () => engine.close(),
    [Symbol.asyncDispose]: async () => engine.close(),
  } as unknown as Record<string | symbol, unknown>;
  for (const name of Object.keys(OPERATIONS) as OperationName[])
    backend[name] = async (args: unknown) => engine.run(name, args);
  for (const name of Object.keys(QUERIES) as QueryName[])
    backend[name] = async (args: never) => engine.read(name, args);
  const typed = backend as unknown as Backend;
  backends.set(typed, engine);
  return typed;
}

/** The tables and indexes behind a memory backend, or nothing when the backend is of another kind. */
export function memoryStore(backend: Backend, partition: string): IndexedStore | undefined {
  return backends.get(backend)?.store(partition);
}
