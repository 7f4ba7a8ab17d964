/** How random runs call the operations of `model/execution`. */
import fc from 'fast-check';
import { BLOCK_REASONS, isDelayed } from '../../model/execution/situation.js';
import { LIMITS } from '../../model/limits.js';
import type { ArgsOf, Command } from '../../model/machine.js';
import {
  CAPABILITY_SETS,
  KINDS,
  LANES,
  moment,
  owner,
  pick,
  seldom,
  unit,
  type Moment,
  type Owner,
  type Pick,
} from './choices.js';
import { generator, type Reads } from './generator.js';
import { CATEGORIES, OVERRIDES, POLICIES } from './policies.js';
import {
  bytesOf,
  chosenId,
  claimantOf,
  fenceOf,
  reasonFor,
  resolveMoment,
  withoutUndefined,
  type World,
} from './world.js';
import type { FullFence } from '../../model/lease/fence.js';
import { METERS, meters } from './metering.js';
import * as example from './example.js';

const TAGS = [{}, { 'team.name': 'core' }, { 'a.b': '', 'z.a': 'Größe "x"' }];

interface Creation {
  readonly lane: number;
  readonly kind: number;
  readonly capabilities: number;
  readonly policy: number;
  /** The meter set, from `METERS`; none when null, or absent as in older corpus files. */
  readonly meters?: number | null;
  readonly priority: number | null;
  readonly delay: Moment | null;
  readonly deadline: Moment | null;
  readonly key: number | null;
  /** Whether the execution holds its key. */
  readonly holdsKey?: boolean;
  readonly payloadBytes: number;
  readonly tags: number;
  /** The id of an existing execution. */
  readonly again: Pick | null;
  /** The strategy for a full quota, and its remaining room. */
  readonly whenFull?: readonly ['drop' | 'cancel_oldest', room: number] | null;
  /** Its block from the start, and whether that has a detail; a hold where it has a delay. */
  readonly block?: readonly [reason: number, detailed: boolean] | null;
}

const INITIAL_BLOCKS = [...BLOCK_REASONS, 'paused_by_operator'] as const;

/** Its block from the start. Only a hold can be combined with a delay. */
function initialBlockOf({ block, delay, policy }: Creation): ArgsOf<'createExecution'>['initialBlock'] {
  if (!block) return undefined;
  const [reason, detailed] = block;
  const given = POLICIES[policy];
  const isDelayed = delay !== null || (given !== undefined && 'delayUntil' in given);
  return {
    blockingReason: isDelayed ? 'paused_by_operator' : (INITIAL_BLOCKS[reason] as (typeof INITIAL_BLOCKS)[number]),
    blockingDetail: detailed ? `until Größe ${'x'.repeat(reason * 30)}` : undefined,
  };
}

function creationOf(world: World, choices: Creation): Command[] {
  const policy = POLICIES[choices.policy];
  const requiredCapabilities = [...(CAPABILITY_SETS[choices.capabilities] as readonly string[])];
  const metered = typeof choices.meters === 'number' ? METERS[choices.meters] : undefined;
  const wantsCapabilities = requiredCapabilities.length > 0;
  const [strategy, room] = choices.whenFull ?? [];
  return [
    {
      name: 'createExecution',
      args: {
        executionId: choices.again === null ? `${world.partition}:${world.uuid()}` : chosenId(world, choices.again),
        namespace: 'fuzz',
        laneId: LANES[choices.lane] as string,
        executionKind: KINDS[choices.kind] as string,
        creatorIdentity: 'fuzzer',
        priority: choices.priority ?? undefined,
        delayUntil: choices.delay === null ? undefined : resolveMoment(world, choices.delay),
        executionDeadlineAt: choices.deadline === null ? undefined : resolveMoment(world, choices.deadline),
        idempotencyKey: choices.key === null ? undefined : `key ${choices.key}`,
        holdsKey: choices.holdsKey === true || undefined,
        inputPayload: bytesOf(choices.payloadBytes),
        payloadEncoding: choices.payloadBytes > 3 ? 'raw' : undefined,
        tags: TAGS[choices.tags] as Record<string, string>,
        policy: (policy === undefined && !wantsCapabilities && metered === undefined
          ? undefined
          : {
              ...policy,
              ...metered,
              ...(wantsCapabilities ? { routingRequirements: { requiredCapabilities } } : {}),
            }) as never,
        whenFull: strategy === undefined || room === undefined ? undefined : { strategy, room },
        initialBlock: initialBlockOf(choices),
      },
    },
  ];
}

const expire = (expireReason: 'attempt_timeout' | 'execution_deadline') =>
  function resolve(world: World, choices: { readonly pick: Pick; readonly jitter: number | null }): Command[] {
    const executionId = chosenId(world, choices.pick);
    return [{ name: 'expireExecution', args: { executionId, expireReason, jitter: choices.jitter ?? undefined } }];
  };

