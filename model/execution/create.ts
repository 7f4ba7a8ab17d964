/** createExecution: makes a new execution, runnable at once or after a delay. Spec 04 section 3.1. */
import { z } from 'zod';
import { NO_BYTES } from '../core/bytes.js';
import * as field from '../core/fields.js';
import { accept, acceptAll, operation, reject, type ClaimableWork } from '../operation.js';
import { echoed } from '../core/wire-form.js';
import type { EventNamed } from '../events.js';
import type { Family } from '../families.js';
import { partitionOfExecution } from '../ids.js';
import { DEFAULTS, LIMITS } from '../limits.js';
import { REPLACED_REASON, REPLACER, whenFull } from '../metering/line.js';
import { metersOf } from '../metering/meters.js';
import { purgeAtOf } from '../schedule/retention.js';
import { namingOf, type ReadonlyExecution } from './facts.js';
import { allowsDelay, blockedAtBirth, initialBlock, publicStateAtBirth, type InitialBlock } from './initial-block.js';
import { ABSOLUTE_TIME_FROM, executionPolicy, type ExecutionPolicy } from './policy.js';

const NO_NEEDS: readonly string[] = Object.freeze([]);

const needsOf = (policy: ExecutionPolicy | undefined): readonly string[] =>
  policy?.routingRequirements?.requiredCapabilities ?? NO_NEEDS;

/** The facts that decide when, and by which worker, a new execution can be claimed. */
interface CreationFacts {
  readonly laneId: string;
  readonly executionKind: string;
  readonly policy?: ExecutionPolicy | undefined;
  readonly priority?: number | undefined;
  readonly delayUntil?: number | undefined;
  readonly initialBlock?: InitialBlock | undefined;
}

/** Metered work is found by sweeps of the workers, which begin when the use of the quota partitions is recorded. */
export const familyForAny = (created: readonly Pick<CreationFacts, 'policy'>[]): Family | undefined =>
  created.some(({ policy }) => metersOf(policy).length > 0) ? 'quota' : undefined;

const NO_WORK: readonly ClaimableWork[] = Object.freeze([]);

/** The queue that a new execution joins at once, if it does: `before` itself when that names the same. */
export function claimableWorkOf(
  { laneId, executionKind, policy, priority: wanted, delayUntil, initialBlock }: CreationFacts,
  before = NO_WORK,
): readonly ClaimableWork[] {
  if (delayUntil !== undefined || policy?.delayUntil !== undefined || initialBlock !== undefined) return NO_WORK;
  if (metersOf(policy).length > 0) return NO_WORK;
  const requiredCapabilities = needsOf(policy);
  const priority = wanted ?? policy?.priority ?? DEFAULTS.priority;
  const [work] = before;
  const isSame =
    work?.laneId === laneId &&
    work.executionKind === executionKind &&
    work.priority === priority &&
    work.requiredCapabilities === requiredCapabilities;
  return isSame ? before : [{ laneId, executionKind, requiredCapabilities, priority }];
}

export const createExecution = operation({
  name: 'createExecution',
  args: z
    .strictObject({
      executionId: field.executionId,
      namespace: field.namespace,
      laneId: field.laneId,
      executionKind: field.executionKind,
      creatorIdentity: field.creatorIdentity,
      inputPayload: field.bytes.default(NO_BYTES),
      payloadEncoding: field.encoding.optional(),
      /** Clamped into 0..9000; the policy's applies when absent. */
      priority: field.priority.optional(),
      /** Names this execution for 24 h, or for as long as the policy says: a creation with the same key is a duplicate. */
      idempotencyKey: field.idempotencyKey.optional(),
      /** Whether the key names it for as long as it exists, also after that time. */
      holdsKey: z.boolean().default(false),
      /** A time in the past means now. */
      delayUntil: field.timestampMs.optional(),
      /** Absolute; may be in the past. */
      executionDeadlineAt: field.timestampMs.optional(),
      tags: field.tags.default({}),
      policy: executionPolicy.optional(),
      /** What to do while its quota is full. Default: it waits. */
      whenFull: whenFull.optional(),
      /** Its block from the first moment. Only a hold can be combined with a delay. Such an execution is in no line of a quota. */
      initialBlock: initialBlock.optional(),
    })
    .refine(
      ({ initialBlock, delayUntil, policy }) =>
        initialBlock === undefined ||
        allowsDelay(initialBlock) ||
        (delayUntil === undefined && policy?.delayUntil === undefined),
      { error: 'must not be given with a delay, unless it is a hold', path: ['initialBlock'] },
    ),
  outcome: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('created'),
      executionId: echoed(field.executionId),
      publicState: z.enum(['waiting', 'delayed', 'rate_limited']),
      priority: field.count,
    }),
    /** The key, or the id, names this execution already. */
    z.object({ kind: z.literal('duplicate'), executionId: field.executionId }),
    /** Its quota is full: it was not created, and its id is unknown. */
    z.object({ kind: z.literal('dropped'), executionId: echoed(field.executionId) }),
    /** It was created, and a waiting execution was cancelled, because its quota is full. */
    z.object({
      kind: z.literal('replaced'),
      executionId: echoed(field.executionId),
      publicState: z.enum(['waiting']),
      priority: field.count,
      cancelledExecutionId: field.executionId,
    }),
  ]),
  rejects: ['lane_draining'],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: {
    shared: [
      { naming: ['namespace', 'laneId', 'executionKind', 'creatorIdentity'] },
      { options: ['priority', 'payloadEncoding', 'executionDeadlineAt', 'delayUntil', 'holdsKey'] },
      'policy',
      'tags',
      'whenFull',
      'initialBlock',
    ],
    each: ['executionId', 'inputPayload', 'idempotencyKey'],
  },
  bytes: { inputPayload: 'input' },
  memory: 'adds',
  order: 'first',
  createsWork: claimableWorkOf,
  needs: (args) => familyForAny([args]),
  decide(view, args, { now, settings }) {
    const { executionId, namespace, whenFull, initialBlock } = args;
    const idempotencyKey = args.idempotencyKey || undefined;
    const first = idempotencyKey === undefined ? undefined : view.executions.ofKey(namespace, idempotencyKey, now);
    if (first !== undefined) return accept({ kind: 'duplicate', executionId: first });
    if (view.executions.get(executionId) !== undefined) return accept({ kind: 'duplicate', executionId });
    if (view.schedule.lane(args.laneId)?.laneState === 'draining')
      return reject('lane_draining', { laneId: args.laneId });

    const event = creationOf(args, now);
    const { priority, meters, delayUntil } = event;
    if (initialBlock !== undefined) {
      const publicState = publicStateAtBirth(initialBlock, delayUntil !== undefined);
      return accept(
        { kind: 'created', executionId, publicState, priority },
        event,
        blockedAtBirth(initialBlock, args, now),
      );
    }
    if (whenFull !== undefined && meters.length > 0 && delayUntil === undefined) {
      const { waiting, oldest } = view.metering.line(event, now);
      if (waiting >= whenFull.room && whenFull.strategy === 'drop') return accept({ kind: 'dropped', executionId });
      if (waiting >= whenFull.room && oldest !== undefined) {
        const cancelledExecutionId = oldest.executionId;
        return acceptAll({ kind: 'replaced', executionId, publicState: 'waiting', priority, cancelledExecutionId }, [
          event,
          cancellationOf(oldest, now, settings.retentionMs),
        ]);
      }
    }
    const publicState = delayUntil === undefined ? 'waiting' : 'delayed';
    return accept({ kind: 'created', executionId, publicState, priority }, event);
  },
});

