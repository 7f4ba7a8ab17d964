/** The Valkey backend: every operation is one function call on one partition. */
import type { Decision } from '../../model/core/operation.js';
import { EngineError } from '../../model/errors.js';
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
import type { PartitionConfig } from '../../model/partition.js';
import { MAX_FIELD_BYTES } from '../../lua/layout.js';
import { library, type LibraryKind } from '../../lua/library.js';
import type { Backend, CommandResult, ListLanesPage } from '../backend.js';
import { parseBatch, parseCommand, parseQuery } from '../boundary.js';
import { pageOfLanes, parseLanesPage } from '../lanes.js';
import { refusal } from '../refusal.js';
import { parseSettings, type BackendSettings } from '../settings.js';
import { checkServer, handshake, serverInfo, settlePartitions, type LibraryMode } from './boot.js';
import {
  connectCluster,
  connectForWakes,
  connectNode,
  established,
  faultOf,
  hostOf,
  parseAddress,
  primariesOf,
  type Client,
} from './connection.js';
import { Attempts } from './attempts.js';
import { errorOf, faulty, type Answer } from './answers.js';
import { addsToStore, Coalescer, type Arrival } from './coalescer.js';
import { Deadlines } from './deadlines.js';
import { bytesKey, callKeys, declaredKeys } from './keys.js';
import { claimsIn, FETCHED_FROM_CLAIMS, fillPayloads } from './payloads.js';
import { FETCHES } from './reads.js';
import type { WireReply } from './reply.js';
import { Staging, STAGED_FROM_BYTES, type StagingClient } from './staging.js';
import { WakeSubscriber } from './wakes.js';
import { CallWriter, decodeReply, isNotStaged, type WireArgument } from './wire.js';

export interface ValkeyOptions {
  /** `valkey://host:port`; the environment variable `VALKEY_URL`, or `valkey://localhost:6379`, when absent. */
  readonly url?: string;
  /** What every key starts with; several deployments can share one server. Default `ff:`. */
  readonly prefix?: string;
  /** How the deployment is partitioned. Settled at its first boot; a later boot that asks for something else is refused. */
  readonly partitions?: Partial<PartitionConfig>;
  /** Life of a terminal execution before it is purged, ms. Default 24 h. */
  readonly retentionMs?: number;
  /** Log entries kept per partition, approximately. Default 100 000. */
  readonly logMaxEntries?: number;
  /** Longest time a call may take, ms, give or take a tenth; a pause of the event loop does not count. Default 5 000. */
  readonly callTimeoutMs?: number;
  /** Who puts the function library on the server. Default `load`. */
  readonly library?: LibraryMode;
}

const OPTION_NAMES: ReadonlySet<string> = new Set<keyof ValkeyOptions>([
  'url',
  'prefix',
  'partitions',
  'retentionMs',
  'logMaxEntries',
  'callTimeoutMs',
  'library',
]);

/** What a test build needs besides: the time of every call. */
export interface TestClock {
  readonly now: () => number;
}

/** From which sizes on bytes travel beside a call; tests lower them, so that short bytes take every way. */
export interface Sizes {
  readonly stagedFromBytes: number;
  readonly fetchedFromClaims: number;
}

/** One call, and what is done again of it. */
interface Attempt {
  readonly stagedFromBytes: number;
  /** By the clock of `performance.now`, ms. */
  readonly deadline: number;
}

const SIZES: Sizes = { stagedFromBytes: STAGED_FROM_BYTES, fetchedFromClaims: FETCHED_FROM_CLAIMS };

/** Commands that the client library has and its types lack. */
interface Commands extends StagingClient {
  fcallBuffer(
    name: string,
    keyCount: number,
    keys: readonly string[],
    args: readonly WireArgument[],
  ): Promise<WireReply>;
  mgetBuffer(keys: readonly string[]): Promise<(Buffer | null)[]>;
}

const PREFIX_PATTERN = /^[\x21-\x7a|~]{0,64}$/;

class ValkeyBackend {
  readonly label = 'valkey';
  private readonly functionExecute: string;
  private readonly functionAdvance: string;
  private readonly functionRead: string;
  private readonly settings: readonly string[];
  private readonly wakes: WakeSubscriber;
  private readonly attempts: Attempts;
  private readonly calls: Coalescer;
  private closed = false;

