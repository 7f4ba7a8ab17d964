import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'iovalkey';
import { migrateSlotBetween, type MigrateSlotOptions } from './migrate.js';
import { freePort } from './ports.js';
import { startValkey, type ValkeyServer } from './server.js';

const slotCount = 16_384;
const formTimeoutMs = 30_000;

/** How a loopback cluster is started. */
export interface StartClusterOptions {
  /** Number of primaries, which share the slots evenly; default 3. */
  nodes?: number;
  /** Number of replicas of each primary; default 0. */
  replicas?: number;
  /** Further arguments of every `valkey-server`. */
  args?: string[];
}

/** A cluster of private servers. It ends with the process (or worker thread) at the latest. */
export interface ValkeyCluster {
  /** The servers: the primaries in the order of their slots, then the replicas. */
  readonly nodes: readonly ValkeyServer[];
  /** The primary (an index of {@link nodes}) to which the slot was given when the cluster was formed. */
  initialOwner(slot: number): number;
  /**
   * Moves a slot from one primary to another, step by step.
   *
   * @returns the number of keys moved
   * @throws the server's error, e.g. if the source does not own the slot
   */
  migrateSlot(slot: number, fromIndex: number, toIndex: number, options?: MigrateSlotOptions): Promise<number>;
  /** Ends every server at once and removes their folders. May be called again. */
  stop(): Promise<void>;
}

/** A server of the cluster, with a connection for the cluster's own commands. */
interface Member {
  server: ValkeyServer;
  client: Redis;
  host: string;
  port: number;
  busPort: number;
}

const startMember = async (args: string[]): Promise<Member> => {
  const busPort = await freePort();
  const server = await startValkey({
    args: [
      ...['--cluster-enabled', 'yes', '--cluster-config-file', 'nodes.conf', '--cluster-port', String(busPort)],
      // Loopback answers at once, so a short time-out keeps the tests of failures short.
      ...['--cluster-node-timeout', '2000', ...args],
    ],
  });
  const client = new Redis({ host: server.host, port: server.port, enableReadyCheck: false, lazyConnect: true });
  client.on('error', () => undefined);
  return { server, client, host: server.host, port: server.port, busPort };
};

const waitFor = async (what: string, isDone: () => Promise<boolean>): Promise<void> => {
  const deadline = Date.now() + formTimeoutMs;
  while (!(await isDone())) {
    if (Date.now() > deadline) throw new Error(`the cluster did not come to this in time: ${what}`);
    await sleep(25);
  }
};

const allAnswer = async (
  members: readonly Member[],
  args: [string, ...string[]],
  pattern: RegExp,
): Promise<boolean> => {
  const answers = await Promise.all(members.map(({ client }) => client.call(...args)));
  return answers.every((answer) => pattern.test(String(answer)));
};

/** The first slot of the primary with this index; of `primaryCount` itself, the end of the slots. */
const firstSlot = (index: number, primaryCount: number): number => Math.floor((index * slotCount) / primaryCount);

const form = async (members: readonly Member[], primaryCount: number): Promise<void> => {
  const primaries = members.slice(0, primaryCount);
  const replicas = members.slice(primaryCount);
  for (const [index, { client }] of primaries.entries()) {
    const last = firstSlot(index + 1, primaryCount) - 1;
    await client.call('CLUSTER', 'ADDSLOTSRANGE', firstSlot(index, primaryCount), last);
    // Distinct epochs from the start, or the nodes would have to settle a conflict first.
    await client.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
  }
  for (const { client } of members.slice(1)) {
    const { host, port, busPort } = members[0] as Member;
    await client.call('CLUSTER', 'MEET', host, port, busPort);
  }
  await waitFor('every node knows every other', () =>
    allAnswer(members, ['CLUSTER', 'INFO'], new RegExp(`^cluster_known_nodes:${members.length}\\r?$`, 'm')),
  );
  for (const [index, replica] of replicas.entries()) {
    const id = String(await (primaries[index % primaryCount] as Member).client.call('CLUSTER', 'MYID'));
    await waitFor('a replica knows its primary', async () =>
      replica.client.call('CLUSTER', 'REPLICATE', id).then(
        () => true,
        () => false,
      ),
    );
  }
  await waitFor('cluster_state:ok on every node', () => allAnswer(members, ['CLUSTER', 'INFO'], /^cluster_state:ok/m));
  await waitFor('every slot is known to every node', () =>
    allAnswer(members, ['CLUSTER', 'INFO'], new RegExp(`^cluster_size:${primaryCount}\\r?$`, 'm')),
  );
  await waitFor('every replica is in step', () =>
    allAnswer(replicas, ['INFO', 'replication'], /^master_link_status:up/m),
  );
};

/**
 * Starts a cluster on 127.0.0.1 and waits until every node calls it whole.
 *
 * @throws Error if a server does not start (see {@link startValkey}) or the
 *   cluster does not form within 30 seconds
 */
export const startCluster = async (options: StartClusterOptions = {}): Promise<ValkeyCluster> => {
  const { nodes: primaryCount = 3, replicas = 0, args = [] } = options;
  const members: Member[] = [];
  const stop = async (): Promise<void> => {
    for (const { client } of members) client.disconnect();
    await Promise.all(members.map(({ server }) => server.stop()));
  };
  try {
    for (let count = 0; count < primaryCount * (1 + replicas); count += 1) {
      members.push(await startMember(args));
    }
    await form(members, primaryCount);
  } catch (error) {
    await stop();
    throw error;
  }

  const primary = (index: number): Member => {
    const member = index < primaryCount ? members[index] : undefined;
    if (member === undefined) throw new Error(`there is no primary ${index}`);
    return member;
  };
  return {
    nodes: members.map(({ server }) => server),
    initialOwner: (slot) => {
      for (let index = 0; index < primaryCount; index += 1) {
        if (slot >= firstSlot(index, primaryCount) && slot < firstSlot(index + 1, primaryCount)) return index;
      }
      throw new Error(`${slot} is not a slot`);
    },
    migrateSlot: async (slot, fromIndex, toIndex, migrateOptions) => {
      const from = primary(fromIndex);
      const to = primary(toIndex);
      const others = members.slice(0, primaryCount).filter((member) => member !== from && member !== to);
      return migrateSlotBetween(slot, from, to, others, migrateOptions);
    },
    stop,
  };
};
