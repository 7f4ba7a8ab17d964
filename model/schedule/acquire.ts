/**
 * How a worker becomes the owner of an execution: the kind of claim, what the owner gets, and the event. Shared by
 * claims of a lane and claims by id. Spec 04 sections 3.2 to 3.4.
 */
import { NO_BYTES } from '../core/bytes.js';
import { present } from '../core/present.js';
import type { Event } from '../events.js';
import { namingOf, type ReadonlyExecution } from '../execution/facts.js';
import { isReclaimable } from '../execution/situation.js';
import { givenTo, type Given, type Room } from '../flow/given.js';
import { LIMITS } from '../limits.js';
import type { View } from '../view.js';
import type { ClaimedExecution, ClaimIds } from './claimed.js';
import { earlierOf } from './earlier.js';
import { MAX_RECLAIMS_EXCEEDED } from './reclaim-cap.js';
import { purgeAtOf } from './retention.js';

/** Ends an execution that reached its reclaim cap. */
export function endOf(execution: ReadonlyExecution, now: number, retentionMs: number): Event {
  return {
    type: 'execution_failed',
    executionId: execution.executionId,
    at: now,
    ...namingOf(execution),
    failureReason: MAX_RECLAIMS_EXCEEDED,
    failureDetail: undefined,
    failureCategory: MAX_RECLAIMS_EXCEEDED,
    purgeAt: purgeAtOf(execution, now, retentionMs),
  };
}

/** How a claim takes the execution now. */
function claimKindOf(execution: ReadonlyExecution): ClaimedExecution['claimKind'] {
  return isReclaimable(execution.situation) ? 'reclaimed' : isResumed(execution) ? 'resumed' : 'fresh';
}

const isResumed = (execution: ReadonlyExecution): boolean =>
  !isReclaimable(execution.situation) && execution.nextAttempt === 'resume';

const PENDING_TYPES = { first: 'initial', retry: 'retry', replay: 'replay', resume: undefined } as const;

/** The type of attempt that a claim begins; undefined when it resumes the interrupted one. */
function attemptTypeOf({ situation, nextAttempt }: ReadonlyExecution): ClaimedExecution['attemptType'] {
  return isReclaimable(situation) ? 'reclaim' : PENDING_TYPES[nextAttempt];
}

/** The timeout of the attempt, ms; undefined without one. */
export function attemptTimeOf(execution: ReadonlyExecution): number | undefined {
  if (isResumed(execution)) return execution.attemptTimeoutRemainingMs;
  return execution.policy?.timeoutPolicy?.attemptTimeoutMs;
}

/** Whether the input is too long for a claim, so that its owner reads it. */
const isFetched = ({ payloadBytes }: ReadonlyExecution): boolean => payloadBytes > LIMITS.maxClaimedInputBytes;

/**
 * Whether the owner has something to read before the handler can be called: the input, or results of upstreams. A claim by
 * id brings no results.
 */
const isIncomplete = (execution: ReadonlyExecution, given: Given | undefined): boolean =>
  isFetched(execution) || (given === undefined ? execution.groupState !== 'none' : given.moreUpstreamResults === true);

/** The input, if it is short enough for a claim. */
export function carriedInput(view: View, execution: ReadonlyExecution): Uint8Array | undefined {
  const { executionId, payloadBytes } = execution;
  if (isFetched(execution)) return undefined;
  return payloadBytes === 0 ? NO_BYTES : (view.executions.input(executionId) ?? NO_BYTES);
}

/** Facts of a claim about its new owner. */
interface Owner {
  readonly workerId: string;
  readonly workerInstanceId: string;
  readonly leaseTtlMs: number;
  readonly ahead: boolean;
  readonly claims: readonly ClaimIds[];
}

/** What the new owner gets, including results of upstreams as far as there is room. */
export function acquire(
  view: View,
  execution: ReadonlyExecution,
  args: Owner,
  { position, now, remainingMs }: { position: number; now: number; remainingMs: number | undefined },
  room?: Room,
): ClaimedExecution {
  const ids = present(args.claims[position]);
  const resumed = isResumed(execution);
  const given = room === undefined || execution.flow === undefined ? undefined : givenTo(view, execution, room);
  const beginsLater = args.ahead || isIncomplete(execution, given);
  const claimed: ClaimedExecution = {
    executionId: execution.executionId,
    leaseId: ids.leaseId,
    leaseEpoch: execution.currentLeaseEpoch + 1,
    attemptIndex: resumed ? execution.totalAttemptCount - 1 : execution.totalAttemptCount,
    attemptId: resumed ? (execution.currentAttemptId ?? ids.attemptId) : ids.attemptId,
    claimKind: claimKindOf(execution),
    attemptType: attemptTypeOf(execution),
    leaseExpiresAt: now + args.leaseTtlMs,
    attemptTimeoutAt: remainingMs === undefined || beginsLater ? undefined : now + remainingMs,
    attemptTimeoutRemainingMs: beginsLater ? remainingMs : undefined,
    executionDeadlineAt: execution.executionDeadlineAt,
    executionKind: execution.executionKind,
    priority: execution.priority,
    payloadEncoding: execution.payloadEncoding,
    tags: { ...execution.tags },
    payloadBytes: execution.payloadBytes,
    inputPayload: carriedInput(view, execution),
    earlier: earlierOf(view, execution, execution.currentLeaseEpoch + 1, room),
  };
  return given === undefined ? claimed : { ...claimed, ...given };
}

const NO_METERS: readonly string[] = [];

/** The event by which an owner takes an execution; `meters` are those that admitted its lease. */
export function acquisitionOf(
  claimed: ClaimedExecution,
  args: Pick<Owner, 'workerId' | 'workerInstanceId'>,
  now: number,
  meters: readonly string[] = NO_METERS,
): Event {
  // One literal for both types, because every claim makes one. A resumed attempt has no type.
  return {
    type: claimed.attemptType === undefined ? 'execution_resumed' : 'execution_claimed',
    executionId: claimed.executionId,
    at: now,
    attemptType: claimed.attemptType,
    attemptId: claimed.attemptId,
    attemptIndex: claimed.attemptIndex,
    leaseId: claimed.leaseId,
    leaseEpoch: claimed.leaseEpoch,
    leaseExpiresAt: claimed.leaseExpiresAt,
    workerId: args.workerId,
    workerInstanceId: args.workerInstanceId,
    attemptTimeoutAt: claimed.attemptTimeoutAt,
    attemptTimeoutRemainingMs: claimed.attemptTimeoutRemainingMs,
    meters,
  } as Event;
}
