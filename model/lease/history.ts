/**
 * The lease history: who owned an execution, from when to when, and why it ended. Not stored anywhere: it is a
 * reading of the log. Source: spec 05 section 5, spec 13 section A4.
 */
import { isOfExecution, type ExecutionEvent, type LogEntry } from '../events.js';
import { MAX_RECLAIMS_EXCEEDED } from '../schedule/reclaim-cap.js';

/** The identity of a lease: lease, attempt and worker. */
export interface LeaseIdentity {
  readonly leaseId: string;
  readonly leaseEpoch: number;
  readonly attemptId: string;
  /** From 0. */
  readonly attemptIndex: number;
  readonly workerId: string;
  readonly workerInstanceId: string;
}

interface Occurrence {
  /** Position in the log of the partition. */
  readonly sequence: number;
  readonly executionId: string;
  /** Ms since the epoch. */
  readonly at: number;
}

export type LeaseHistoryEntry =
  | (Occurrence & {
      /** The ended execution runs again; a new attempt will follow. */
      readonly type: 'replay_initiated';
      readonly replayCount: number;
      /** Whether a member of a flow runs that had been skipped. */
      readonly replayType: 'normal' | 'skipped_flow_member';
    })
  | LeaseOccurrence;

type LeaseOccurrence = Occurrence &
  LeaseIdentity &
  (
    | { readonly type: 'acquired'; readonly reason: 'claimed' | 'resumed'; readonly expiresAt: number }
    | { readonly type: 'reclaimed'; readonly previousEpoch: number; readonly expiresAt: number }
    | { readonly type: 'renewed'; readonly expiresAt: number }
    | { readonly type: 'expired' }
    | { readonly type: 'revoked'; readonly reason: string }
    | { readonly type: 'released'; readonly reason: string }
  );

/** The reason in the lease history if the event ends an ownership, else undefined. */
function releaseReason(event: ExecutionEvent): string | undefined {
  switch (event.type) {
    case 'execution_completed':
      return 'completed';
    case 'execution_cancelled':
      return 'cancelled';
    case 'execution_failed':
      return event.failureCategory === MAX_RECLAIMS_EXCEEDED ? MAX_RECLAIMS_EXCEEDED : 'failed_terminal';
    case 'retry_scheduled':
      return 'failed_retry_scheduled';
    case 'execution_delayed':
      return 'worker_delay';
    case 'execution_suspended':
      return 'suspend';
    case 'execution_expired':
      return `expired:${event.expireReason}`;
    case 'children_awaited':
      return 'waiting_children';
    case 'execution_skipped':
      return 'dependency_impossible';
    case 'lease_released':
      return 'handed_back';
    case 'execution_created':
    case 'execution_claimed':
    case 'execution_resumed':
    case 'attempt_begun':
    case 'lease_renewed':
    case 'lease_expired':
    case 'lease_revoked':
    case 'progress_updated':
    case 'step_recorded':
    case 'execution_promoted':
    case 'execution_held':
    case 'grant_issued':
    case 'grant_lapsed':
    case 'hold_released':
    case 'priority_changed':
    case 'tags_set':
    case 'execution_blocked':
    case 'execution_unblocked':
    case 'signal_accepted':
    case 'suspension_skipped':
    case 'pending_waitpoint_created':
    case 'pending_waitpoint_closed':
    case 'pending_waitpoint_expired':
    case 'suspension_closed':
    case 'suspension_escalated':
    case 'execution_replayed':
    case 'execution_purged':
    case 'execution_dropped':
    case 'stream_opened':
    case 'summary_patched':
    case 'stream_closed':
    case 'stream_removed':
    case 'flow_member_added':
    case 'dependencies_staged':
    case 'edge_group_policy_set':
    case 'dependency_resolved':
    case 'dependencies_resolved':
    case 'dependency_reopened':
    case 'edge_group_fired':
    case 'dependencies_met':
      return undefined;
    default:
      return event satisfies never;
  }
}

/**
 * Reads a log entry by entry, oldest first. Ends of leases that began before the first entry are left out, because
 * their identity is unknown.
 */
export class LeaseHistoryReader {
  private readonly held = new Map<string, LeaseIdentity>();

  /** The history entry for a log entry, if it concerns a lease. */
  read({ sequence, event }: LogEntry): LeaseHistoryEntry | undefined {
    if (!isOfExecution(event)) return undefined;
    const occurrence = { sequence, executionId: event.executionId, at: event.at };
    if (event.type === 'execution_claimed' || event.type === 'execution_resumed') {
      const {
        leaseId,
        leaseEpoch,
        attemptId,
        attemptIndex,
        workerId,
        workerInstanceId,
        leaseExpiresAt: expiresAt,
      } = event;
      const identity = { leaseId, leaseEpoch, attemptId, attemptIndex, workerId, workerInstanceId };
      this.held.set(event.executionId, identity);
      if (event.type === 'execution_claimed' && event.attemptType === 'reclaim') {
        return { type: 'reclaimed', ...occurrence, ...identity, previousEpoch: leaseEpoch - 1, expiresAt };
      }
      return {
        type: 'acquired',
        ...occurrence,
        ...identity,
        reason: event.type === 'execution_claimed' ? 'claimed' : 'resumed',
        expiresAt,
      };
    }
    if (event.type === 'execution_replayed') {
      const replayType = event.wasSkipped ? 'skipped_flow_member' : 'normal';
      return { type: 'replay_initiated', ...occurrence, replayCount: event.replayCount, replayType };
    }
    const identity = this.held.get(event.executionId);
    if (identity === undefined) return undefined;
    if (event.type === 'lease_renewed')
      return { type: 'renewed', ...occurrence, ...identity, expiresAt: event.leaseExpiresAt };
    if (event.type === 'lease_expired') return { type: 'expired', ...occurrence, ...identity };
    if (event.type === 'lease_revoked') return { type: 'revoked', ...occurrence, ...identity, reason: event.reason };
    const reason = releaseReason(event);
    if (reason === undefined) return undefined;
    this.held.delete(event.executionId);
    return { type: 'released', ...occurrence, ...identity, reason };
  }
}
