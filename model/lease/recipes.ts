/** What each event of a lease does to its execution. The Lua twins are in `lua/lease/events.lua`. */
import { changes } from '../core/entity.js';
import { present } from '../core/present.js';
import type { EventNamed } from '../events.js';
import type { Execution } from '../execution/facts.js';
import { LIMITS } from '../limits.js';
import { become, endOwnership } from '../execution/lifecycle.js';
import type { ExecutionRecipe } from '../execution/recipes.js';
import type { leaseEvents } from './events.js';

/** Makes a worker the owner. */
function acquire(execution: Execution, event: EventNamed<'execution_claimed' | 'execution_resumed'>): void {
  become(execution, 'running', event.at, event.leaseExpiresAt);
  execution.nextAttempt = 'first';
  // An operator may take parked or blocked work before its time.
  execution.delayUntil = undefined;
  execution.blockingDetail = '';
  execution.attemptTimeoutAt = event.attemptTimeoutAt;
  execution.attemptTimeoutRemainingMs = event.attemptTimeoutRemainingMs;
  execution.currentAttemptId = event.attemptId;
  execution.currentLeaseId = event.leaseId;
  execution.currentLeaseEpoch = event.leaseEpoch;
  execution.currentWorkerId = event.workerId;
  execution.currentWorkerInstanceId = event.workerInstanceId;
  execution.leaseLastRenewedAt = undefined;
  execution.leaseRevokeReason = '';
}

/** Counts a loss. Losses that lie far apart have causes of their own. */
function lose(execution: Execution, at: number): void {
  const { lastLostAt = -Infinity } = execution;
  execution.leaseReclaimCount += 1;
  execution.recentLossCount = at - lastLostAt <= LIMITS.lossMemoryMs ? execution.recentLossCount + 1 : 1;
  execution.lastLostAt = at;
}

/** Ends the lease of an owner that was lost. It was as long as at its last renewal, or at its acquisition. */
function lapse(execution: Execution, situation: 'lease_expired' | 'lease_revoked', at: number): void {
  const { dueAt, leaseLastRenewedAt, lastTransitionAt } = execution;
  execution.lostLeaseMs = present(dueAt) - (leaseLastRenewedAt ?? lastTransitionAt);
  become(execution, situation, at, dueAt);
}

type Recipes = { [Type in keyof typeof leaseEvents]: ExecutionRecipe<Type> };

export const leaseRecipes: Recipes = {
  execution_claimed: changes((execution, event) => {
    acquire(execution, event);
    execution.totalAttemptCount = event.attemptIndex + 1;
    execution.startedAt ??= event.at;
    if (event.attemptType === 'reclaim') lose(execution, event.at);
    // Progress belongs to an attempt, not to the execution.
    execution.progressPct = undefined;
    execution.progressMessage = undefined;
    execution.progressUpdatedAt = undefined;
  }),
  execution_resumed: changes(acquire),
  attempt_begun: changes((execution, event) => {
    execution.attemptTimeoutAt = event.attemptTimeoutAt;
    execution.attemptTimeoutRemainingMs = undefined;
  }),
  lease_renewed: changes((execution, event) => {
    execution.dueAt = event.leaseExpiresAt;
    execution.leaseLastRenewedAt = event.at;
  }),
  lease_expired: changes((execution, event) => lapse(execution, 'lease_expired', event.at)),
  lease_revoked: changes((execution, event) => {
    lapse(execution, 'lease_revoked', event.at);
    execution.leaseRevokeReason = event.reason;
  }),
  lease_released: changes((execution, event) => {
    endOwnership(execution);
    become(execution, 'ready', event.at, undefined);
    execution.nextAttempt = 'resume';
    execution.attemptTimeoutRemainingMs = event.attemptTimeoutRemainingMs;
    execution.leaseReleaseCount += 1;
  }),
};