  constructor(
    private readonly client: Client,
    readonly partitions: PartitionConfig,
    private readonly host: string,
    private readonly prefix: string,
    kind: LibraryKind,
    mode: LibraryMode,
    private readonly deadlines: Deadlines,
    { retentionMs, logMaxEntries }: BackendSettings,
    private readonly clock: TestClock | undefined,
    private readonly sizes: Sizes,
  ) {
    const { functionPrefix } = library(kind);
    this.functionExecute = `${functionPrefix}execute`;
    this.functionAdvance = `${functionPrefix}advance`;
    this.functionRead = `${functionPrefix}read`;
    this.settings = [String(logMaxEntries), String(retentionMs)];
    this.attempts = new Attempts(host, deadlines, () => handshake(client, kind, mode === 'verify' ? 'verify' : 'load'));
    this.wakes = new WakeSubscriber(prefix, () => connectForWakes(client, deadlines));
    this.calls = new Coalescer({
      send: (partition, commands) =>
        this.decide(partition, commands, {
          stagedFromBytes: sizes.stagedFromBytes,
          deadline: this.deadlines.fromNow(),
        }),
      onArrival: (arrival) => this.offer(arrival),
    });
  }

  /** Offers work that is about to be created to those who wait for it in this process, until all of it is claimed. */
  private offer({ unclaimed, ...work }: Arrival): void {
    this.wakes.tell(work.laneId, () => {
      const arriving = unclaimed();
      return arriving > 0 ? { kind: 'work', ...work, arriving } : undefined;
    });
  }

  async run(name: OperationName, args: unknown): Promise<unknown> {
    const command = parseCommand(name, args, this.label);
    const [answer] = (await this.calls.run(this.checked(partitionOfCommand(command)), [command])) as [Answer];
    if (!answer.ok) throw errorOf(answer, (rejected) => refusal(name, rejected));
    return answer.outcome;
  }

  async runBatch(commands: readonly Command[]): Promise<CommandResult[]> {
    const parsed = parseBatch(commands, this.label);
    const answers = await this.calls.run(this.checked(partitionOfCommand(parsed[0] as ParsedCommand)), parsed);
    return answers.map((answer, i) =>
      answer.ok
        ? { ok: true, outcome: answer.outcome }
        : { ok: false, error: errorOf(answer, (rejected) => refusal((parsed[i] as ParsedCommand).name, rejected)) },
    );
  }

  async read(name: QueryName, args: never): Promise<unknown> {
    const parsed = parseQuery(name, args) as never;
    const declaration = queryNamed(name);
    const partition = this.checked(declaration.partition(parsed));
    const fetch = FETCHES[name];
    const view = fetch.view(await this.fetch(partition, fetch.request(parsed)), parsed);
    const decision = declaration.read(view, parsed, {
      now: 0,
      settings: { retentionMs: 0 },
    }) as Decision<unknown>;
    if (!decision.ok) throw refusal(name, decision);
    return decision.outcome;
  }

  async listLanes(page: unknown): Promise<ListLanesPage> {
    const wanted = parseLanesPage(page);
    const partitions = Array.from({ length: this.partitions.count }, (_, index) => partitionKeyOf(index));
    const lanes = await Promise.all(
      partitions.map(
        (partition) => this.read('listPartitionLanes', { partition } as never) as Promise<readonly string[]>,
      ),
    );
    return pageOfLanes(lanes, wanted);
  }

  async serverTime(): Promise<number> {
    if (this.clock !== undefined) return this.clock.now();
    const [seconds, micros] = await this.attempts.make(() =>
      (primariesOf(this.client)[0] as NonNullable<ReturnType<typeof primariesOf>[0]>).time(),
    );
    return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
  }

  async ping(): Promise<void> {
    await this.attempts.make(() => Promise.all(primariesOf(this.client).map((node) => node.ping())));
  }

  async onWake(...args: Parameters<Backend['onWake']>): Promise<() => void> {
    return this.attempts.make(() => this.wakes.add(...args));
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.attempts.close();
    this.wakes.close();
    this.client.disconnect();
    this.deadlines.close();
  }

