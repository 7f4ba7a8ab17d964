/**
 * Checks a caller's claim to own an execution. Order of the checks: spec 04 section 2.3, spec 05 section 3.1; a refusal
 * changes nothing (ruling 10). The Lua twin is `lua/lease/fence.lua`.
 */
import type { z } from 'zod';
import type { fence } from '../core/fields.js';
import { reject, type Rejected } from '../operation.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { isActive, isBlocked, stateVector } from '../execution/situation.js';

export type Fence = z.output<typeof fence>;

/** A fence with all three members. */
export type FullFence = Required<Fence>;

export interface Claimant {
  readonly fence?: Fence | undefined;
  /** Compared with the current attempt if present. */
  readonly attemptIndex?: number | undefined;
  /** An operator may act without a fence, but never on an execution that is not actively leased. */
  readonly source?: 'lease_holder' | 'operator_override' | undefined;
}

export const FENCE_REJECTIONS = [
  'partial_fence_triple',
  'fence_required',
  'execution_not_active',
  'lease_revoked',
  'lease_expired',
  'stale_lease',
] as const;

/** The refusals of calls by an owner at work. */
export const WORK_REJECTIONS = [...FENCE_REJECTIONS, 'attempt_timed_out', 'execution_deadline_passed'] as const;

const isFull = (fence: Fence | undefined): fence is FullFence =>
  fence?.leaseId !== undefined && fence.leaseEpoch !== undefined && fence.attemptId !== undefined;

function fencePresence(fence: Fence | undefined): 'none' | 'partial' | 'full' {
  if (isFull(fence)) return 'full';
  const isEmpty = fence?.leaseId === undefined && fence?.leaseEpoch === undefined && fence?.attemptId === undefined;
  return isEmpty ? 'none' : 'partial';
}

/** Refuses a caller with an incomplete fence, or without a fence and without an operator's authority. */
export function fenceShape(claimant: Claimant): Rejected<'partial_fence_triple' | 'fence_required'> | undefined {
  const presence = fencePresence(claimant.fence);
  if (presence === 'partial') return reject('partial_fence_triple');
  if (presence === 'none' && claimant.source !== 'operator_override') return reject('fence_required');
  return undefined;
}

/** Refuses a caller that does not own the execution now. */
export function ownershipVerdict(
  execution: ReadonlyExecution,
  claimant: Claimant,
  now: number,
): Rejected<'execution_not_active' | 'lease_revoked' | 'lease_expired' | 'stale_lease'> | undefined {
  if (!isActive(execution)) return notActive(execution);
  if (execution.situation === 'lease_revoked') return reject('lease_revoked');
  if (execution.dueAt <= now) return reject('lease_expired');
  if (claimant.attemptIndex !== undefined && claimant.attemptIndex !== execution.totalAttemptCount - 1) {
    return reject('stale_lease');
  }
  if (isFull(claimant.fence) && !holdsLease(execution, claimant.fence)) {
    return reject('stale_lease');
  }
  return undefined;
}

/** Refuses a caller that may not work on the execution: it is not the owner, or the time is over. */
export function workVerdict(execution: ReadonlyExecution, claimant: Claimant, now: number) {
  return ownershipVerdict(execution, claimant, now) ?? timeVerdict(execution, now);
}

/** Time ends an attempt and an execution even before the engine records it (ruling 32). */
export function timeVerdict(
  { attemptTimeoutAt, executionDeadlineAt }: ReadonlyExecution,
  now: number,
): Rejected<'attempt_timed_out' | 'execution_deadline_passed'> | undefined {
  if (attemptTimeoutAt !== undefined && attemptTimeoutAt <= now) return reject('attempt_timed_out');
  if (executionDeadlineAt !== undefined && executionDeadlineAt <= now) return reject('execution_deadline_passed');
  return undefined;
}

/** Whether the fence names the current lease. */
export function holdsLease(execution: ReadonlyExecution, fence: FullFence): boolean {
  return fence.leaseId === execution.currentLeaseId && wasLastOwner(execution, fence);
}

/**
 * Whether the caller was the last owner: epoch and attempt id outlive the lease. This recognises a final call that is
 * repeated after a lost reply (spec 03 section 7, spec 04 section 6). A replay ends it.
 */
export function wasLastOwner(execution: ReadonlyExecution, fence: Fence | undefined): boolean {
  return (
    fence?.attemptId !== undefined &&
    execution.nextAttempt !== 'replay' &&
    fence.leaseEpoch === execution.currentLeaseEpoch &&
    fence.attemptId === execution.currentAttemptId
  );
}

/**
 * Whether a parked attempt may continue, and nobody has taken it since: a call of its last owner that parked it is
 * answered as before. A scheduler may have blocked it meanwhile.
 */
export const hasReturned = ({ situation, nextAttempt }: ReadonlyExecution): boolean =>
  nextAttempt === 'resume' && (situation === 'ready' || isBlocked(situation));

/** Refuses a call that needs an execution in another state; the detail names the actual state. */
export function notEligible(execution: ReadonlyExecution): Rejected<'execution_not_eligible'> {
  const { lifecyclePhase, publicState } = stateVector(execution);
  return reject('execution_not_eligible', { lifecyclePhase, publicState });
}

/** Refuses a call that needs an active execution, with the facts that a caller needs to reconcile. */
export function notActive(execution: ReadonlyExecution): Rejected<'execution_not_active'> {
  const vector = stateVector(execution);
  return reject('execution_not_active', {
    terminalOutcome: vector.terminalOutcome,
    leaseEpoch: String(execution.currentLeaseEpoch),
    lifecyclePhase: vector.lifecyclePhase,
    attemptId: execution.currentAttemptId ?? '',
    attemptState: vector.attemptState,
  });
}
