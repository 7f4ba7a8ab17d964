/** How random runs register workers, send their heartbeats, mark them dead and list them. */
import fc from 'fast-check';
import { CAPABILITY_SETS, KINDS, LANES, seldom } from './choices.js';
import { generator, type Reads } from './generator.js';
import * as example from './example.js';

/** The namespace of the arena's partition. */
const NAMESPACE = 'n';
/** A few instances that recur, with names that are neighbours in order. */
const INSTANCES = ['i-1', 'i-10', 'i-2', 'I 2', 'i-a'] as const;
const POOLS = ['pool', 'pool', 'pool', 'another pool'] as const;
const OFFERED_LANES = [[LANES[0]], [LANES[1], LANES[0], LANES[1]], ['of nobody']] as const;
const OFFERED_KINDS = [undefined, [KINDS[1], KINDS[0]], [KINDS[2]]] as const;
const REASONS = ['', 'the machine burned', 'because '.repeat(12)] as const;

export const workerActions = {
  register_worker: generator({
    weight: 4,
    choices: {
      instance: fc.nat(INSTANCES.length - 1),
      pool: fc.nat(POOLS.length - 1),
      ttlMs: fc.constantFrom(1_000, 1_500, 30_000, undefined),
      lanes: fc.nat(OFFERED_LANES.length - 1),
      needs: fc.nat(CAPABILITY_SETS.length - 1),
      kinds: fc.nat(OFFERED_KINDS.length - 1),
      slots: seldom(fc.constantFrom(0, 1, 50), 2),
    },
    resolve(_, { instance, pool, ttlMs, lanes, needs, kinds, slots }) {
      return [
        {
          name: 'registerWorker',
          args: {
            namespace: NAMESPACE,
            workerInstanceId: INSTANCES[instance] as string,
            workerId: POOLS[pool] as string,
            livenessTtlMs: ttlMs,
            lanes: [...(OFFERED_LANES[lanes] as readonly string[])],
            capabilities: [...(CAPABILITY_SETS[needs] as readonly string[])],
            kinds: OFFERED_KINDS[kinds]?.slice(),
            slots: slots ?? undefined,
          },
        },
      ];
    },
  }),
  heartbeat_worker: generator({
    weight: 4,
    choices: { instance: fc.nat(INSTANCES.length - 1), running: fc.nat(3), draining: fc.boolean() },
    resolve({ tables }, { instance, running, draining }) {
      const known = [...tables.worker.keys()];
      const workerInstanceId = known[instance] ?? (INSTANCES[instance] as string);
      return [{ name: 'heartbeatWorker', args: { namespace: NAMESPACE, workerInstanceId, running, draining } }];
    },
  }),
  mark_worker_dead: generator({
    weight: 1,
    choices: { instance: fc.nat(INSTANCES.length - 1), words: fc.nat(REASONS.length - 1) },
    resolve: (_, { instance, words }) => [
      {
        name: 'markWorkerDead',
        args: {
          namespace: NAMESPACE,
          workerInstanceId: INSTANCES[instance] as string,
          reason: REASONS[words] as string,
        },
      },
    ],
  }),
};

export const workerReads: Reads = (_, { index, limit }) => [
  ['listWorkers', { namespace: NAMESPACE, limit: Math.max(1, limit) }],
  [
    'listWorkers',
    { namespace: NAMESPACE, limit: Math.max(1, limit), cursor: INSTANCES[index % INSTANCES.length] as string },
  ],
];

/** Valid arguments of each command and read. */
export const workerExamples = {
  registerWorker: {
    namespace: 'n',
    workerInstanceId: 'w-1',
    workerId: 'w',
    livenessTtlMs: 1_000,
    lanes: ['lane'],
    capabilities: [example.SECRET],
    kinds: ['k'],
    slots: 3,
  },
  heartbeatWorker: { namespace: 'n', workerInstanceId: 'w-1', running: 1, draining: true },
  markWorkerDead: { namespace: 'n', workerInstanceId: 'w-1', reason: example.SECRET, requestedBy: 'ann' },
  listWorkers: { namespace: 'n', cursor: 'w-0', limit: 5 },
} satisfies example.Examples;