  /** Runs commands in one call, and answers each of them. @throws EngineError when nothing is known of any of them */
  private async decide(
    partition: string,
    commands: readonly ParsedCommand[],
    { stagedFromBytes, deadline }: Attempt,
  ): Promise<Answer[]> {
    const staging = new Staging(stagedFromBytes);
    const claims = claimsIn(commands);
    const argv = this.header(claims >= this.sizes.fetchedFromClaims);
    const call = new CallWriter(argv);
    for (const { name, args } of commands) {
      const own = args as unknown as Parameters<typeof bytesKey>[2];
      call.push(name, args as unknown as Record<string, unknown>, (slot, bytes) =>
        staging.place(bytesKey(this.prefix, slot, own), bytes),
      );
    }
    const keys = [...declaredKeys(this.prefix, partition, commands), ...staging.keys];
    // A server whose memory is full refuses new work and takes everything that ends work.
    const name = commands.some(addsToStore) ? this.functionExecute : this.functionAdvance;
    let replies: WireReply[];
    try {
      replies = (await this.call(name, keys, argv, deadline, staging)) as WireReply[];
    } catch (error) {
      return this.withoutCreations(partition, commands, deadline, error as EngineError);
    }
    const answers: Answer[] = [];
    for (const reply of replies) {
      if (isNotStaged(reply)) break;
      answers.push(this.answerOf(commands[answers.length] as ParsedCommand, reply, partition));
    }
    if (claims > 0)
      await fillPayloads(this.prefix, answers, (keys) =>
        this.attempts.read(() => this.commands.mgetBuffer(keys), deadline),
      );
    if (answers.length < commands.length)
      answers.push(...(await this.decideRest(partition, commands.slice(answers.length), deadline)));
    return answers;
  }

  /** A server whose memory is full refuses creations, and with them the call that carries them; the rest it takes. */
  private async withoutCreations(
    partition: string,
    commands: readonly ParsedCommand[],
    deadline: number,
    refused: EngineError,
  ): Promise<Answer[]> {
    const rest = commands.filter((command) => !addsToStore(command));
    if (refused.code !== 'server_memory_full' || rest.length === 0 || rest.length === commands.length) throw refused;
    const answers = await this.decideRest(partition, rest, deadline);
    return commands.map((command) => (addsToStore(command) ? faulty(refused) : (answers.shift() as Answer)));
  }

  /** Runs commands behind others that have their answers: with all bytes in the call, and a fault is theirs alone. */
  private async decideRest(partition: string, commands: readonly ParsedCommand[], deadline: number): Promise<Answer[]> {
    try {
      return await this.decide(partition, commands, { stagedFromBytes: Infinity, deadline });
    } catch (error) {
      return commands.map(() => faulty(error as EngineError));
    }
  }

  private answerOf({ name, args }: ParsedCommand, reply: WireReply, partition: string): Answer {
    try {
      return decodeReply(name, args as unknown as Record<string, unknown>, reply, partition);
    } catch (error) {
      return faulty(faultOf(error, this.host));
    }
  }

  private fetch(partition: string, request: readonly WireArgument[]): Promise<WireReply> {
    // What was sent before it reaches the server before it.
    this.calls.flush(partition);
    return this.call(
      this.functionRead,
      callKeys(this.prefix, partition),
      [...this.header(), ...request],
      this.deadlines.fromNow(),
    );
  }

  private header(leavesPayloads = false): WireArgument[] {
    const header = [...this.settings, leavesPayloads ? '1' : '0'];
    return this.clock === undefined ? header : [String(this.clock.now()), ...header];
  }

  private checked(partition: string): string {
    if (partitionIndexOf(partition) < this.partitions.count) return partition;
    throw new EngineError(
      'invalid_input',
      `partition: ${partition} is out of range; this deployment has ${this.partitions.count} partitions.`,
      { detail: { field: 'partition' } },
    );
  }

  private get commands(): Commands {
    return this.client as unknown as Commands;
  }

  private call(
    name: string,
    keys: readonly string[],
    argv: readonly WireArgument[],
    deadline: number,
    staging?: Staging,
  ): Promise<WireReply> {
    return this.attempts.make(() => {
      staging?.send(this.commands);
      // Lists, which the client library joins: so many arguments can be too many for a call in JavaScript.
      return this.commands.fcallBuffer(name, keys.length, keys, argv);
    }, deadline);
  }
}

