/** What each event of a lease does to its execution. The Lua twins are in `lua/lease/events.lua`. */
import { become, releaseLease, type Recipe } from '../core/recipe.js';
import type { EventNamed } from '../events.js';
import type { Execution } from '../execution/execution.js';
import type { leaseEvents } from './events.js';

/** Makes a worker the owner. */
function acquire(execution: Execution, event: EventNamed<'execution_claimed' | 'execution_resumed'>): void {
  become(execution, 'running', event.at, event.leaseExpiresAt);
  execution.nextAttempt = 'first';
  execution.attemptTimeoutAt = event.attemptTimeoutAt;
  execution.attemptTimeoutRemainingMs = undefined;
  execution.currentAttemptId = event.attemptId;
  execution.currentLeaseId = event.leaseId;
  execution.currentLeaseEpoch = event.leaseEpoch;
  execution.currentWorkerId = event.workerId;
  execution.currentWorkerInstanceId = event.workerInstanceId;
  execution.leaseLastRenewedAt = undefined;
  execution.leaseRevokeReason = undefined;
}

type Recipes = { [Type in keyof typeof leaseEvents]: Recipe<Type> };

export const leaseRecipes: Recipes = {
  execution_claimed(execution, event) {
    acquire(execution, event);
    execution.totalAttemptCount = event.attemptIndex + 1;
    execution.startedAt ??= event.at;
    if (event.attemptType === 'reclaim') execution.leaseReclaimCount += 1;
    // Progress belongs to an attempt, not to the execution.
    execution.progressPct = undefined;
    execution.progressMessage = undefined;
    execution.progressUpdatedAt = undefined;
  },
  execution_resumed(execution, event) {
    acquire(execution, event);
  },
  lease_renewed(execution, event) {
    execution.dueAt = event.leaseExpiresAt;
    execution.leaseLastRenewedAt = event.at;
  },
  lease_expired(execution, event) {
    become(execution, 'lease_expired', event.at, execution.dueAt);
  },
  lease_revoked(execution, event) {
    become(execution, 'lease_revoked', event.at, execution.dueAt);
    execution.leaseRevokeReason = event.reason;
  },
  lease_released(execution, event) {
    releaseLease(execution);
    become(execution, 'ready', event.at, undefined);
    execution.nextAttempt = 'resume';
    execution.attemptTimeoutRemainingMs = event.attemptTimeoutRemainingMs;
    execution.leaseReleaseCount += 1;
  },
};
