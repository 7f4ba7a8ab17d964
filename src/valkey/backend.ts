/** The Valkey backend: every operation is one function call on one partition. */
import type { Decision } from '../../model/operation.js';
import { present } from '../../model/core/present.js';
import type { EngineError } from '../../model/errors.js';
import { hasPartition, partitionsOf, type Family } from '../../model/families.js';
import {
  partitionOfCommand,
  queryNamed,
  type Command,
  type OperationName,
  type ParsedCommand,
  type QueryName,
  OPERATION_NAMES,
  QUERY_NAMES,
} from '../../model/machine.js';
import { LIMITS } from '../../model/limits.js';
import type { PartitionConfig } from '../../model/partition.js';
import type { LibraryKind } from '../../lua/library.js';
import type { ListLanesPage } from '../../model/partition/reads.js';
import type { Backend, CommandResult, StreamNotice, VerifyReport } from '../backend/backend.js';
import { capabilitiesOf, type Capabilities } from '../backend/capabilities.js';
import { familyToNote, outOfRange, PartitionsInUse } from '../backend/partitions-in-use.js';
import { Gate, parseGrace, type ShutdownOptions, type ShutdownReport } from '../backend/gate.js';
import { issued, parseBatch, parseCommand, parseQuery, partitionOfWatched } from '../backend/boundary.js';
import { checkAnnouncementArguments, checkListener, checkWakeArguments } from '../backend/listener-arguments.js';
import { pageOfLanes, parseLanesPage, parsePartitionArgs } from '../backend/lane-pages.js';
import { refusal } from '../backend/refusal.js';
import type { DeploymentSettings, GivenSettings } from '../backend/settings.js';
import type { DeploymentRecord } from './boot/deployment.js';
import { LongBytes } from './bytes/long-bytes.js';
import { FETCHED_FROM_CLAIMS } from './bytes/payloads.js';
import { STAGED_FROM_BYTES } from './bytes/staging.js';
import { Transfers } from './bytes/transfers.js';
import { Coalescer, type Arrival } from './calls/coalescer.js';
import { CommandCalls } from './calls/command-calls.js';
import { runInParts } from './calls/large-batches.js';
import { LibraryCalls, type TestClock } from './calls/library-calls.js';
import { keepBytes, type Weight } from './calls/weight.js';
import type { CallRetrier } from './connection/call-retrier.js';
import { inOneWrite, nodeOf, primariesOf, type Client } from './connection/clients.js';
import type { Connection } from './connection/connection.js';
import { NodeTime } from './connection/node-time.js';
import { ReadCalls } from './reads/read-calls.js';
import { FETCHES } from './reads/reads.js';
import { clearMark, Mending } from './verify/mending.js';
import { PartitionVerifier } from './verify/partition-verifier.js';
import { releaseStrays } from './verify/strays.js';
import { errorOf, type Answer } from './wire/answers.js';

/**
 * Thresholds above which bytes are sent or fetched outside of a call. Tests lower them, to cover all ways with short
 * bytes.
 */
export interface Sizes {
  readonly stagedFromBytes: number;
  readonly fetchedFromClaims: number;
}

export const SIZES: Sizes = { stagedFromBytes: STAGED_FROM_BYTES, fetchedFromClaims: FETCHED_FROM_CLAIMS };

export interface BackendParts {
  readonly connection: Connection;
  readonly partitions: PartitionConfig;
  readonly prefix: string;
  readonly kind: LibraryKind;
  /** Has been read or created. */
  readonly record: DeploymentRecord;
  readonly clock: TestClock | undefined;
  readonly sizes: Sizes;
}

/** Partitions that get changed settings concurrently. */
const TOLD_AT_ONCE = 64;

