/** The engine on a cluster of three: it finds the nodes by itself, and is the same engine. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import fc from 'fast-check';
import { Valkey } from 'iovalkey';
import { run } from '../../fuzz/actions/run.js';
import type { Subject } from '../../fuzz/comparison.js';
import { INDEXED_TAGS, runDifferential } from '../../fuzz/differential.js';
import { library } from '../../lua/library.js';
import { executionIdOf, partitionKeyOf } from '../../model/ids.js';
import type { Backend, Wake } from '../../src/backend/backend.js';
import { conformance, seededUuids, testEngine } from '../../src/testing/index.js';
import { addressOf } from '../../src/valkey/connection/address.js';
import { connectCluster, established, nodeOf } from '../../src/valkey/connection/clients.js';
import { valkey } from '../../src/valkey/index.js';
import { startCluster, type ValkeyCluster } from '../support/valkey/index.js';
import { partitionOn, pause, slotOf, until } from './support.js';

const NODES = [0, 1, 2];
const START_AT = 1_700_000_000_000;

let cluster: ValkeyCluster;
beforeAll(async () => {
  cluster = await startCluster({ nodes: NODES.length });
});
afterAll(() => cluster?.stop());

const urlOf = (node: number): string => (cluster.nodes[node] as { url: string }).url;

async function opened(prefix: string, options: object = {}): Promise<Backend> {
  return valkey({ url: urlOf(1), prefix, partitions: { count: 32 }, ...options });
}

const create = (backend: Backend, partition: number, laneId: string): Promise<unknown> =>
  backend.createExecution({
    executionId: executionIdOf(partition, randomUUID()),
    namespace: 'n',
    laneId,
    executionKind: 'k',
    creatorIdentity: 'c',
  });

/** Runs a command on every node. */
async function onEveryNode<Value>(ask: (node: Valkey) => Promise<Value>): Promise<Value[]> {
  return Promise.all(
    cluster.nodes.map(async ({ host, port }) => {
      const node = new Valkey({ host, port, lazyConnect: true, connectionName: 'observer' });
      await node.connect();
      try {
        return await ask(node);
      } finally {
        node.disconnect();
      }
    }),
  );
}

