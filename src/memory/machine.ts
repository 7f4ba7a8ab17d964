/**
 * The model with its indexes as a backend in this process. Commands run synchronously in the call. The memory and
 * embedded backends are made of it; they define the durability and when callers are answered.
 */
import { present } from '../../model/core/present.js';
import { meterSetOf } from '../../model/metering/meters.js';
import { EngineError } from '../../model/errors.js';
import { execute, transitionTime } from '../../model/execute.js';
import type { BackendLabel } from '../../model/handle.js';
import { hasPartition, partitionsOf, type Family } from '../../model/families.js';
import {
  OPERATION_NAMES,
  partitionOfCommand,
  QUERY_NAMES,
  queryNamed,
  type Command,
  type OperationName,
  type ParsedCommand,
  type QueryName,
} from '../../model/machine.js';
import type { PartitionConfig } from '../../model/partition.js';
import type { Context, Decision } from '../../model/operation.js';
import type { ListLanesPage } from '../../model/partition/reads.js';
import type {
  AnnouncementKind,
  AnnouncementListener,
  Backend,
  CommandResult,
  StreamNotice,
  VerifyReport,
} from '../backend/backend.js';
import { capabilitiesOf, type Capabilities } from '../backend/capabilities.js';
import { familyToNote, outOfRange, PartitionsInUse } from '../backend/partitions-in-use.js';
import { issued, parseBatch, parseCommand, parseQuery, partitionOfWatched } from '../backend/boundary.js';
import { checkAnnouncementArguments, checkListener, checkWakeArguments } from '../backend/listener-arguments.js';
import { pageOfLanes, parseLanesPage, parsePartitionArgs } from '../backend/lane-pages.js';
import { refusal } from '../backend/refusal.js';
import { changedSettings, sameSettings, type DeploymentSettings, type GivenSettings } from '../backend/settings.js';
import type { WakeListener } from '../backend/wake-listeners.js';
import { copiedAnswer } from '../util/copied.js';
import { Announcer } from './announcer.js';
import { IndexedStore, type StoreListener } from './indexed-store.js';
import { Wakes } from './wakes.js';

/** The listener of a store that is only read. */
const SILENT: StoreListener = {
  onHead() {},
  onTimer() {},
  onAppended() {},
  onRoom() {},
  onBudgetRoom() {},
  onEnded() {},
  onFrames() {},
};

/** Parts of a machine. */
export interface MachineOptions {
  readonly label: BackendLabel;
  readonly partitions: PartitionConfig;
  readonly settings: DeploymentSettings;
  readonly now: () => number;
  /** Creates the store of a partition. */
  store(partition: string, logMaxEntries: number, listener: StoreListener): IndexedStore;
  /** Called when settings have changed. */
  configured?(settings: DeploymentSettings): void;
  /**
   * Called with the commands of a step before it begins. It may discard all state and read it back.
   * @throws EngineError if they cannot run now
   */
  admit?(commands: readonly ParsedCommand[]): void;
}

/** The model with its indexes, in this process. Commands run synchronously. */
export class Machine {
  readonly label: BackendLabel;
  readonly partitions: PartitionConfig;
  readonly stores = new Map<string, IndexedStore>();
  private readonly inUse: PartitionsInUse;
  private readonly wakes = new Wakes();
  private readonly announcer = new Announcer();
  settings: DeploymentSettings;
  private readonly now: () => number;
  private closed = false;

  constructor(private readonly options: MachineOptions) {
    this.label = options.label;
    this.partitions = options.partitions;
    this.settings = options.settings;
    this.now = options.now;
    this.inUse = new PartitionsInUse(this.partitions);
    this.makeStores();
  }

  /** Creates the stores of executions; those of other families are created by their first write. */
  private makeStores(): void {
    for (const partition of partitionsOf('flow', this.partitions)) this.stores.set(partition, this.newStore(partition));
  }

  /** Discards all state, and creates new stores. */
  forget(): void {
    this.stores.clear();
    this.makeStores();
  }

