/** The moves that recipes consist of. The Lua twins are in `lua/execution/lifecycle.lua`. */
import { closePending } from '../suspension/pending.js';
import type { Execution } from './facts.js';
import type { Situation } from './situation.js';

/**
 * Moves the execution into a situation. `dueAt` is the time of the situation, see `Execution.dueAt`. A grant applies to
 * the previous situation only, so it ends.
 */
export function become(execution: Execution, situation: Situation, at: number, dueAt: number | undefined): void {
  endGrant(execution);
  execution.situation = situation;
  execution.dueAt = dueAt;
  execution.lastTransitionAt = at;
}

/** Ends the ownership; the same for every way out (spec 04 section 2.4). */
export function endOwnership(execution: Execution): void {
  execution.currentLeaseId = undefined;
  execution.currentWorkerId = undefined;
  execution.currentWorkerInstanceId = undefined;
  execution.leaseLastRenewedAt = undefined;
  execution.leaseRevokeReason = '';
  execution.attemptTimeoutAt = undefined;
}

/** Forgets a delay that is over. A repeated report of a failure is answered with that of its retry. */
export function endDelay(execution: Execution): void {
  if (execution.nextAttempt !== 'retry') execution.delayUntil = undefined;
}

/** Ends a hold. */
export function endHold(execution: Execution): void {
  execution.heldAt = undefined;
  execution.heldBy = undefined;
  execution.holdReason = '';
}

/** Clears the results of a run that has ended, for the next run. */
export function forgetRun(execution: Execution): void {
  execution.retryCount = 0;
  execution.leaseReclaimCount = 0;
  execution.recentLossCount = 0;
  execution.lastLostAt = undefined;
  execution.lostLeaseMs = undefined;
  execution.leaseReleaseCount = 0;
  execution.failureReason = '';
  execution.failureDetail = undefined;
  execution.failureCategory = undefined;
  execution.cancellationReason = '';
  execution.cancelledBy = undefined;
  execution.resultBytes = undefined;
  execution.resultEncoding = undefined;
  execution.progressPct = undefined;
  execution.progressMessage = undefined;
  execution.progressUpdatedAt = undefined;
}

/** Discards steps, waits and signals, so the next run finds none. */
export function forgetCheckpoints(execution: Execution): void {
  execution.stepCount = 0;
  execution.stepBytes = 0;
  execution.waiting = undefined;
  execution.keptSignalCount = 0;
  execution.suspendReason = 'waiting_for_signal';
}

/** Ends a grant. */
export function endGrant(execution: Execution): void {
  if (execution.grantExpiresAt === undefined) return;
  execution.grantExpiresAt = undefined;
  execution.grantId = undefined;
  execution.grantWorkerId = undefined;
  execution.grantWorkerInstanceId = undefined;
  execution.grantIsStrict = false;
}

/** Ends the execution. */
export function end(execution: Execution, situation: Situation, at: number, purgeAt: number | undefined): void {
  endOwnership(execution);
  endHold(execution);
  if (execution.pendingExpiresAt !== undefined) closePending(execution, at, 'attempt_ended');
  execution.nextAttempt = 'first';
  execution.blockingDetail = '';
  execution.delayUntil = undefined;
  execution.attemptTimeoutRemainingMs = undefined;
  become(execution, situation, at, purgeAt);
}

/** Makes the execution wait until a time, and sets what the next claim starts. */
export function wait(
  execution: Execution,
  situation: 'delayed' | 'retry_backoff',
  next: Execution['nextAttempt'],
  at: number,
  until: number,
): void {
  endOwnership(execution);
  become(execution, situation, at, until);
  execution.nextAttempt = next;
  execution.delayUntil = until;
}
