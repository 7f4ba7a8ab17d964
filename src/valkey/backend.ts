/** The Valkey backend: every operation is one function call on one partition. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Decision } from '../../model/operation.js';
import { present } from '../../model/core/present.js';
import type { EngineError } from '../../model/errors.js';
import { hasPartition, partitionsOf, type Family } from '../../model/families.js';
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
import { LIMITS } from '../../model/limits.js';
import type { QuarantinedPage } from '../../model/partition/quarantine.js';
import type { PartitionConfig } from '../../model/partition.js';
import { STRAY_IN_QUEUE, STRAY_TIMER } from '../../lua/layout.js';
import { library, type Library, type LibraryKind } from '../../lua/library.js';
import type { ListLanesPage } from '../../model/partition/reads.js';
import type { Backend, CommandResult, StreamNotice, VerifyReport } from '../backend/backend.js';
import { capabilitiesOf, type Capabilities } from '../backend/capabilities.js';
import { familyToNote, outOfRange, PartitionsInUse } from '../backend/partitions-in-use.js';
import { Gate, parseGrace, type ShutdownOptions, type ShutdownReport } from '../backend/gate.js';
import { issued, parseBatch, parseCommand, parseQuery, partitionOfWatched } from '../backend/boundary.js';
import { checkAnnouncementArguments, checkListener, checkWakeArguments } from '../backend/listener-arguments.js';
import { pageOfLanes, parseLanesPage, parsePartitionArgs } from '../backend/lane-pages.js';
import { refusal } from '../backend/refusal.js';
import { SetAsideError } from '../backend/set-aside.js';
import type { DeploymentSettings, GivenSettings } from '../backend/settings.js';
import type { DeploymentRecord } from './boot/deployment.js';
import type { Client } from './connection/clients.js';
import { callFunction } from './connection/function-call.js';
import { inOneWrite, nodeOf, primariesOf } from './connection/clients.js';
import { BrokeOff } from './connection/faults.js';
import type { CallRetrier } from './connection/call-retrier.js';
import type { Connection } from './connection/connection.js';
import { errorOf, faulty, libraryMismatch, type Answer } from './wire/answers.js';
import { addsToStore, Coalescer, type Arrival } from './calls/coalescer.js';
import { bytesKey, callKeys, partitionStart } from './keys.js';
import { runInParts } from './calls/large-batches.js';
import { LongBytes } from './bytes/long-bytes.js';
import { clearMark, Mending, type VerifyResult } from './verify/mending.js';
import { claimsIn, FETCHED_FROM_CLAIMS, fillPayloads } from './bytes/payloads.js';
import { FETCHES } from './reads/reads.js';
import { listOf, numberOf, repliesOf, textOf, type WireReply } from './wire/reply.js';
import { Staging, STAGED_FROM_BYTES, type StagingClient } from './bytes/staging.js';
import { Transfers, type TransferClient } from './bytes/transfers.js';
import { Verification } from './verify/verify.js';
import type { Weight } from './calls/weight.js';
import { CallWriter, decodeReply, isNotStaged, takeAside, type Stage, type WireArgument } from './wire/format.js';

/** The clock of a test build, which sends the time with every call. */
export interface TestClock {
  readonly now: () => number;
}

/**
 * Thresholds above which bytes are sent or fetched outside of a call. Tests lower them, to cover all ways with short
 * bytes.
 */
export interface Sizes {
  readonly stagedFromBytes: number;
  readonly fetchedFromClaims: number;
}

/** `COUNT` of a `SCAN`. */
const SCANNED_AT_ONCE = 1_000;

/** Follows the settings of a call: its claims leave payloads in their keys, and the client fetches them. */
const LEAVES_PAYLOADS = '\t1';

export const SIZES: Sizes = { stagedFromBytes: STAGED_FROM_BYTES, fetchedFromClaims: FETCHED_FROM_CLAIMS };

/** Commands that the types of the client library lack. */
interface Commands extends StagingClient, TransferClient {
  mgetBuffer(keys: readonly string[]): Promise<(Buffer | null)[]>;
}

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