export class ValkeyBackend {
  readonly label = 'valkey';
  readonly partitions: PartitionConfig;
  private readonly calls: LibraryCalls;
  private readonly commands: CommandCalls;
  private readonly reads: ReadCalls;
  private readonly coalescer: Coalescer;
  private readonly client: Client;
  private readonly time: NodeTime;
  private readonly retrier: CallRetrier;
  private readonly longBytes: LongBytes;
  private readonly verifier: PartitionVerifier;
  private readonly mending: Mending;
  private closed = false;
  /** Of public calls; what they call in this class does not pass it again. */
  readonly gate: Gate;
  private readonly inUse: PartitionsInUse;
  private readonly noting = new Map<Family, Promise<void>>();

  private readonly connection: Connection;
  private readonly record: DeploymentRecord;
  private readonly clock: TestClock | undefined;

  constructor({ connection, partitions, prefix, kind, record, clock, sizes }: BackendParts) {
    const { client, retrier } = connection;
    this.connection = connection;
    this.partitions = partitions;
    this.inUse = new PartitionsInUse(partitions);
    this.record = record;
    this.clock = clock;
    this.client = client;
    this.time = new NodeTime(client);
    this.retrier = retrier;
    this.gate = new Gate(`backend of ${connection.label}`);
    const calls = new LibraryCalls({ client, retrier, prefix, kind, record, clock });
    const transfers = new Transfers({
      client: () => calls.commands,
      inOneWrite: (send) => inOneWrite(client, send),
      retrier,
      nodeOf: (key) => nodeOf(client, key),
    });
    this.calls = calls;
    this.longBytes = new LongBytes(prefix, transfers);
    this.verifier = new PartitionVerifier({ calls, client, retrier, prefix });
    this.mending = new Mending({
      canVerify: () => connection.rights.canList,
      step: (partition, ...words) => this.verifier.mendStep(partition, ...words),
      verify: (partition) => this.verifier.verify(partition, true),
      release: (partition) =>
        releaseStrays(partition, {
          read: (name, args) => this.read(name, args),
          run: (name, args) => this.run(name, args),
        }),
      tell: (notice) => connection.tell(notice),
    });
    const { longBytes, mending } = this;
    const { stagedFromBytes, fetchedFromClaims } = sizes;
    this.commands = new CommandCalls({ calls, connection, prefix, longBytes, mending, fetchedFromClaims });
    this.coalescer = new Coalescer({
      send: (partition, commands) => this.commands.run(partition, commands, stagedFromBytes),
      onArrival: (arrival) => this.offerToClaimers(arrival),
      isAwaited: () => connection.wakes.mayHaveClaimers,
    });
    this.reads = new ReadCalls({ calls, transfers, flush: (partition) => this.coalescer.flush(partition) });
  }

  /** Offers work that is about to be created to waiting claimers in this process, until all of it is claimed. */
  private offerToClaimers({ unclaimed, ...work }: Arrival): void {
    this.connection.wakes.notifyLane(work.laneId, () => {
      const arriving = unclaimed();
      return arriving > 0 ? { kind: 'work', ...work, arriving } : undefined;
    });
  }

  async run(name: OperationName, args: unknown): Promise<unknown> {
    const command = parseCommand(name, args, this.label);
    const [answer] = (await this.send([command])) as [Answer];
    if (!answer.ok) throw errorOf(answer, (rejected) => refusal(name, rejected));
    return issued(command, answer.outcome, this.label);
  }

  async runBatch(commands: readonly Command[]): Promise<CommandResult[]> {
    const parsed = parseBatch(commands, this.label, this.partitions);
    const answers = await this.send(parsed);
    return answers.map((answer, i): CommandResult => {
      const command = present(parsed[i]);
      if (!answer.ok) return { ok: false, error: errorOf(answer, (rejected) => refusal(command.name, rejected)) };
      const outcome = issued(command, answer.outcome, this.label);
      return outcome === answer.outcome ? answer : { ok: true, outcome };
    });
  }

  /** Sends commands of one partition. The first use of a partition family is recorded before the call. */
  private send(commands: readonly ParsedCommand[]): Promise<readonly Answer[]> {
    keepBytes(commands);
    const partition = this.checked(partitionOfCommand(present(commands[0]), this.partitions));
    const family = familyToNote(partition, commands, this.settings.families);
    const run = (): Promise<readonly Answer[]> =>
      runInParts(commands, (part, weight) => this.sendPart(partition, part, weight));
    if (family === undefined) {
      this.inUse.note(partition);
      return run();
    }
    return this.noteFamily(family).then(run);
  }

