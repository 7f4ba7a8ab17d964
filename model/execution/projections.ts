/** The contract's view of an execution, derived from its stored facts. Spec 04 section 4.13. */
import { present } from '../core/present.js';
import { groupSnapshotOf, type EdgeGroupSnapshot } from '../flow/group.js';
import { partitionOfExecution } from '../ids.js';
import { meterSetOf } from '../metering/meters.js';
import type { ReadonlyExecution } from './facts.js';
import { maxReplayCountOf } from './policy.js';
import {
  isActive,
  isDelayed,
  isRunnable,
  isTerminal,
  stateVector,
  type PublicState,
  type StateVector,
} from './situation.js';

export interface AttemptSummary {
  readonly attemptId: string;
  /** From 0. */
  readonly attemptIndex: number;
}

export interface LeaseSummary {
  readonly leaseId: string;
  readonly leaseEpoch: number;
  readonly workerId: string;
  readonly workerInstanceId: string;
  readonly attemptIndex: number;
  readonly expiresAt: number;
  /** Last renewal; absent before the first one. */
  readonly lastHeartbeatAt: number | undefined;
}

/** What describeExecution answers. Times are ms since the epoch. */
export interface ExecutionSnapshot {
  readonly executionId: string;
  /** The flow that it belongs to. */
  readonly flowId: string | undefined;
  readonly laneId: string;
  readonly namespace: string;
  readonly publicState: PublicState;
  /** Why it does not run; absent while it runs and after its end. */
  readonly blockingReason: string | undefined;
  /** The same in words. */
  readonly blockingDetail: string | undefined;
  readonly currentAttempt: AttemptSummary | undefined;
  /** Present while active, even if the lease lapsed or was revoked. */
  readonly currentLease: LeaseSummary | undefined;
  readonly createdAt: number;
  readonly lastMutationAt: number;
  readonly totalAttemptCount: number;
  readonly tags: Readonly<Record<string, string>>;
}

export interface HoldSummary {
  readonly heldAt: number;
  readonly heldBy: string;
  readonly reason: string;
}

export interface GrantSummary {
  readonly grantId: string;
  readonly workerId: string;
  readonly workerInstanceId: string;
  /** The last millisecond in which it can be used. */
  readonly expiresAt: number;
}

/** What readExecutionInfo answers. Times are ms since the epoch. */
export interface ExecutionInfo {
  readonly executionId: string;
  /** The flow that it belongs to. */
  readonly flowId: string | undefined;
  readonly namespace: string;
  readonly laneId: string;
  readonly priority: number;
  readonly executionKind: string;
  readonly creatorIdentity: string;
  readonly requiredCapabilities: readonly string[];
  /** The meter set that a claim must name; empty when not metered. */
  readonly meters: string;
  readonly stateVector: StateVector;
  readonly publicState: PublicState;
  readonly createdAt: number;
  readonly startedAt: number | undefined;
  readonly completedAt: number | undefined;
  readonly lastTransitionAt: number;
  readonly delayUntil: number | undefined;
  readonly executionDeadlineAt: number | undefined;
  readonly attemptTimeoutAt: number | undefined;
  /** When the terminal execution is purged. */
  readonly purgeAt: number | undefined;
  /** 0 before the first claim. */
  readonly currentAttemptIndex: number;
  readonly totalAttemptCount: number;
  readonly retryCount: number;
  readonly leaseReclaimCount: number;
  /** Number of the last reclaims that each came within an hour of the one before. */
  readonly recentLossCount: number;
  /** When another worker last took over from an owner that was lost; absent without a loss in this run. */
  readonly lastLostAt: number | undefined;
  /** The length of the last lease that its owner lost, ms; absent without a loss in this run. */
  readonly lostLeaseMs: number | undefined;
  readonly leaseReleaseCount: number;
  /** Number of replays. */
  readonly replayCount: number;
  /** Number of replays that its policy allows. */
  readonly maxReplayCount: number;
  readonly blockingDetail: string;
  /** Present while an operator holds it. */
  readonly hold: HoldSummary | undefined;
  /** Present while a grant reserves it for one worker. */
  readonly grant: GrantSummary | undefined;
  readonly failureReason: string | undefined;
  readonly failureCategory: string | undefined;
  /** Failure details for programs. */
  readonly failureDetail: Uint8Array | undefined;
  readonly cancellationReason: string | undefined;
  readonly cancelledBy: string | undefined;
  readonly progress:
    | { readonly percent: number | undefined; readonly message: string | undefined; readonly updatedAt: number }
    | undefined;
  readonly payloadBytes: number;
  readonly payloadEncoding: string | undefined;
  readonly resultBytes: number | undefined;
  readonly resultEncoding: string | undefined;
  /** The bytes passed to completeExecution, if the read asked for them. */
  readonly result?: Uint8Array | undefined;
  /** Its dependencies in its flow; absent without any. */
  readonly group: EdgeGroupSnapshot | undefined;
}

