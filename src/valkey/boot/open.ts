/**
 * The checks before the first call: that the server is suitable, that it has the library, that the user has all rights,
 * and that the partitioning agrees with this process. Each refusal has a hint. Source: spec 13 part B.
 */
import type { FamilyCounts } from '../../../model/families.js';
import { ONE_OF_EACH, parsePartitionConfig } from '../../../model/partition.js';
import type { Valkey } from 'iovalkey';
import { MAX_FIELD_BYTES } from '../../../lua/layout.js';
import { CONTRACT, library, type LibraryKind } from '../../../lua/library.js';
import type { Backend } from '../../backend/backend.js';
import { parseSettings } from '../../backend/settings.js';
import { asBackend, SIZES, ValkeyBackend, type Sizes } from '../backend.js';
import type { TestClock } from '../calls/library-calls.js';
import { addressOf, type Address } from '../connection/address.js';
import { CallRetrier } from '../connection/call-retrier.js';
import {
  connectCluster,
  connectForWakes,
  connectNode,
  established,
  primariesOf,
  type Client,
} from '../connection/clients.js';
import { Connection } from '../connection/connection.js';
import { Deadlines } from '../connection/deadlines.js';
import { faultOf, isPermanent, isRefused, TransientFault } from '../connection/faults.js';
import { connectionFault, nameOf } from '../connection/node-faults.js';
import { invalidOption } from '../invalid-option.js';
import { checkOptions, parsePrefix, type LibraryMode, type ValkeyOptions } from '../options.js';
import { WakeSubscriber } from '../wakes/subscriber.js';
import { DeploymentRecord, type ReplaceRecord } from './deployment.js';
import { LibraryKeeper } from './library.js';
import { proveRights, type FoundRights } from './rights.js';
import { appendOnlyIn, checkServer, serverInfo, versionOf } from './server-check.js';
import { Upkeep } from './upkeep.js';

/**
 * Opens the engine on a Valkey server, a cluster, or the primary that Sentinels name: checks the server and the rights
 * of the user, loads the function library, and reads or writes the partitioning. It uses at most two connections (per
 * node of a cluster): one for commands, one for wakes.
 *
 * @throws EngineError `transport_failed`, `call_timeout`, `certificate_refused`, `tls_mismatch`, `server_refused`,
 *   `server_clients_full`, `server_not_ready`, `unsupported_server`, `unsafe_eviction_policy`, `library_mismatch`,
 *   `partition_mismatch`, `settings_mismatch`, `invalid_input`
 * @example const backend = await valkey({ url: 'valkey://localhost:6379' });
 * @example
 * const tls = { ca: await readFile('ca.pem') };
 * const backend = await valkey({ url: 'valkeys://cache.example:6379', tls });
 * @example const backend = await valkey({ sentinels: ['s1:26379', 's2:26379', 's3:26379'], name: 'main' });
 */
export async function valkey(options: ValkeyOptions | string = {}): Promise<Backend> {
  const given = typeof options === 'string' ? { url: options } : options;
  checkOptions(given);
  return asBackend(await open(given, 'production'));
}

/** Sizes with which the short bytes of tests cover all ways to send and fetch bytes. */
const TEST_SIZES: Sizes = { stagedFromBytes: MAX_FIELD_BYTES + 4, fetchedFromClaims: 2 };

/** The same with a test build of the library, whose clock the caller controls. For tests only. */
export async function valkeyUnderTest(options: ValkeyOptions, clock: TestClock): Promise<Backend> {
  return asBackend(await open({ library: 'replace', ...options }, 'test', clock, TEST_SIZES));
}

async function open(
  options: ValkeyOptions,
  kind: LibraryKind,
  clock?: TestClock,
  sizes: Sizes = SIZES,
): Promise<ValkeyBackend> {
  const address = addressOf(options);
  const prefix = parsePrefix(options.prefix);
  const { callTimeoutMs } = parseSettings(options);
  // Settled with the record of the deployment; a mistake is told before a server is looked for.
  parsePartitionConfig(options.partitions);
  const deadlines = new Deadlines(callTimeoutMs);
  let client: Client | undefined;
  try {
    const server = await connected(address, deadlines);
    client = server.client;
    const boot = new Boot(server, address.label, deadlines, prefix, kind, options);
    const partitions = await boot.run();
    const connection = boot.connection();
    return new ValkeyBackend({ connection, partitions, prefix, kind, record: boot.record, clock, sizes });
  } catch (error) {
    client?.disconnect();
    deadlines.close();
    throw faultOf(error, address.label, client === undefined ? undefined : connectionFault(client));
  }
}

/** A connected server. */
interface Server {
  readonly client: Client;
  /** The version that it reports; in a cluster, that of the node that answered first. */
  readonly version: string;
  /** What it says of itself. */
  readonly info: ReadonlyMap<string, string>;
}

/** Connects the kind of client that the server needs. */
async function connected(address: Address, deadlines: Deadlines): Promise<Server> {
  const { timeoutMs } = deadlines;
  const node = await firstOf(address, deadlines);
  let info: Awaited<ReturnType<typeof serverInfo>>;
  try {
    info = await deadlines.within(serverInfo(node));
    if (info.get('cluster_enabled') !== '1') {
      if (address.nodes.length > 1)
        throw invalidOption('url', 'several nodes need a cluster, and this server is not one.');
      checkServer(info, nameOf(node));
      return { client: node, version: versionOf(info), info };
    }
  } catch (error) {
    node.disconnect();
    throw error;
  }
  node.disconnect();
  if (address.database !== 0) throw invalidOption('database', 'a cluster has database 0 only.');
  const cluster = connectCluster(address, timeoutMs, deadlines);
  try {
    await established(cluster, timeoutMs);
    return { client: cluster, version: versionOf(info), info };
  } catch (error) {
    cluster.disconnect();
    throw faultOf(error, address.label, connectionFault(cluster));
  }
}