  private newStore(partition: string): IndexedStore {
    const store: IndexedStore = this.options.store(partition, this.settings.logMaxEntries, {
      onHead: (execution) => {
        const { laneId, executionKind, requiredCapabilities, meters } = execution;
        this.wakes.work(laneId, () => {
          // If this one was claimed, the next head may not have been announced, because only new heads are.
          const head = store.headOf(execution);
          if (head === undefined) return undefined;
          const work = { laneId, partition, executionKind, priority: head.priority, requiredCapabilities };
          return meters.length === 0
            ? { kind: 'work', ...work }
            : { kind: 'metered', ...work, meters: meterSetOf(meters) };
        });
      },
      onRoom: (waiter, wanted) => {
        const [laneId = '', holder = '', meters = '', workerInstanceId = ''] = waiter.split('\t');
        this.wakes.all(laneId, { kind: 'room_for', laneId, partition: holder, meters, workerInstanceId, wanted });
      },
      onBudgetRoom: (budgetId) => this.wakes.timer({ kind: 'budget_room', partition, budgetId }),
      onTimer: (at) => this.wakes.timer({ kind: 'timer', partition, at }),
      onAppended: () => this.announcer.announceAppended(partition),
      onEnded: (executionId) => this.announcer.announceEnded(partition, executionId),
      onFrames: (executionId) => this.announcer.announceFrames(executionId),
    });
    return store;
  }

  configureDeployment(changes: GivenSettings): DeploymentSettings {
    this.assertOpen();
    const { version, families, ...now } = this.settings;
    const next = changedSettings(now, changes);
    if (sameSettings(now, next)) return this.settings;
    this.use({ version: version + 1, families, ...next });
    this.options.configured?.(this.settings);
    return this.settings;
  }

  /** Applies settings without recording a change. */
  use(settings: DeploymentSettings): void {
    if (settings.version === this.settings.version && sameSettings(settings, this.settings)) return;
    this.settings = settings;
    for (const store of this.stores.values()) store.limitLog(settings.logMaxEntries);
  }

  run(name: OperationName, args: unknown): unknown {
    const command = parseCommand(name, args, this.label);
    const store = this.storeFor([command]);
    const decision = execute(store, command, this.context(store));
    if (!decision.ok) throw refusal(name, decision);
    return issued(command, decision.outcome, this.label);
  }

  read(name: QueryName, args: never): unknown {
    const parsed = parseQuery(name, args, this.label) as never;
    const declaration = queryNamed(name);
    const store = this.readable(declaration.partition(parsed, this.partitions));
    const decision = declaration.read(store.view, parsed, this.context(store)) as Decision<unknown>;
    if (!decision.ok) throw refusal(name, decision);
    // What callers change is theirs, as it is when a server answers.
    return copiedAnswer(decision.outcome);
  }

  runBatch(commands: readonly Command[]): CommandResult[] {
    const parsed = parseBatch(commands, this.label, this.partitions);
    const store = this.storeFor(parsed);
    // All commands of a step have the same time.
    const context = this.context(store);
    return parsed.map((command) => {
      const decision = execute(store, command, context);
      return decision.ok
        ? { ok: true, outcome: issued(command, decision.outcome, this.label) }
        : { ok: false, error: refusal(command.name, decision) };
    });
  }

  listLanes(page: unknown): ListLanesPage {
    this.assertOpen();
    const wanted = parseLanesPage(page);
    const pages = partitionsOf('flow', this.partitions).map(
      (partition) => this.read('listPartitionLanes', { ...wanted, partition } as never) as ListLanesPage,
    );
    return pageOfLanes(pages, wanted.limit);
  }

  /** Indexes in memory always follow from the tables, so there is nothing to repair. */
  verifyPartition(args: unknown): VerifyReport {
    const executions = this.readable(parsePartitionArgs('verifyPartition', args)).executionCount;
    return { executions, findings: [], setAside: [], countsVerified: true };
  }

  serverTime(): number {
    this.assertOpen();
    return this.now();
  }

  onWake(lanes: readonly string[], listener: WakeListener, capabilities?: readonly string[]): () => void {
    this.assertOpen();
    checkWakeArguments(lanes, listener, capabilities);
    return this.wakes.add(lanes, listener, capabilities);
  }

  onAnnouncement(kind: AnnouncementKind, listener: AnnouncementListener): () => void {
    this.assertOpen();
    checkAnnouncementArguments(kind, listener);
    return this.announcer.add(kind, listener);
  }

  onFrames(executionId: string, listener: (notice: StreamNotice) => void): () => void {
    this.assertOpen();
    this.store(partitionOfWatched(executionId, this.label));
    checkListener('onFrames', listener);
    return this.announcer.addForFrames(executionId, listener);
  }

  /** Refuses further calls. */
  close(): void {
    this.closed = true;
  }

  /** Refuses further calls. Listeners are called once more, so that those who wait for a wake meet the refusal. */
  shut(): void {
    this.close();
    this.wakes.end();
    this.announcer.end();
  }

  partitionsInUse(): readonly string[] {
    return this.inUse.partitions(this.settings.families);
  }