export function snapshotOf(execution: ReadonlyExecution): ExecutionSnapshot {
  const vector = stateVector(execution);
  return {
    executionId: execution.executionId,
    flowId: flowIdOf(execution),
    laneId: execution.laneId,
    namespace: execution.namespace,
    publicState: vector.publicState,
    blockingReason: vector.blockingReason === 'none' ? undefined : vector.blockingReason,
    blockingDetail: blockingDetail(execution) || undefined,
    currentAttempt: currentAttempt(execution),
    currentLease: currentLease(execution),
    createdAt: execution.createdAt,
    lastMutationAt: lastMutationAt(execution),
    totalAttemptCount: execution.totalAttemptCount,
    tags: execution.tags,
  };
}

export function infoOf(execution: ReadonlyExecution): ExecutionInfo {
  const { situation } = execution;
  const vector = stateVector(execution);
  const terminal = isTerminal(situation);
  return {
    executionId: execution.executionId,
    flowId: flowIdOf(execution),
    namespace: execution.namespace,
    laneId: execution.laneId,
    priority: execution.priority,
    executionKind: execution.executionKind,
    creatorIdentity: execution.creatorIdentity,
    requiredCapabilities: execution.requiredCapabilities,
    meters: meterSetOf(execution.meters),
    stateVector: vector,
    publicState: vector.publicState,
    createdAt: execution.createdAt,
    startedAt: execution.startedAt,
    completedAt: terminal ? execution.lastTransitionAt : undefined,
    lastTransitionAt: execution.lastTransitionAt,
    delayUntil: isDelayed(situation) || situation === 'blocked_dependencies' ? execution.delayUntil : undefined,
    executionDeadlineAt: execution.executionDeadlineAt,
    attemptTimeoutAt: execution.attemptTimeoutAt,
    purgeAt: terminal ? execution.dueAt : undefined,
    currentAttemptIndex: Math.max(0, execution.totalAttemptCount - 1),
    totalAttemptCount: execution.totalAttemptCount,
    retryCount: execution.retryCount,
    leaseReclaimCount: execution.leaseReclaimCount,
    recentLossCount: execution.recentLossCount,
    lastLostAt: execution.lastLostAt,
    lostLeaseMs: execution.lostLeaseMs,
    leaseReleaseCount: execution.leaseReleaseCount,
    replayCount: execution.replayCount,
    maxReplayCount: maxReplayCountOf(execution),
    blockingDetail: blockingDetail(execution),
    hold: holdOf(execution),
    grant: grantOf(execution),
    failureReason: execution.failureCategory === undefined ? undefined : execution.failureReason,
    failureCategory: execution.failureCategory,
    failureDetail: execution.failureDetail === undefined ? undefined : Buffer.from(execution.failureDetail, 'base64'),
    cancellationReason: execution.cancelledBy === undefined ? undefined : execution.cancellationReason,
    cancelledBy: execution.cancelledBy,
    progress:
      execution.progressUpdatedAt === undefined
        ? undefined
        : {
            percent: execution.progressPct,
            message: execution.progressMessage,
            updatedAt: execution.progressUpdatedAt,
          },
    payloadBytes: execution.payloadBytes,
    payloadEncoding: execution.payloadEncoding,
    resultBytes: execution.resultBytes,
    resultEncoding: execution.resultEncoding,
    group: groupSnapshotOf(execution),
  };
}

/** A flow is in the partition of its members. */
const flowIdOf = ({ executionId, flow }: ReadonlyExecution): string | undefined =>
  flow === undefined ? undefined : `${partitionOfExecution(executionId)}:${flow}`;