describe('a cluster', () => {
  it('lists the keys of a partition on the node that has it', async () => {
    await using backend = await opened('verified:');
    for (const node of NODES) {
      const partition = partitionOn(cluster, node);
      await create(backend, partition, 'lane');
      expect(await backend.verifyPartition({ partition: partitionKeyOf(partition) })).toEqual({
        executions: 1,
        findings: [],
        setAside: [],
        countsVerified: true,
      });
    }
  });

  it('is found by the address of one node, and gets the library on every primary', async () => {
    await onEveryNode((node) => node.call('FUNCTION', 'FLUSH'));
    await using backend = await opened('found:');
    await backend.ping();
    const libraries = await onEveryNode((node) => node.call('FUNCTION', 'LIST'));
    for (const list of libraries) expect(JSON.stringify(list)).toContain(`"${library('production').name}"`);
  });

  it('is known by the node of each key', async () => {
    const client = connectCluster(addressOf({ url: urlOf(0) }), 5_000);
    onTestFinished(() => client.disconnect());
    await established(client, 5_000);
    const known = NODES.map((node) => nodeOf(client, `p:${partitionKeyOf(partitionOn(cluster, node))}:log`));
    expect(known).toEqual(cluster.nodes.map(({ host, port }) => `${host}:${port}`));
  });

  it('serves partitions of every node without a redirection, and lists the lanes of all', async () => {
    await using backend = await opened('routed:');
    await onEveryNode((node) => node.config('RESETSTAT'));
    const lanes = NODES.map((node) => `lane-${node}`);
    for (const node of NODES) {
      const partition = partitionOn(cluster, node);
      await create(backend, partition, lanes[node] as string);
      const claim = await backend.claimForWorker({
        partition: partitionKeyOf(partition),
        laneId: lanes[node] as string,
        workerId: 'w',
        workerInstanceId: 'w',
        workerCapabilities: [],
        leaseTtlMs: 5_000,
        claims: [{ leaseId: randomUUID(), attemptId: randomUUID() }],
      });
      expect(claim.kind).toBe('claimed');
    }
    expect((await backend.listLanes()).lanes).toEqual(lanes);
    expect(backend.capabilities()).toMatchObject({ server: { cluster: true, wakes: true } });
    for (const errors of await onEveryNode((node) => node.info('errorstats'))) expect(errors).not.toContain('MOVED');
  });

  it('gets the library back on a node that lost it, within the call', async () => {
    await using backend = await opened('lost-library:');
    await onEveryNode((node) => node.call('FUNCTION', 'FLUSH'));
    for (const node of NODES) await create(backend, partitionOn(cluster, node), 'lane');
  });

  it('announces work and timers of every node to waiting processes', async () => {
    await using backend = await opened('wakes:');
    const wakes: Wake[] = [];
    await backend.onWake(['lane'], (wake) => void ('arriving' in wake || wakes.push(wake)));
    const partitions = NODES.map((node) => partitionOn(cluster, node));
    for (const partition of partitions) {
      await create(backend, partition, 'lane');
      await backend.createExecution({
        executionId: executionIdOf(partition, randomUUID()),
        namespace: 'n',
        laneId: 'other',
        executionKind: 'k',
        creatorIdentity: 'c',
        delayUntil: Date.now() + 60_000,
      });
    }
    const heard = (kind: Wake['kind']): string[] =>
      wakes.flatMap((wake) => (wake.kind === kind && wake.kind !== 'resync' ? [wake.partition] : [])).sort();
    const all = partitions.map(partitionKeyOf).sort();
    await until(() => heard('work').length === NODES.length && heard('timer').length === NODES.length);
    expect(heard('work')).toEqual(all);
    expect(heard('timer')).toEqual(all);
  });

  it('tells the time while any one of its nodes is silent', async () => {
    await using backend = await opened('silent:', { callTimeoutMs: 1_500 });
    for (const node of cluster.nodes) {
      await node.kill('SIGSTOP');
      try {
        expect(Math.abs((await backend.serverTime()) - Date.now())).toBeLessThan(60_000);
      } finally {
        await node.kill('SIGCONT');
      }
    }
  });

  it('tells the time of one node, and asks no other while that one answers', async () => {
    await using backend = await opened('one-clock:');
    await onEveryNode((node) => node.config('RESETSTAT'));
    for (let call = 0; call < 10; call++) await backend.serverTime();
    // Other nodes would have been asked by now.
    await pause(200);
    const asked = await onEveryNode(async (node) =>
      Number(/cmdstat_time:calls=(\d+)/.exec(await node.info('commandstats'))?.[1] ?? 0),
    );
    expect(Math.max(...asked)).toBeGreaterThan(0);
    // A busy machine can keep a node from answering soon, but not each time.
    expect(Math.min(...asked)).toBeLessThan(5);
  });

  it('costs a process at most two connections per node', async () => {
    const observed = (): Promise<number[]> =>
      onEveryNode(
        async (node) =>
          String(await node.client('LIST', 'TYPE', 'NORMAL'))
            .split('\n')
            .filter((line) => line.includes('addr=') && !/name=(observer|.*refresher)/.test(line)).length +
          String(await node.client('LIST', 'TYPE', 'PUBSUB'))
            .split('\n')
            .filter((line) => line.includes('addr=')).length,
      );
    const before = await observed();
    await using backend = await opened('connections:');
    await backend.onWake(['lane'], () => undefined);
    await backend.onWake(['another'], () => undefined);
    await Promise.all(Array.from({ length: 96 }, (_, index) => create(backend, index % 32, 'lane')));
    await backend.listLanes();
    const more = (await observed()).map((count, node) => count - (before[node] as number));
    for (const count of more) expect(count).toBeLessThanOrEqual(2);
    // One for commands to every node, one for wakes to any one of them.
    expect(more.reduce((sum, count) => sum + count, 0)).toBe(NODES.length + 1);
  });

  it('agrees with the specification, on whichever node a partition is', async () => {
    const subjects: Subject[] = [
      {
        name: 'cluster',
        engine: await testEngine({ startAt: START_AT, indexedTags: INDEXED_TAGS, backend: { url: urlOf(0) } }),
      },
    ];
    const { engine } = subjects[0] as Subject;
    const slot = slotOf(0);
    let owner = cluster.initialOwner(slot);
    try {
      for (const node of NODES) {
        // The runs are about partition 0: its slot goes from node to node.
        await engine.clear();
        if (node !== owner) await cluster.migrateSlot(slot, owner, node);
        owner = node;
        await fc.assert(
          fc.asyncProperty(run(40), async (actions) => {
            await engine.clear();
            await runDifferential(actions, subjects, { checkpointEvery: 20 }, START_AT, seededUuids(`cluster-${node}`));
          }),
          { numRuns: 15, seed: 4_242 + node, endOnFailure: true },
        );
      }
    } finally {
      await engine.close();
      if (owner !== cluster.initialOwner(slot)) await cluster.migrateSlot(slot, owner, cluster.initialOwner(slot));
    }
  });
});

describe('conformance on the cluster', () => {
  it.each(conformance.map((scenario) => [scenario.name, scenario] as const))('%s', async (_name, scenario) => {
    const engine = await testEngine({ ...scenario.options, backend: { url: urlOf(2) } });
    try {
      await scenario.run(engine);
    } finally {
      await engine.close();
    }
  });
});
