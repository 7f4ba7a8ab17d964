/** How random runs call the operations of `model/schedule`, and read a partition. */
import fc from 'fast-check';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { BLOCK_REASONS, isTerminal } from '../../model/execution/situation.js';
import { LIMITS } from '../../model/limits.js';
import type { ArgsOf } from '../../model/machine.js';
import { queueScore } from '../../model/schedule/queue.js';
import { nextTimerAt } from '../../model/schedule/timers.js';
import { CAPABILITY_SETS, KINDS, LANES, on, pick, seldom, ttlMs, unit, type Pick } from './choices.js';
import { generator, type Reads } from './generator.js';
import { meterSetFor } from './metering.js';
import { CATEGORIES } from './policies.js';
import { choose, chosenId, placeOf, type World } from './world.js';
import * as example from './example.js';

/** The kinds that a claim names; always includes that of the wanted execution. */
function kindsOf(chosen: readonly number[] | null, wanted: ReadonlyExecution | undefined): string[] | undefined {
  if (chosen === null) return undefined;
  const kinds = chosen.map((index) => KINDS[index] as string);
  return wanted === undefined ? kinds : [...kinds, wanted.executionKind];
}

interface Claim {
  /** The lane and capabilities that this execution needs; otherwise the following ones. */
  readonly wants: Pick | null;
  readonly lane: number;
  readonly worker: number;
  readonly capabilities: number;
  readonly count: number;
  readonly ttlMs: number;
  readonly ahead: boolean;
  readonly minPriority?: number | null;
  /** Kinds that it takes; null for any. */
  readonly kinds: readonly number[] | null;
  /** The first claim uses the lease id of this execution; null or absent for an id of its own. */
  readonly lease?: Pick | null;
}

interface Due {
  readonly limit: number;
  readonly loop: number;
  readonly jitter: number | null;
  /** The partition; default: that of executions. */
  readonly on?: number;
  /** Its filter, from `FILTERS`; none when null, or absent as in older corpus files. */
  readonly filter?: number | null;
  /** Continue behind the timer of this execution. */
  readonly after?: Pick | null;
}

/** Filters of loops: of everything, of nothing, and of some. */
const FILTERS: readonly ArgsOf<'applyDue'>['filter'][] = [
  { namespace: 'fuzz' },
  { namespace: 'elsewhere', executionKind: KINDS[0] },
  { laneId: LANES[0] },
  { namespace: 'fuzz', executionKind: KINDS[1] },
  { tags: { 'team.name': 'core' } },
  { laneId: LANES[1], tags: { 'z.a': 'Größe "x"' } },
];

/** The position of an execution's timer, or of the time at which it would have one. */
function positionOf(world: World, pick: Pick): string {
  const execution = choose(world, pick);
  const at = execution && nextTimerAt(execution);
  return `${at ?? world.now}:${chosenId(world, pick)}`;
}