/** Last change of anything: situation, end of the lease, progress, edits by operators. */
function lastMutationAt(execution: ReadonlyExecution): number {
  const { lastTransitionAt, leaseLastRenewedAt, progressUpdatedAt, heldAt, editedAt } = execution;
  return Math.max(lastTransitionAt, leaseLastRenewedAt ?? 0, progressUpdatedAt ?? 0, heldAt ?? 0, editedAt ?? 0);
}

function currentAttempt(execution: ReadonlyExecution): AttemptSummary | undefined {
  const { nextAttempt } = execution;
  const betweenAttempts = isRunnable(execution.situation) && (nextAttempt === 'retry' || nextAttempt === 'replay');
  if (execution.currentAttemptId === undefined || betweenAttempts) return undefined;
  return { attemptId: execution.currentAttemptId, attemptIndex: execution.totalAttemptCount - 1 };
}

function currentLease(execution: ReadonlyExecution): LeaseSummary | undefined {
  if (!isActive(execution)) return undefined;
  return {
    leaseId: execution.currentLeaseId,
    leaseEpoch: execution.currentLeaseEpoch,
    workerId: execution.currentWorkerId,
    workerInstanceId: execution.currentWorkerInstanceId,
    attemptIndex: execution.totalAttemptCount - 1,
    expiresAt: execution.dueAt,
    lastHeartbeatAt: execution.leaseLastRenewedAt,
  };
}

function holdOf({ heldAt, heldBy, holdReason }: ReadonlyExecution): HoldSummary | undefined {
  return heldAt === undefined ? undefined : { heldAt, heldBy: heldBy ?? '', reason: holdReason };
}

function grantOf(execution: ReadonlyExecution): GrantSummary | undefined {
  const { grantExpiresAt, grantId, grantWorkerId, grantWorkerInstanceId } = execution;
  if (grantExpiresAt === undefined) return undefined;
  return {
    grantId: present(grantId),
    workerId: present(grantWorkerId),
    workerInstanceId: present(grantWorkerInstanceId),
    expiresAt: grantExpiresAt,
  };
}

function blockingDetail(execution: ReadonlyExecution): string {
  return besides(besides(situationDetail(execution), grantDetail(execution)), heldDetail(holdOf(execution)));
}

/** Who holds an execution, and why; empty when nobody does. */
export const heldDetail = (hold: HoldSummary | undefined): string =>
  hold === undefined ? '' : `held by ${hold.heldBy}${hold.reason === '' ? '' : `: ${hold.reason}`}`;

const besides = (because: string, also: string): string => [because, also].filter((part) => part !== '').join('; ');

function grantDetail({ grantExpiresAt, grantWorkerId }: ReadonlyExecution): string {
  return grantExpiresAt === undefined ? '' : `granted to ${grantWorkerId} until ${grantExpiresAt}`;
}

function dependencyDetail(execution: ReadonlyExecution): string {
  const { missingCount = 0, totalDeps = 0 } = groupSnapshotOf(execution) ?? {};
  return missingCount > 0
    ? `${missingCount} more of ${totalDeps} dependencies must complete`
    : 'its flow has yet to release it';
}

function situationDetail(execution: ReadonlyExecution): string {
  switch (execution.situation) {
    case 'delayed':
      return `delayed until ${execution.dueAt}`;
    case 'retry_backoff':
      return `retry backoff until ${execution.dueAt} (attempt ${execution.totalAttemptCount - 1} failed)`;
    case 'resume_delay':
      return `resumption delayed until ${execution.dueAt}`;
    case 'blocked_dependencies':
      return dependencyDetail(execution);
    case 'blocked_budget':
    case 'blocked_quota':
    case 'blocked_route':
    case 'blocked_lane':
      return execution.blockingDetail;
    case 'suspended':
      return `suspended: ${execution.suspendReason}${execution.dueAt === undefined ? '' : ` until ${execution.dueAt}`}`;
    case 'lease_expired':
      return 'lease expired, awaiting reclaim';
    case 'lease_revoked':
      return `lease revoked: ${execution.leaseRevokeReason}`;
    default:
      return '';
  }
}