  /** The store for commands. */
  private storeFor(commands: readonly ParsedCommand[]): IndexedStore {
    this.assertOpen();
    const partition = partitionOfCommand(present(commands[0]), this.partitions);
    // Partitions of executions always exist; only others need the check.
    if (!this.stores.has(partition)) this.assertHas(partition);
    // This may undo earlier commands, so nothing that they change is looked up before it.
    this.options.admit?.(commands);
    const family = familyToNote(partition, commands, this.settings.families);
    if (family !== undefined) this.noteFamily(family);
    return this.store(partition);
  }

  private noteFamily(family: Family): void {
    const { version, families } = this.settings;
    this.use({ ...this.settings, version: version + 1, families: [...families, family] });
    this.options.configured?.(this.settings);
  }

  /** The store of a partition for reads; a temporary empty one if the partition was never written to. */
  readable(partition: string): IndexedStore {
    const known = this.stores.get(partition);
    if (known === undefined) this.assertHas(partition);
    else this.assertOpen();
    return known ?? new IndexedStore(partition, this.settings.logMaxEntries, SILENT);
  }

  /** The store of a partition; created if it is missing. */
  store(partition: string): IndexedStore {
    const known = this.stores.get(partition);
    if (known !== undefined) return known;
    this.assertHas(partition);
    const made = this.newStore(partition);
    this.stores.set(partition, made);
    this.inUse.note(partition);
    return made;
  }

  private assertHas(partition: string): void {
    this.assertOpen();
    if (!hasPartition(this.partitions, partition)) throw outOfRange(partition, this.partitions);
  }

  private context({ view }: IndexedStore): Context {
    return { now: transitionTime(view.log.header, this.now()), settings: this.settings };
  }

  private assertOpen(): void {
    if (this.closed) throw new EngineError('backend_closed', `The ${this.label} backend is closed.`);
  }
}

const machines = new WeakMap<Backend, Machine>();

/** Runs a call and answers it: at once, or when the promised durability is reached. */
export type Answering = <Value>(call: () => Value) => Promise<Value>;

/** What differs between backends of a machine. */
interface BackendOptions extends Pick<Backend, 'shutdownPrepare' | 'close' | 'onNotice'> {
  readonly durability: Capabilities['durability'];
  readonly answering: Answering;
}

/** The public interface of a machine. */
export function backendOf(machine: Machine, options: BackendOptions): Backend {
  const { durability, answering, shutdownPrepare, close, onNotice } = options;
  const backend = {
    label: machine.label,
    capabilities: () =>
      capabilitiesOf({
        family: machine.label,
        shared: false,
        durability,
        lacks: onNotice === undefined ? ['onNotice'] : [],
      }),
    partitions: machine.partitions,
    get settings() {
      return machine.settings;
    },
    configureDeployment: (changes: GivenSettings) => answering(() => machine.configureDeployment(changes)),
    partitionsInUse: () => machine.partitionsInUse(),
    execute: (commands: readonly Command[]) => answering(() => machine.runBatch(commands)),
    listLanes: (page = {}) => answering(() => machine.listLanes(page)),
    verifyPartition: (args: unknown) => answering(() => machine.verifyPartition(args)),
    ping: () => answering(() => void machine.serverTime()),
    serverTime: async () => machine.serverTime(),
    onWake: async (...args: Parameters<Backend['onWake']>) => machine.onWake(...args),
    onAnnouncement: async (...args: Parameters<Backend['onAnnouncement']>) => machine.onAnnouncement(...args),
    onFrames: async (...args: Parameters<Backend['onFrames']>) => machine.onFrames(...args),
    ...(onNotice === undefined ? {} : { onNotice }),
    shutdownPrepare,
    close,
    [Symbol.asyncDispose]: close,
  } as unknown as Record<string | symbol, unknown>;
  for (const name of OPERATION_NAMES) backend[name] = (args: unknown) => answering(() => machine.run(name, args));
  for (const name of QUERY_NAMES) backend[name] = (args: never) => answering(() => machine.read(name, args));
  const typed = backend as unknown as Backend;
  machines.set(typed, machine);
  return typed;
}

/** The store of a partition of a backend in this process; undefined for other backends. */
export function memoryStore(backend: Backend, partition: string): IndexedStore | undefined {
  return machines.get(backend)?.readable(partition);
}

/** The partitions with stores of a backend in this process; empty for other backends. */
export function memoryPartitions(backend: Backend): readonly string[] {
  return [...(machines.get(backend)?.stores.keys() ?? [])];
}