export const scheduleActions = {
  claim: generator<Claim>({
    weight: 12,
    choices: {
      wants: fc.option(pick('claimable', 'claimable', 'lapsed'), { freq: 4 }),
      lane: fc.nat(LANES.length - 1),
      worker: fc.nat(2),
      capabilities: fc.constantFrom(0, 1, 2, 2, 3),
      count: fc.integer({ min: 1, max: 3 }),
      ttlMs,
      ahead: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
      minPriority: seldom(fc.constantFrom(0, 3, 7, 9_000), 4),
      kinds: fc.option(fc.subarray([0, 1, 2], { minLength: 1 }), { freq: 2 }),
      lease: seldom(pick('running'), 9),
    },
    resolve(world, choices) {
      const used = choices.lease ? choose(world, choices.lease)?.currentLeaseId : undefined;
      const wanted = choices.wants === null ? undefined : choose(world, choices.wants);
      const capabilities = wanted?.requiredCapabilities ?? (CAPABILITY_SETS[choices.capabilities] as readonly string[]);
      return [
        {
          name: 'claimForWorker',
          args: {
            partition: world.partition,
            laneId: wanted?.laneId ?? (LANES[choices.lane] as string),
            workerId: 'pool',
            workerInstanceId: `worker-${choices.worker}`,
            workerCapabilities: [...capabilities],
            leaseTtlMs: choices.ttlMs,
            ahead: choices.ahead,
            minPriority: choices.minPriority ?? undefined,
            kinds: kindsOf(choices.kinds, wanted),
            meters: meterSetFor(wanted),
            claims: Array.from({ length: choices.count }, (_, i) => ({
              leaseId: (i === 0 && used) || world.uuid(),
              attemptId: world.uuid(),
            })),
          },
        },
      ];
    },
  }),
  retry_quarantined: generator({
    weight: 1,
    choices: { pick: pick('any') },
    resolve: (world, { pick }) => [
      { name: 'retryQuarantined', args: { partition: world.partition, name: `execution:${chosenId(world, pick)}` } },
    ],
  }),
  drop_quarantined: generator({
    weight: 1,
    choices: { pick: pick('any') },
    resolve: (world, { pick }) => [
      { name: 'dropQuarantined', args: { partition: world.partition, name: `execution:${chosenId(world, pick)}` } },
    ],
  }),
  due: generator<Due>({
    weight: 4,
    choices: {
      limit: fc.constantFrom(1, 2, 100),
      loop: fc.nat(1),
      jitter: unit,
      on,
      filter: seldom(fc.nat(FILTERS.length - 1), 2),
      after: seldom(pick('running', 'delayed'), 2),
    },
    resolve(world, { limit, loop, jitter, on, filter, after }) {
      const { executions, now } = world;
      const partition = placeOf(world, on);
      // The order of purges within a slot is free, so all due ones go at once. An earlier command of the batch may make
      // the last due one, so small passes are drawn only where no purge is possible.
      const purges = executions.some(({ situation, dueAt }) => isTerminal(situation) && (dueAt ?? Infinity) <= now);
      const args = {
        partition,
        owner: `loop-${loop}`,
        jitter: jitter ?? undefined,
        filter: typeof filter === 'number' ? FILTERS[filter] : undefined,
        after:
          after && typeof filter === 'number' && partition === world.partition ? positionOf(world, after) : undefined,
      };
      return [{ name: 'applyDue', args: { ...args, limit: purges ? LIMITS.maxPageSize : limit } }];
    },
  }),
};

const STATES = ['waiting', 'delayed', 'active', 'failed', 'cancelled', 'expired', 'completed', 'rate_limited'] as const;

/** Lists ordered by numbers, which can continue after any position. */
const orderedReads: Reads = ({ partition, now, executions }, { executionId, index, limit }) => {
  const place = executions[index % Math.max(1, executions.length)];
  const scores = [place && queueScore(place), now, place?.lastTransitionAt];
  const cursor = index % 3 === 0 ? undefined : `${scores[index % 3] ?? 0}:${executionId}`;
  const page = { partition, cursor, limit: Math.max(1, Math.min(limit, 3)) };
  return [
    ...LANES.map((laneId) => ['listQueued', { partition, laneId }] as const),
    ['listQueued', { ...page, laneId: LANES[index % 2] }],
    ['listQueued', { ...page, laneId: LANES[0], executionKind: KINDS[index % 3], namespace: 'fuzz' }],
    ['listQueued', { ...page, laneId: LANES[1], tags: { 'team.name': 'core' } }],
    ['listExpiredLeases', { partition }],
    ['listExpiredLeases', { ...page, namespace: index % 2 === 0 ? 'fuzz' : undefined }],
    ['listExpiredLeases', { ...page, asOf: now - (index % 5) }],
  ];
};

/** Sources that cancel, and one that never does. */
const CANCELLERS = ['operator_override', 'lease_holder', 'flow_cascade', 'nobody'];