/** The node that answers first. With nodes, a refused connection fails at once; with Sentinels it is retried. */
async function firstOf(address: Address, deadlines: Deadlines): Promise<Valkey> {
  const nodes = address.nodes.length === 0 ? [address] : address.nodes.map((node) => ({ ...address, nodes: [node] }));
  // Sentinels soon name a successor of a dead primary.
  const isInVain =
    address.nodes.length === 0 ? isPermanent : (fault: unknown) => isPermanent(fault) || isRefused(fault);
  const tried = nodes.map((each) => connectNode(each, deadlines.timeoutMs, deadlines));
  const found = new AbortController();
  try {
    const first = await Promise.any(
      tried.map((node) =>
        established(node, deadlines.timeoutMs, { signal: found.signal, isInVain }).then(
          () => node,
          (error: unknown) => {
            throw faultOf(error, nameOf(node), connectionFault(node));
          },
        ),
      ),
    );
    for (const node of tried) if (node !== first) node.disconnect();
    return first;
  } catch (error) {
    for (const node of tried) node.disconnect();
    throw (error as AggregateError).errors[0];
  } finally {
    found.abort();
  }
}

/** The steps after the connection. Each is retried within its time while the server is not ready. */
class Boot {
  readonly record: DeploymentRecord;
  private readonly keeper: LibraryKeeper;
  private readonly retrier: CallRetrier;
  private readonly mode: LibraryMode;
  private counts: FamilyCounts = ONE_OF_EACH;
  private rights: FoundRights = { channelsMissing: undefined, canList: false };
  private readonly client: Client;
  private appendOnly: boolean | undefined;

  constructor(
    private readonly server: Server,
    private readonly label: string,
    private readonly deadlines: Deadlines,
    private readonly prefix: string,
    kind: LibraryKind,
    private readonly options: ValkeyOptions,
  ) {
    const { client } = server;
    this.client = client;
    this.mode = options.library ?? 'load';
    const configure = `${library(kind).functionPrefix}configure`;
    const replace = async (...[key, known, text]: Parameters<ReplaceRecord>): Promise<boolean> =>
      (await this.retrier.make(() => client.fcall(configure, 1, key, known, text))) === 1;
    this.record = new DeploymentRecord(client, prefix, CONTRACT, replace);
    this.keeper = new LibraryKeeper(client, this.record, kind);
    const { mode, keeper } = this;
    this.retrier = new CallRetrier({
      label,
      deadlines,
      loadLibrary: () => keeper.ensureLoaded(mode === 'verify' ? 'verify' : 'load'),
      learnSettings: (version) => this.record.learn(version),
      connectionFault: () => connectionFault(client),
    });
  }

  async run(): ReturnType<DeploymentRecord['settle']> {
    const { client, retrier, record, options } = this;
    const infos = client.isCluster ? [] : [this.server.info];
    if (client.isCluster) {
      for (const node of primariesOf(client)) {
        const info = await retrier.make(() => serverInfo(node));
        checkServer(info, nameOf(node));
        infos.push(info);
      }
    }
    this.appendOnly = appendOnlyIn(infos);
    // Before the library is loaded, so that a refused process changes nothing for the running ones.
    const partitions = await retrier.make(() => record.settle(options.partitions, options));
    await retrier.make(() => this.bringOnce());
    this.counts = partitions;
    this.rights = await retrier.make(() => this.proveRights());
    return partitions;
  }

  /** @returns the optional rights of the user @throws EngineError `server_refused` if another right is missing */
  private async proveRights(): Promise<FoundRights> {
    const { client, prefix, counts, keeper } = this;
    const options = { prefix, counts, isCluster: client.isCluster, library: keeper.wanted };
    const found = await Promise.all(primariesOf(client).map((node) => proveRights(node, options)));
    return {
      channelsMissing: found.find(({ channelsMissing }) => channelsMissing !== undefined)?.channelsMissing,
      canList: found.every(({ canList }) => canList),
    };
  }

  /** Loads the library. A condition that a running backend would wait for is an error here. */
  private async bringOnce(): Promise<void> {
    try {
      await this.keeper.ensureLoaded(this.mode);
    } catch (error) {
      throw error instanceof TransientFault ? error.fault : error;
    }
  }

  connection(): Connection {
    const {
      client,
      label,
      deadlines,
      prefix,
      counts,
      retrier,
      record,
      keeper,
      mode,
      rights,
      server,
      options,
      appendOnly,
    } = this;
    const connect = () => connectForWakes(client, deadlines);
    const wakes = new WakeSubscriber({ prefix, counts, label, deadlines, connect });
    const serverVersion = server.version;
    const connection = new Connection({ label, client, serverVersion, appendOnly, rights, deadlines, retrier, wakes });
    if (options.onNotice !== undefined) connection.onNotice(options.onNotice);
    record.onLost = (notice) => connection.tell(notice);
    connection.notices([rights.channelsMissing ?? [], keeper.behind ?? []].flat());
    const proveRights = () => this.proveRights();
    const upkeep = new Upkeep({ client, label, record, keeper, mode, proveRights, connection });
    connection.onClose(() => upkeep.close());
    return connection;
  }
}