/** How often a read is repeated when its bytes disappear meanwhile. After that they count as gone. */
const MAX_READS = 3;

/** Partitions that get changed settings concurrently. */
const TOLD_AT_ONCE = 64;

/** Whether a pass over due work is among the commands, which tells whether calls broke off. */
const tellsOfBreaks = ({ name }: ParsedCommand): boolean => name === 'applyDue';

/** Longest rest between two steps of a verification that nobody waits for, ms. */
const MAX_REST_MS = 100;

export class ValkeyBackend {
  readonly label = 'valkey';
  private readonly functionExecute: string;
  private readonly functionAdvance: string;
  private readonly functionRead: string;
  private readonly functionReadPage: string;
  private readonly functionVerify: string;
  readonly partitions: PartitionConfig;
  private readonly calls: Coalescer;
  private readonly client: Client;
  private readonly attempts: CallRetrier;
  private readonly transfers: Transfers;
  private readonly longBytes: LongBytes;
  private readonly mending: Mending;
  private closed = false;
  /** Of public calls; what they call in this class does not pass it again. */
  readonly gate: Gate;
  private readonly inUse: PartitionsInUse;
  private readonly noting = new Map<Family, Promise<void>>();

  private readonly connection: Connection;
  private readonly prefix: string;
  private readonly record: DeploymentRecord;
  private readonly library: Library;
  private readonly clock: TestClock | undefined;
  private readonly sizes: Sizes;

  constructor({ connection, partitions, prefix, kind, record, clock, sizes }: BackendParts) {
    this.connection = connection;
    this.partitions = partitions;
    this.inUse = new PartitionsInUse(partitions);
    this.prefix = prefix;
    this.record = record;
    this.clock = clock;
    this.sizes = sizes;
    this.client = connection.client;
    this.attempts = connection.retrier;
    this.gate = new Gate(`backend of ${connection.label}`);
    this.transfers = new Transfers({
      client: () => this.commands,
      inOneWrite: (send) => inOneWrite(this.client, send),
      retrier: this.attempts,
      nodeOf: (key) => nodeOf(this.client, key),
    });
    this.longBytes = new LongBytes(prefix, this.transfers);
    this.mending = new Mending({
      canVerify: () => connection.rights.canList,
      step: (partition, ...words) => this.mendStep(partition, ...words),
      verify: (partition) => this.verify(partition, true),
      release: (partition) => this.releaseStrays(partition),
      tell: (notice) => connection.tell(notice),
    });
    this.library = library(kind);
    const { functionPrefix } = this.library;
    this.functionExecute = `${functionPrefix}execute`;
    this.functionAdvance = `${functionPrefix}advance`;
    this.functionRead = `${functionPrefix}read`;
    this.functionReadPage = `${functionPrefix}read_page`;
    this.functionVerify = `${functionPrefix}verify`;
    this.calls = new Coalescer({
      send: (partition, commands) => this.decide(partition, commands, sizes.stagedFromBytes),
      onArrival: (arrival) => this.offerToClaimers(arrival),
      isAwaited: () => this.connection.wakes.mayHaveClaimers,
    });
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
    if (storing === undefined) return this.calls.run(partition, commands, weight);
    return storing.then(async (stored) => {
      const answers = await this.calls.run(partition, commands, { ...weight, bytes: weight.bytes - stored });
      this.longBytes.removeLeft(commands, answers);
      return answers;
    });
  }

  /**
   * Once in the life of a deployment: other processes learn of the family with their next calls, and apply due work
   * there.
   */
  private async noteFamily(family: Family): Promise<void> {
    const noting = this.noting.get(family) ?? this.attempts.make(() => this.record.noteFamily(family));
    this.noting.set(family, noting);
    try {
      await noting;
      await this.tellSettings();
    } catch (error) {
      throw this.attempts.faultOf(error);
    } finally {
      this.noting.delete(family);
    }
  }