const listReads: Reads = ({ partition }, { executionId, index, limit }) => {
  const page = { partition, limit: Math.max(1, Math.min(limit, 2)), cursor: index % 3 === 0 ? executionId : undefined };
  return [
    ...STATES.map((publicState) => ['listExecutionSummaries', { ...page, publicState }] as const),
    ['listExecutionSummaries', { partition, laneId: LANES[index % 2], publicState: STATES[index % 3] }],
    ['listExecutionSummaries', { ...page, executionKind: KINDS[index % 3], namespace: 'fuzz' }],
    ['listExecutionSummaries', { ...page, held: true }],
    ['listExecutionSummaries', { ...page, blockedBy: BLOCK_REASONS[index % BLOCK_REASONS.length] }],
    ['listExecutionSummaries', { partition, publicState: STATES[index % 3], blockedBy: 'paused_by_policy' }],
    ['listExecutionSummaries', { ...page, workerInstanceId: `worker-${index % 2}` }],
    ['listExecutionSummaries', { ...page, failureCategory: CATEGORIES[index % CATEGORIES.length] }],
    ['listExecutionSummaries', { ...page, cancelledBy: CANCELLERS[index % CANCELLERS.length] }],
    ['listExecutionSummaries', { partition, cancelledBy: 'flow_cascade', publicState: STATES[index % STATES.length] }],
    ['listExecutionSummaries', { ...page, tags: { 'z.a': 'Größe "x"' } }],
    ['listExecutionSummaries', { ...page, tags: { 'team.name': 'core' }, namespace: index % 2 === 0 ? 'fuzz' : 'n' }],
  ];
};

export const scheduleReads: Reads = (world, choices) => [
  ...partitionReads(world, choices),
  ...listReads(world, choices),
  ...orderedReads(world, choices),
];

const partitionReads: Reads = ({ partition, places }, { index, limit }) => [
  ...places.map((place) => ['listQuarantined', { partition: place }] as const),
  ['listPartitionLanes', { partition, limit, cursor: index % 2 === 0 ? LANES[1] : undefined }],
  ['readCounts', { partition, limit, cursor: index % 2 === 0 ? undefined : LANES[0] }],
  ['listQueueHeads', { partition, laneIds: [...LANES] }],
];

/** Valid arguments of each command and read. */
export const scheduleExamples = {
  claimForWorker: {
    partition: example.PARTITION,
    laneId: 'nothing',
    workerId: 'w',
    workerInstanceId: 'w-1',
    workerCapabilities: [example.SECRET],
    leaseTtlMs: 5_000,
    handles: true,
    meters: example.METERS,
    claims: [{ leaseId: example.uuid(7), attemptId: example.uuid(8) }],
  },
  applyDue: {
    partition: example.PARTITION,
    limit: 5,
    jitter: 0.5,
    owner: 'loop',
    filter: { namespace: 'n', laneId: 'l', executionKind: 'k', tags: { 'team.name': 'core' } },
    after: `5:${example.RUNNING}`,
  },
  listExecutions: { partition: example.PARTITION, cursor: example.idOf(1), limit: 5 },
  listPartitionLanes: { partition: example.PARTITION },
  listQuarantined: { partition: example.PARTITION, cursor: '1.0', limit: 5 },
  retryQuarantined: { partition: example.PARTITION, name: `execution:${example.RUNNING}` },
  dropQuarantined: {
    partition: example.PARTITION,
    name: `execution:${example.RUNNING}`,
    reason: example.SECRET,
    requestedBy: 'ann',
  },
  listExecutionSummaries: {
    partition: example.PARTITION,
    namespace: 'n',
    laneId: 'lane',
    executionKind: 'k',
    publicState: 'failed',
    blockedBy: 'waiting_for_budget',
    failureCategory: 'c',
    held: true,
    tags: { 'a.b': example.SECRET },
    cursor: example.idOf(1),
    limit: 5,
  },
  listQueued: {
    partition: example.PARTITION,
    laneId: 'lane',
    namespace: 'n',
    executionKind: 'k',
    tags: { 'a.b': example.SECRET },
    cursor: `5:${example.idOf(1)}`,
    limit: 5,
  },
  listExpiredLeases: {
    partition: example.PARTITION,
    asOf: 5,
    namespace: 'n',
    cursor: `5:${example.idOf(1)}`,
    limit: 5,
  },
  readCounts: { partition: example.PARTITION, cursor: 'lane', limit: 5 },
  listQueueHeads: { partition: example.PARTITION, laneIds: ['lane', 'other'] },
} satisfies example.Examples;