  /** Sends commands in one call, when their long bytes are stored. */
  private sendPart(partition: string, commands: readonly ParsedCommand[], weight: Weight): Promise<readonly Answer[]> {
    const storing = weight.bytes > LIMITS.maxClaimedInputBytes ? this.longBytes.store(commands) : undefined;
    if (storing === undefined) return this.coalescer.run(partition, commands, weight);
    return storing.then(async (stored) => {
      const answers = await this.coalescer.run(partition, commands, { ...weight, bytes: weight.bytes - stored });
      this.longBytes.removeLeft(commands, answers);
      return answers;
    });
  }

  /**
   * Once in the life of a deployment: other processes learn of the family with their next calls, and apply due work
   * there.
   */
  private async noteFamily(family: Family): Promise<void> {
    const noting = this.noting.get(family) ?? this.retrier.make(() => this.record.noteFamily(family));
    this.noting.set(family, noting);
    try {
      await noting;
      await this.tellSettings();
    } catch (error) {
      throw this.retrier.faultOf(error);
    } finally {
      this.noting.delete(family);
    }
  }

  capabilities(): Capabilities {
    const { rights, serverVersion, appendOnly, client } = this.connection;
    const { contract, build } = this.calls.library;
    return capabilitiesOf({
      family: this.label,
      shared: true,
      durability: 'server',
      lacks: rights.canList ? [] : ['verifyPartition'],
      server: {
        version: serverVersion,
        cluster: client.isCluster,
        wakes: rights.channelsMissing === undefined,
        appendOnly,
        contract,
        libraryBuild: build,
      },
    });
  }

  partitionsInUse(): readonly string[] {
    return this.inUse.partitions(this.settings.families);
  }

  async read(name: QueryName, args: never): Promise<unknown> {
    const parsed = parseQuery(name, args, this.label) as never;
    const declaration = queryNamed(name);
    const partition = this.checked(declaration.partition(parsed, this.partitions));
    const fetch = FETCHES[name];
    const reply = await this.reads.fetch(partition, fetch.request(parsed), fetch.bytesAt, fetch.isPage?.(parsed));
    const view = fetch.view(reply, parsed);
    const decision = declaration.read(view, parsed, {
      now: 0,
      settings: { retentionMs: 0 },
    }) as Decision<unknown>;
    if (!decision.ok) throw refusal(name, decision);
    return decision.outcome;
  }

  async listLanes(page: unknown): Promise<ListLanesPage> {
    const wanted = parseLanesPage(page);
    const partitions = partitionsOf('flow', this.partitions);
    const pages = await Promise.all(
      partitions.map(
        (partition) => this.read('listPartitionLanes', { ...wanted, partition } as never) as Promise<ListLanesPage>,
      ),
    );
    return pageOfLanes(pages, wanted.limit);
  }

  async verifyPartition(args: unknown): Promise<VerifyReport> {
    const partition = this.checked(parsePartitionArgs('verifyPartition', args));
    const verified = await this.verifier.verify(partition, false);
    const isMended = await clearMark((of, ...words) => this.verifier.mendStep(of, ...words), partition, verified);
    if (isMended) this.mending.forget(partition);
    return verified.report;
  }

  async serverTime(): Promise<number> {
    return this.clock === undefined ? this.retrier.make(() => this.time.read()) : this.clock.now();
  }

  get settings(): DeploymentSettings {
    return this.record.settings;
  }

  /** Changes the deployment record, then sends the settings to every partition with a call without commands. */
  async configureDeployment(changes: GivenSettings): Promise<DeploymentSettings> {
    await this.retrier.make(() => this.record.change(changes));
    await this.tellSettings();
    return this.settings;
  }