export const executionActions = {
  create: generator<Creation>({
    weight: 9,
    choices: {
      lane: fc.nat(LANES.length - 1),
      kind: fc.nat(KINDS.length - 1),
      capabilities: fc.nat(CAPABILITY_SETS.length - 1),
      policy: fc.nat(POLICIES.length - 1),
      meters,
      priority: fc.option(fc.constantFrom(-5, 0, 3, 9_000, 10_000)),
      delay: seldom(moment, 4),
      deadline: seldom(moment, 5),
      key: seldom(fc.nat(2), 4),
      holdsKey: fc.boolean(),
      payloadBytes: fc.oneof(
        { weight: 20, arbitrary: fc.constantFrom(0, 0, 1, 3, 66, 70) },
        // Too long for a claim.
        { weight: 1, arbitrary: fc.constant(LIMITS.maxClaimedInputBytes + 1) },
      ),
      tags: fc.nat(2),
      again: seldom(pick('any'), 9),
      whenFull: seldom(fc.tuple(fc.constantFrom('drop', 'cancel_oldest'), fc.constantFrom(0, 0, 1, 2)), 2),
      block: seldom(fc.tuple(fc.nat(INITIAL_BLOCKS.length - 1), fc.boolean()), 6),
    },
    resolve: creationOf,
  }),
  complete: generator({
    weight: 4,
    choices: { owner, resultBytes: fc.option(fc.constantFrom(0, 1, 5, 66, 80)), encoding: fc.boolean() },
    resolve: (world, { owner, resultBytes, encoding }) => [
      {
        name: 'completeExecution',
        args: {
          ...claimantOf(world, owner).args,
          resultPayload: resultBytes === null ? undefined : bytesOf(resultBytes),
          resultEncoding: encoding ? 'raw' : undefined,
        },
      },
    ],
  }),
  fail: generator({
    weight: 5,
    choices: {
      owner,
      failureClass: fc.constantFrom('transient', 'transient', 'infra_crash', 'timeout', 'permanent', 'cancelled'),
      category: fc.option(fc.nat(CATEGORIES.length - 1)),
      jitter: unit,
      retryAfterMs: seldom(fc.constantFrom(0, 33), 5),
      detailBytes: fc.constantFrom(0, 0, 2, 70),
      override: seldom(fc.nat(OVERRIDES.length - 1), 5),
    },
    resolve: (world, { owner, failureClass, category, jitter, retryAfterMs, detailBytes, override }) => [
      {
        name: 'failExecution',
        args: {
          ...claimantOf(world, owner).args,
          failureReason: reasonFor(owner.pick, `it broke (${failureClass})`),
          failureClass,
          failureCategory: category === null ? undefined : CATEGORIES[category],
          jitter: jitter ?? undefined,
          retryAfterMs: retryAfterMs ?? undefined,
          failureDetail: bytesOf(detailBytes),
          retryPolicy: override === null ? undefined : OVERRIDES[override],
        },
      },
    ],
  }),
  cancel: generator({
    weight: 3,
    choices: {
      owner: owner.map((it): Owner => ({ ...it, attemptIndex: 'none' })),
      engine: seldom(fc.constantFrom('flow_cascade', 'system_timeout'), 6),
    },
    resolve(world, { owner, engine }) {
      const { executionId, fence, source: caller } = claimantOf(world, owner).args;
      const source = engine ?? caller;
      const reason = reasonFor(owner.pick, 'no longer wanted');
      return [{ name: 'cancelExecution', args: { executionId, source, reason, ...fence } }];
    },
  }),
  delay: generator({
    weight: 3,
    choices: { owner, until: moment, again: fc.boolean() },
    resolve(world, { owner, until, again }) {
      const { execution, args } = claimantOf(world, owner);
      const repeated = again && execution !== undefined && isDelayed(execution.situation) ? execution.dueAt : undefined;
      return [{ name: 'delayExecution', args: { ...args, delayUntil: repeated ?? resolveMoment(world, until) } }];
    },
  }),
  progress: generator({
    weight: 2,
    choices: {
      owner,
      percent: fc.option(fc.constantFrom(0, 50, 100)),
      message: fc.option(fc.constantFrom('', 'half', 'größer')),
    },
    resolve(world, { owner, percent, message }) {
      const { execution, args } = claimantOf(world, owner);
      const fence = {
        ...(fenceOf(world, execution, { ...owner, fence: 'current' }) as FullFence),
        ...withoutUndefined(args.fence ?? {}),
      };
      const progress = { progressPct: percent ?? undefined, progressMessage: message ?? undefined };
      return [{ name: 'updateProgress', args: { executionId: args.executionId, ...fence, ...progress } }];
    },
  }),
  promote: generator({
    weight: 2,
    choices: { pick: pick('delayed', 'delayed', 'runnable', 'running') },
    resolve: (world, { pick }) => [{ name: 'promoteDelayed', args: { executionId: chosenId(world, pick) } }],
  }),
  expire_attempt: generator({
    weight: 2,
    choices: { pick: pick('running', 'running', 'lapsed', 'terminal'), jitter: unit },
    resolve: expire('attempt_timeout'),
  }),
  expire_deadline: generator({
    weight: 2,
    choices: { pick: pick('any', 'running', 'terminal'), jitter: fc.constant(null) },
    resolve: expire('execution_deadline'),
  }),
  purge: generator({
    weight: 2,
    choices: { pick: pick('terminal', 'terminal', 'running') },
    resolve: (world, { pick }) => [{ name: 'purgeExecution', args: { executionId: chosenId(world, pick) } }],
  }),
};

