/** What each event of an execution does to it. The Lua twins are in `lua/execution/events.lua`. */
import { become, end, releaseLease, type Recipe } from '../core/recipe.js';
import type { EventNamed } from '../events.js';
import type { Execution } from './execution.js';
import type { executionEvents } from './events.js';

/** The execution that its creation event describes. */
export function createdExecution(event: EventNamed<'execution_created'>): Execution {
  return {
    executionId: event.executionId,
    namespace: event.namespace,
    laneId: event.laneId,
    executionKind: event.executionKind,
    creatorIdentity: event.creatorIdentity,
    requiredCapabilities: event.requiredCapabilities,
    tags: event.tags,
    policy: event.policy,
    payloadBytes: event.payloadBytes,
    payloadEncoding: event.payloadEncoding,
    createdAt: event.at,
    executionDeadlineAt: event.executionDeadlineAt,
    priority: event.priority,
    situation: event.delayUntil === undefined ? 'ready' : 'delayed',
    nextAttempt: 'first',
    dueAt: event.delayUntil,
    lastTransitionAt: event.at,
    startedAt: undefined,
    totalAttemptCount: 0,
    currentAttemptId: undefined,
    attemptTimeoutAt: undefined,
    attemptTimeoutRemainingMs: undefined,
    currentLeaseId: undefined,
    currentLeaseEpoch: 0,
    currentWorkerId: undefined,
    currentWorkerInstanceId: undefined,
    leaseLastRenewedAt: undefined,
    leaseRevokeReason: undefined,
    retryCount: 0,
    leaseReclaimCount: 0,
    leaseReleaseCount: 0,
    failureReason: undefined,
    failureCategory: undefined,
    cancellationReason: undefined,
    cancelledBy: undefined,
    progressPct: undefined,
    progressMessage: undefined,
    progressUpdatedAt: undefined,
    resultBytes: undefined,
    resultEncoding: undefined,
  };
}

type Recipes = {
  [Type in Exclude<keyof typeof executionEvents, 'execution_created' | 'execution_purged'>]: Recipe<Type>;
};

export const executionRecipes: Recipes = {
  progress_updated(execution, event) {
    if (event.progressPct !== undefined) execution.progressPct = event.progressPct;
    if (event.progressMessage !== undefined) execution.progressMessage = event.progressMessage;
    execution.progressUpdatedAt = event.at;
  },
  execution_completed(execution, event) {
    end(execution, 'completed', event.at, event.purgeAt);
    execution.failureReason = undefined;
    execution.failureCategory = undefined;
    execution.resultBytes = event.resultBytes;
    execution.resultEncoding = event.resultEncoding;
  },
  retry_scheduled(execution, event) {
    releaseLease(execution);
    become(execution, 'retry_backoff', event.at, event.delayUntil);
    execution.nextAttempt = 'retry';
    execution.retryCount += 1;
    execution.failureReason = event.failureReason;
    execution.failureCategory = event.failureCategory;
  },
  execution_failed(execution, event) {
    end(execution, 'failed', event.at, event.purgeAt);
    execution.failureReason = event.failureReason;
    execution.failureCategory = event.failureCategory;
  },
  execution_cancelled(execution, event) {
    end(execution, 'cancelled', event.at, event.purgeAt);
    execution.cancellationReason = event.cancellationReason;
    execution.cancelledBy = event.cancelledBy;
  },
  execution_expired(execution, event) {
    end(execution, 'expired', event.at, event.purgeAt);
    execution.failureReason = event.expireReason;
    execution.failureCategory = 'timeout';
  },
  execution_delayed(execution, event) {
    releaseLease(execution);
    become(execution, 'delayed', event.at, event.delayUntil);
    execution.nextAttempt = 'resume';
    execution.attemptTimeoutRemainingMs = event.attemptTimeoutRemainingMs;
  },
  execution_promoted(execution, event) {
    become(execution, 'ready', event.at, undefined);
  },
};