  /** Sends the settings to every partition in use. */
  private async tellSettings(): Promise<void> {
    const partitions = this.partitionsInUse();
    for (let from = 0; from < partitions.length; from += TOLD_AT_ONCE) {
      await Promise.all(
        partitions
          .slice(from, from + TOLD_AT_ONCE)
          .map((partition) => this.calls.call('advance', this.calls.keys(partition), this.calls.header())),
      );
    }
  }

  async ping(): Promise<void> {
    await this.retrier.make(() => Promise.all(primariesOf(this.client).map((node) => node.ping())));
  }

  async onWake(...args: Parameters<Backend['onWake']>): Promise<() => void> {
    checkWakeArguments(...args);
    return this.connection.wakes.add(...args);
  }

  async onAnnouncement(...args: Parameters<Backend['onAnnouncement']>): Promise<() => void> {
    checkAnnouncementArguments(...args);
    return this.connection.wakes.addForAnnouncements(...args);
  }

  async onFrames(executionId: string, listener: (notice: StreamNotice) => void): Promise<() => void> {
    this.checked(partitionOfWatched(executionId, this.label));
    checkListener('onFrames', listener);
    return this.connection.wakes.addForFrames(executionId, listener);
  }

  /** The EngineError for a fault of a call. */
  faultOf(error: unknown): EngineError {
    return this.retrier.faultOf(error);
  }

  onNotice(listener: (notice: EngineError) => void): () => void {
    checkListener('onNotice', listener);
    return this.connection.onNotice(listener);
  }

  async shutdownPrepare(options?: ShutdownOptions): Promise<ShutdownReport> {
    const graceMs = parseGrace(options);
    this.gate.shut();
    this.mending.close();
    this.connection.wakes.end();
    return this.gate.drain(graceMs);
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.gate.shut();
    this.mending.close();
    this.connection.wakes.end();
    this.connection.close();
  }

  private checked(partition: string): string {
    if (hasPartition(this.partitions, partition)) return partition;
    throw outOfRange(partition, this.partitions);
  }
}

/** The public interface of the backend. */
export function asBackend(engine: ValkeyBackend): Backend {
  const { gate } = engine;
  const backend = {
    label: engine.label,
    capabilities: () => engine.capabilities(),
    partitions: engine.partitions,
    execute: (commands: readonly Command[]) => gate.pass(() => engine.runBatch(commands)),
    get settings() {
      return engine.settings;
    },
    configureDeployment: (changes: GivenSettings) => gate.pass(() => engine.configureDeployment(changes)),
    partitionsInUse: () => engine.partitionsInUse(),
    listLanes: (page = {}) => gate.pass(() => engine.listLanes(page)),
    verifyPartition: (args: unknown) =>
      gate
        .pass(() => engine.verifyPartition(args))
        .catch((error: unknown) => {
          throw engine.faultOf(error);
        }),
    ping: () => gate.pass(() => engine.ping()),
    serverTime: () => gate.pass(() => engine.serverTime()),
    onWake: (...args: Parameters<Backend['onWake']>) => gate.pass(() => engine.onWake(...args)),
    onAnnouncement: (...args: Parameters<Backend['onAnnouncement']>) => gate.pass(() => engine.onAnnouncement(...args)),
    onFrames: (...args: Parameters<Backend['onFrames']>) => gate.pass(() => engine.onFrames(...args)),
    onNotice: (listener: (notice: EngineError) => void) => engine.onNotice(listener),
    shutdownPrepare: (options?: ShutdownOptions) => engine.shutdownPrepare(options),
    close: () => engine.close(),
    [Symbol.asyncDispose]: () => engine.close(),
  } as unknown as Record<string | symbol, unknown>;
  for (const name of OPERATION_NAMES) backend[name] = (args: unknown) => gate.pass(() => engine.run(name, args));
  for (const name of QUERY_NAMES)
    backend[name] = (args: never) =>
      gate
        .pass(() => engine.read(name, args))
        .catch((error: unknown) => {
          // A decoding error becomes a fault with a code, which quotes no data.
          throw engine.faultOf(error);
        });
  return backend as unknown as Backend;
}