export const executionReads: Reads = ({ partition }, { executionId, index }) => [
  ['describeExecution', { executionId }],
  ['readExecutionInfo', { executionId, withResult: index % 2 === 0 }],
  ['readExecutionState', { executionId }],
  ['readExecutionContext', { executionId }],
  ['getExecutionResult', { executionId }],
  ['getExecutionTags', { executionId }],
  ['findExecution', { partition, namespace: 'fuzz', idempotencyKey: `key ${index % 8}` }],
];

/** Valid arguments of each command and read. */
export const executionExamples = {
  createExecution: {
    executionId: example.idOf(50),
    namespace: 'n',
    laneId: 'lane',
    executionKind: 'k',
    creatorIdentity: 'c',
    inputPayload: example.text(example.SECRET),
    payloadEncoding: 'json',
    priority: 3,
    idempotencyKey: 'key',
    tags: { 'a.b': example.SECRET },
    delayUntil: 1_800_000_000_000,
    executionDeadlineAt: 1_900_000_000_000,
    initialBlock: { blockingReason: 'paused_by_operator', blockingDetail: example.SECRET },
    policy: {
      priority: 4,
      delayUntil: 5,
      retryPolicy: {
        maxRetries: 3,
        backoff: { type: 'exponential', initialDelayMs: 1, maxDelayMs: 9, multiplier: 2, jitter: true },
        retryableCategories: ['io'],
      },
      timeoutPolicy: { attemptTimeoutMs: 1_000, executionDeadlineMs: 5_000 },
      maxReclaimCount: 3,
      maxReleaseCount: 3,
      maxReplayCount: 3,
      routingRequirements: { requiredCapabilities: [example.SECRET] },
      dedupWindowMs: 10,
      suspensionPolicy: { defaultTimeoutMs: 5_000, timeoutBehavior: 'cancel' },
      maxSignalsPerExecution: 5,
      streamPolicy: { retentionTtlMs: 60_000 },
    },
  },
  updateProgress: { executionId: example.RUNNING, ...example.FENCE, progressPct: 5, progressMessage: 'half' },
  completeExecution: {
    ...example.owner,
    fence: { ...example.FENCE, leaseId: example.uuid(77) },
    resultPayload: example.text(example.SECRET),
    resultEncoding: 'json',
    source: 'lease_holder',
  },
  failExecution: {
    ...example.owner,
    fence: { ...example.FENCE, leaseId: example.uuid(77) },
    failureReason: 'r',
    failureDetail: example.text(example.SECRET),
    failureCategory: 'io',
    failureClass: 'transient',
    jitter: 0.5,
    retryAfterMs: 5,
    source: 'lease_holder',
  },
  cancelExecution: { executionId: example.idOf(4), reason: 'r', source: 'lease_holder', ...example.FENCE },
  delayExecution: {
    ...example.owner,
    fence: { ...example.FENCE, leaseId: example.uuid(77) },
    delayUntil: 5,
    source: 'lease_holder',
  },
  promoteDelayed: { executionId: example.idOf(3) },
  expireExecution: { executionId: example.idOf(4), expireReason: 'attempt_timeout', jitter: 0.5 },
  purgeExecution: { executionId: example.idOf(4) },
  describeExecution: { executionId: example.RUNNING },
  getExecutionTags: { executionId: example.RUNNING },
  readExecutionInfo: { executionId: example.RUNNING },
  readExecutionState: { executionId: example.RUNNING },
  readExecutionContext: { executionId: example.RUNNING },
  getExecutionResult: { executionId: example.RUNNING },
  findExecution: { partition: example.PARTITION, namespace: 'n', idempotencyKey: 'key' },
} satisfies example.Examples;