async function boot(
  options: ValkeyOptions,
  kind: LibraryKind,
  clock?: TestClock,
  sizes = SIZES,
): Promise<ValkeyBackend> {
  const address = parseAddress(options.url ?? process.env['VALKEY_URL'] ?? 'valkey://localhost:6379');
  const host = hostOf(address);
  const prefix = options.prefix ?? 'ff:';
  if (!PREFIX_PATTERN.test(prefix))
    throw new EngineError('invalid_input', 'prefix: must be at most 64 printable characters without braces or spaces.');
  const settings = parseSettings(options);
  const { callTimeoutMs } = settings;
  const mode = options.library ?? 'load';
  const deadlines = new Deadlines(callTimeoutMs);
  const node = connectNode(address, callTimeoutMs, deadlines);
  let client: Client = node;
  try {
    await established(node, callTimeoutMs);
    const info = await deadlines.within(serverInfo(node));
    checkServer(info, host);
    if (info.get('cluster_enabled') === '1') {
      node.disconnect();
      const cluster = connectCluster(address, callTimeoutMs, deadlines);
      client = cluster;
      await established(cluster, callTimeoutMs);
      for (const primary of primariesOf(cluster))
        checkServer(await deadlines.within(serverInfo(primary)), `${primary.options.host}:${primary.options.port}`);
    }
    await deadlines.within(handshake(client, kind, mode));
    const partitions = await deadlines.within(settlePartitions(client, prefix, options.partitions));
    return new ValkeyBackend(client, partitions, host, prefix, kind, mode, deadlines, settings, clock, sizes);
  } catch (error) {
    client.disconnect();
    deadlines.close();
    throw error instanceof EngineError ? error : faultOf(error, host);
  }
}

function asBackend(engine: ValkeyBackend): Backend {
  const backend = {
    label: engine.label,
    partitions: engine.partitions,
    execute: (commands: readonly Command[]) => engine.runBatch(commands),
    listLanes: (page = {}) => engine.listLanes(page),
    ping: () => engine.ping(),
    serverTime: () => engine.serverTime(),
    onWake: (...args: Parameters<Backend['onWake']>) => engine.onWake(...args),
    close: () => engine.close(),
    [Symbol.asyncDispose]: () => engine.close(),
  } as unknown as Record<string | symbol, unknown>;
  for (const name of Object.keys(OPERATIONS) as OperationName[])
    backend[name] = (args: unknown) => engine.run(name, args);
  for (const name of Object.keys(QUERIES) as QueryName[]) backend[name] = (args: never) => engine.read(name, args);
  return backend as unknown as Backend;
}

/**
 * Opens the engine on a Valkey server or cluster: checks the server, brings the function library, settles the
 * partitioning. Two connections at most (per node of a cluster): one for commands, one for wakes.
 *
 * @throws EngineError `transport_failed`, `call_timeout`, `unsupported_server`, `unsafe_eviction_policy`,
 * `library_mismatch`, `partition_mismatch`, `invalid_input`
 * @example const backend = await valkey({ url: 'valkey://localhost:6379' });
 */
export async function valkey(options: ValkeyOptions | string = {}): Promise<Backend> {
  const given = typeof options === 'string' ? { url: options } : options;
  for (const name of Object.keys(given)) {
    // A misspelt address would silently mean another server.
    if (!OPTION_NAMES.has(name))
      throw new EngineError(
        'invalid_input',
        `${name}: is no option of valkey(); there are ${[...OPTION_NAMES].join(', ')}.`,
        { detail: { field: name } },
      );
  }
  return asBackend(await boot(given, 'production'));
}

/** Sizes by which the short bytes of tests take every way that bytes can take. */
const TEST_SIZES: Sizes = { stagedFromBytes: MAX_FIELD_BYTES + 4, fetchedFromClaims: 2 };

/** The same on a test build of the library, whose clock the caller holds. For tests only. */
export async function valkeyUnderTest(options: ValkeyOptions, clock: TestClock): Promise<Backend> {
  return asBackend(await boot({ library: 'replace', ...options }, 'test', clock, TEST_SIZES));
}