  capabilities(): Capabilities {
    const { rights, serverVersion, client } = this.connection;
    const { contract, build } = this.library;
    return capabilitiesOf({
      family: this.label,
      shared: true,
      durability: 'server',
      lacks: rights.canList ? [] : ['verifyPartition'],
      server: {
        version: serverVersion,
        cluster: client.isCluster,
        wakes: rights.channelsMissing === undefined,
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
    const reply = await this.fetch(partition, fetch.request(parsed), fetch.bytesAt, fetch.isPage?.(parsed));
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
    const verified = await this.verify(partition, false);
    const isMended = await clearMark((of, ...words) => this.mendStep(of, ...words), partition, verified);
    if (isMended) this.mending.forget(partition);
    return verified.report;
  }

  /** Retries what is in quarantine because of an entry of an index that a call left behind. @returns how many returned */
  private async releaseStrays(partition: string): Promise<number> {
    let released = 0;
    for (let cursor: string | undefined; ; ) {
      const args = { partition, cursor, limit: LIMITS.maxPageSize } as never;
      const page = (await this.read('listQuarantined', args)) as QuarantinedPage;
      for (const { name, reason } of page.entries) {
        if (reason !== STRAY_TIMER && reason !== STRAY_IN_QUEUE) continue;
        const { kind } = (await this.run('retryQuarantined', { partition, name })) as { kind: string };
        if (kind === 'retried') released++;
      }
      if (page.nextCursor === undefined) return released;
      cursor = page.nextCursor;
    }
  }

  /** Runs a step of a verification. @returns its replies: a result, and what was set aside */
  private async verifyStep(partition: string, words: readonly string[]): Promise<WireReply[]> {
    const argv = [...this.header(), ...words];
    const reply = await this.call(this.functionVerify, this.declaredKeys(partition), argv, this.attempts.fromNow());
    return [...listOf(reply)];
  }

  private async mendStep(partition: string, ...words: readonly string[]): Promise<WireReply> {
    const [reply = null] = await this.verifyStep(partition, words);
    return reply;
  }

  /** Verifies a partition. @param rests whether it leaves the server as much time as it takes */
  private async verify(partition: string, rests: boolean): Promise<VerifyResult> {
    const found = new Set<string>();
    const rest = async (begun: number): Promise<void> => {
      if (rests) await sleep(Math.min(performance.now() - begun, MAX_REST_MS));
    };
    const step = async (...words: readonly string[]): Promise<WireReply> => {
      const begun = performance.now();
      const replies = await this.verifyStep(partition, words);
      for (const entity of takeAside(replies, partition).setAside) found.add(entity);
      await rest(begun);
      return replies[0] ?? null;
    };
    const link = { keys: () => this.keysOf(partition, rest), step };
    const { mark, ...verified } = await new Verification(link).run();
    return { report: { ...verified, setAside: [...found] }, mark };
  }

  /** Names of the keys of a partition without their common prefix, page by page. */
  private async *keysOf(partition: string, rest: (begun: number) => Promise<void>): AsyncGenerator<readonly string[]> {
    const start = partitionStart(this.prefix, partition);
    const pattern = `${start.replace(/[[\]?*\\]/g, (character) => `\\${character}`)}*`;
    for (const node of primariesOf(this.client)) {
      let cursor = '0';
      do {
        const at = cursor;
        const begun = performance.now();
        const [next, page] = await this.attempts.make(() => node.scan(at, 'MATCH', pattern, 'COUNT', SCANNED_AT_ONCE));
        yield page.map((key) => key.slice(start.length));
        cursor = next;
        // A page examines keys of all partitions, and can have none of this one.
        await rest(begun);
      } while (cursor !== '0');
    }
  }

  async serverTime(): Promise<number> {
    if (this.clock !== undefined) return this.clock.now();
    const [seconds, micros] = await this.attempts.make(() =>
      (primariesOf(this.client)[0] as NonNullable<ReturnType<typeof primariesOf>[0]>).time(),
    );
    return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
  }

  get settings(): DeploymentSettings {
    return this.record.settings;
  }

  /** Changes the deployment record, then sends the settings to every partition with a call without commands. */
  async configureDeployment(changes: GivenSettings): Promise<DeploymentSettings> {
    await this.attempts.make(() => this.record.change(changes));
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
          .map((partition) =>
            this.call(this.functionAdvance, this.declaredKeys(partition), this.header(), this.attempts.fromNow()),
          ),
      );
    }
  }

  async ping(): Promise<void> {
    await this.attempts.make(() => Promise.all(primariesOf(this.client).map((node) => node.ping())));
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
    return this.attempts.faultOf(error);
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
    this.connection.close();
  }

  /**
   * Runs commands in one call. @returns an answer to each @throws EngineError if the fate of all commands is unknown
   */
  private async decide(
    partition: string,
    commands: readonly ParsedCommand[],
    stagedFromBytes: number,
  ): Promise<Answer[]> {
    const staging = new Staging(stagedFromBytes);
    const claims = claimsIn(commands);
    const argv = this.header(claims >= this.sizes.fetchedFromClaims);
    const writer = new CallWriter(argv);
    let own: Parameters<typeof bytesKey>[2];
    const stage: Stage = {
      place: (slot, bytes) => {
        const stored = this.longBytes.placeOf(own, slot);
        if (stored !== undefined) return stored.name;
        // A value of a step that is not long is stored among the steps.
        return slot === 'step' ? undefined : staging.place(bytesKey(this.prefix, slot, own), bytes);
      },
      nameOf: (member) => this.longBytes.placeOf(member as typeof own, 'input')?.name,
    };
    for (const { name, args } of commands) {
      own = args as unknown as typeof own;
      writer.push(name, args as unknown as Record<string, unknown>, stage);
    }
    const keys = this.declaredKeys(partition);
    // When its memory is full, the server refuses calls with new work, and accepts calls that only end work.
    const name = commands.some(addsToStore) ? this.functionExecute : this.functionAdvance;
    let replies: WireReply[];
    try {
      replies = (await this.call(name, keys, argv, this.attempts.fromNow(), staging)) as WireReply[];
    } catch (error) {
      this.noteBreak(partition, error);
      return this.withoutCreations(partition, commands, stagedFromBytes, error as EngineError);
    }
    const { setAside, hasBroken } = takeAside(replies, partition);
    if (hasBroken) this.mending.found(partition);
    else if (this.mending.knows(partition) && commands.some(tellsOfBreaks)) this.mending.forget(partition);
    if (setAside.length > 0) this.connection.tell(new SetAsideError(partition, setAside));
    const answers: Answer[] = [];
    for (const reply of replies) {
      if (isNotStaged(reply)) break;
      answers.push(this.answerOf(present(commands[answers.length]), reply, partition));
    }
    if (claims > 0) {
      const filled = fillPayloads(this.prefix, answers, (keys) =>
        this.attempts.read(() => this.commands.mgetBuffer(keys)),
      );
      if (filled !== undefined) await filled;
    }
    if (answers.length < commands.length) {
      // All bytes were in the call, so the library reads the arguments in another form.
      if (stagedFromBytes === Infinity) throw libraryMismatch(this.connection.label);
      const rest = commands.slice(answers.length);
      this.longBytes.giveUp(rest);
      answers.push(...(await this.decideRest(partition, rest, Infinity)));
    }
    return answers;
  }

  /** A server whose memory is full refused the call because of its creations: sends the other commands without them. */
  private async withoutCreations(
    partition: string,
    commands: readonly ParsedCommand[],
    stagedFromBytes: number,
    refused: EngineError,
  ): Promise<Answer[]> {
    const rest = commands.filter((command) => !addsToStore(command));
    if (refused.code !== 'server_memory_full' || rest.length === 0 || rest.length === commands.length) throw refused;
    const answers = await this.decideRest(partition, rest, stagedFromBytes);
    return commands.map((command) => (addsToStore(command) ? faulty(refused) : present(answers.shift())));
  }

  /** Runs the remaining commands of a call. A fault affects only these commands. */
  private async decideRest(
    partition: string,
    commands: readonly ParsedCommand[],
    stagedFromBytes: number,
  ): Promise<Answer[]> {
    try {
      // Bytes that were stored before a call may have to be in it now.
      return [...(await runInParts(commands, (part) => this.decide(partition, part, stagedFromBytes)))];
    } catch (error) {
      return commands.map(() => faulty(error as EngineError));
    }
  }

  private answerOf({ name, args }: ParsedCommand, reply: WireReply, partition: string): Answer {
    try {
      return decodeReply(name, args as unknown as Record<string, unknown>, reply, partition);
    } catch (error) {
      this.noteBreak(partition, error);
      return faulty(this.attempts.faultOf(error));
    }
  }

  private noteBreak(partition: string, error: unknown): void {
    if (error instanceof BrokeOff) this.mending.brokeOff(partition, error);
  }

  private async fetch(
    partition: string,
    request: readonly WireArgument[],
    bytesAt: number | undefined,
    isPage = false,
  ): Promise<WireReply> {
    // Commands that were sent earlier must reach the server first, except those whose long bytes are being stored, and
    // later parts of a large batch.
    this.calls.flush(partition);
    for (let reads = 1; ; reads++) {
      const keys = this.declaredKeys(partition);
      const read = (name: string, argv: readonly WireArgument[]): Promise<WireReply> =>
        this.call(name, keys, [...this.header(), ...argv], this.attempts.fromNow());
      const readPage = (mostBytes: number): Promise<WireReply> =>
        read(this.functionReadPage, [String(mostBytes), ...request]);
      const reply = await (isPage
        ? this.transfers.readPage(present(keys[0]), readPage)
        : read(this.functionRead, request));
      if (bytesAt === undefined || !Array.isArray(reply)) return reply;
      // Bytes that were removed or replaced meanwhile are others by now.
      if ((await this.fetchLong(present(reply[bytesAt]) as WireReply[])) || reads === MAX_READS) return reply;
    }
  }

  /** Puts long bytes into a list, each as a list of its own, or null where they are gone. @returns whether all are there */
  private async fetchLong(list: WireReply[]): Promise<boolean> {
    let isWhole = true;
    for (const [place, left] of list.entries()) {
      if (!Array.isArray(left)) continue;
      const [bytes, key] = repliesOf(left, 2);
      const fetched = await this.transfers.fetch(textOf(key), numberOf(bytes));
      list[place] = fetched === undefined ? null : [fetched];
      isWhole &&= fetched !== undefined;
    }
    return isWhole;
  }

  private declaredKeys(partition: string): string[] {
    return callKeys(this.prefix, partition, this.client.isCluster);
  }

  private header(leavesPayloads = false): WireArgument[] {
    const header = [`${this.record.settingsText}${leavesPayloads ? LEAVES_PAYLOADS : ''}`];
    return this.clock === undefined ? header : [String(this.clock.now()), ...header];
  }

  private checked(partition: string): string {
    if (hasPartition(this.partitions, partition)) return partition;
    throw outOfRange(partition, this.partitions);
  }

  private get commands(): Commands {
    return this.client as unknown as Commands;
  }

  private call(
    name: string,
    keys: readonly string[],
    argv: WireArgument[],
    deadline: number,
    staging?: Staging,
  ): Promise<WireReply> {
    const settingsAt = this.clock === undefined ? 0 : 1;
    return this.attempts.make(() => {
      // The settings may have changed since the first try of this call.
      const leaves = String(argv[settingsAt]).endsWith(LEAVES_PAYLOADS) ? LEAVES_PAYLOADS : '';
      argv[settingsAt] = `${this.record.settingsText}${leaves}`;
      if (staging === undefined || staging.isEmpty) return callFunction(this.client, name, keys, argv);
      return inOneWrite(this.client, () => {
        staging.send(this.commands);
        return callFunction(this.client, name, keys, argv);
      });
    }, deadline);
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
  for (const name of Object.keys(OPERATIONS) as OperationName[])
    backend[name] = (args: unknown) => gate.pass(() => engine.run(name, args));
  for (const name of Object.keys(QUERIES) as QueryName[])
    backend[name] = (args: never) =>
      gate
        .pass(() => engine.read(name, args))
        .catch((error: unknown) => {
          // A decoding error becomes a fault with a code, which quotes no data.
          throw engine.faultOf(error);
        });
  return backend as unknown as Backend;
}