/** Cancels the waiting execution that made room. */
const cancellationOf = (
  oldest: ReadonlyExecution,
  now: number,
  retentionMs: number,
): EventNamed<'execution_cancelled'> => ({
  type: 'execution_cancelled',
  executionId: oldest.executionId,
  at: now,
  cancellationReason: REPLACED_REASON,
  cancelledBy: REPLACER,
  ...namingOf(oldest),
  purgeAt: purgeAtOf(oldest, now, retentionMs),
});

/** The facts of a membership; absent in a creation without a flow. */
interface Joining {
  /** UUID of the flow. */
  readonly flow: string;
  readonly rank: number;
  readonly awaitsSeal: boolean;
}

/** Facts that a creation can give an execution. */
type Creation = Pick<
  z.output<typeof createExecution.args>,
  | 'executionId'
  | 'namespace'
  | 'laneId'
  | 'executionKind'
  | 'creatorIdentity'
  | 'inputPayload'
  | 'payloadEncoding'
  | 'priority'
  | 'delayUntil'
  | 'executionDeadlineAt'
  | 'tags'
  | 'policy'
> & { readonly idempotencyKey?: string | undefined; readonly holdsKey?: boolean };

/** The creation event. An empty key is none. */
export function creationOf(args: Creation, now: number, joining?: Joining): EventNamed<'execution_created'> {
  const { executionId, namespace, laneId, executionKind, creatorIdentity, policy, tags } = args;
  const idempotencyKey = args.idempotencyKey || undefined;
  const wantedDelay = args.delayUntil ?? policy?.delayUntil;
  return {
    type: 'execution_created',
    executionId,
    at: now,
    namespace,
    laneId,
    executionKind,
    creatorIdentity,
    priority: args.priority ?? policy?.priority ?? DEFAULTS.priority,
    payloadBytes: args.inputPayload.byteLength,
    payloadEncoding: args.payloadEncoding,
    flow: joining?.flow,
    rank: joining?.rank ?? 0,
    awaitsSeal: joining?.awaitsSeal ?? false,
    holdsKey: idempotencyKey !== undefined && args.holdsKey === true,
    executionDeadlineAt: args.executionDeadlineAt ?? deadlineOf(policy, now),
    idempotencyExpiresAt:
      idempotencyKey === undefined ? undefined : now + (policy?.dedupWindowMs ?? DEFAULTS.dedupWindowMs),
    delayUntil: wantedDelay !== undefined && wantedDelay > now ? wantedDelay : undefined,
    requiredCapabilities: needsOf(policy),
    meters: metersOf(policy),
    idempotencyKey,
    tags,
    policy,
  };
}

function deadlineOf(policy: ExecutionPolicy | undefined, now: number): number | undefined {
  const deadlineMs = policy?.timeoutPolicy?.executionDeadlineMs;
  if (deadlineMs === undefined || deadlineMs >= ABSOLUTE_TIME_FROM) return deadlineMs;
  return Math.min(now + deadlineMs, LIMITS.maxInteger);
}
