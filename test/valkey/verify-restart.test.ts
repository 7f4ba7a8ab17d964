/** A listing of keys while the server restarts, or the partition moves to another node of a cluster. The server is a stub. */
import { Cluster, type Valkey } from 'iovalkey';
import { expect, test } from 'vitest';
import { shortIdOf } from '../../model/short-id.js';
import type { LibraryCalls } from '../../src/valkey/calls/library-calls.js';
import type { CallRetrier } from '../../src/valkey/connection/call-retrier.js';
import { primariesOf, type Client } from '../../src/valkey/connection/clients.js';
import { faultOf, mayRunSoon } from '../../src/valkey/connection/faults.js';
import { PartitionVerifier } from '../../src/valkey/verify/partition-verifier.js';

const IDS = Array.from({ length: 4 }, (_, i) => shortIdOf(`00000000-0000-4000-8000-00000000000${i}`));
const keyOf = (id: string): string => `ff:{fp:0}:${id}`;

const wasListed = new Error('the records are examined');
let examined: string[];

const calls = {
  header: () => [],
  keys: () => [],
  async call(_: string, __: unknown, [name = '', ...args]: string[]) {
    if (name === 'records' && args.length > 0) {
      examined = args;
      throw wasListed;
    }
    if (name === 'records') return [['0-0', '', '', '', '0', '1']];
    if (name === 'types') return [[]];
    if (name === 'listed') return [['0', []]];
    return ['scored', 'names'].includes(name) ? [['0', '0', '0']] : [name === 'broken' ? '' : 0];
  },
};

const fault = (error: unknown) => faultOf(error, 'the server');

/** Begins a verification, which ends when it examines the records. */
function verified(client: Client): Promise<unknown> {
  const retrier = { make: (call: () => unknown) => call(), faultOf: fault } as unknown as CallRetrier;
  const verifier = new PartitionVerifier({ calls: calls as unknown as LibraryCalls, client, retrier, prefix: 'ff:' });
  examined = [];
  return verifier.verify('{fp:0}', false);
}

test('a listing of keys begins anew when the server was restarted during it', async () => {
  let run = 0;
  let isRestarted = false;
  const server = {
    info: async () => `run_id:${run}\r\n`,
    /** Two keys a page; a restart turns their order round. */
    async scan(cursor: string) {
      const keys = run % 2 === 0 ? IDS : IDS.toReversed();
      const page = keys.slice(Number(cursor), Number(cursor) + 2).map(keyOf);
      if (!isRestarted) run++;
      isRestarted = true;
      return [cursor === '0' ? '2' : '0', page];
    },
  };
  await expect(verified(server as unknown as Valkey)).rejects.toBe(wasListed);
  expect(examined).toEqual(IDS.toSorted());
});

/** A cluster of these nodes, of which `home` has all slots. */
function clusterOf(nodes: readonly object[], home: string): Cluster {
  const slots = Array.from({ length: 16_384 }, () => [home]);
  return Object.assign(Object.create(Cluster.prototype) as Cluster, { isCluster: true, nodes: () => nodes, slots });
}

const nodeAt = (port: number, whenListed: () => void = () => undefined) => ({
  options: { host: 'node', port },
  info: async () => 'run_id:1\r\n',
  async scan() {
    whenListed();
    return ['0', IDS.map(keyOf)];
  },
});

test('a verification of a partition of a cluster reads the node that has it', async () => {
  await expect(verified(clusterOf([nodeAt(1), nodeAt(2)], 'node:2'))).rejects.toBe(wasListed);
  expect(examined).toEqual(IDS.toSorted());
});

test('a verification ends when the node that has the partition is away, or has become another one', async () => {
  const isAway = { code: 'transport_failed', retryable: true };
  expect(fault(await verified(clusterOf([nodeAt(1)], 'node:2')).catch((error: unknown) => error))).toMatchObject(
    isAway,
  );
  const moves = (): void => cluster.slots.forEach((slot) => slot.splice(0, 1, 'node:2'));
  const cluster = clusterOf([nodeAt(1, moves), nodeAt(2)], 'node:1');
  await expect(verified(cluster)).rejects.toMatchObject(isAway);
  expect(examined).toEqual([]);
});

test('a cluster without any node is waited for, and is no answer', () => {
  let error: unknown;
  try {
    primariesOf(clusterOf([], 'node:1'));
  } catch (thrown) {
    error = thrown;
  }
  expect(mayRunSoon(error)).toBe(true);
  expect(fault(error)).toMatchObject({ code: 'transport_failed', retryable: true });
});
