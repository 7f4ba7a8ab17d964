/** What each event of an execution does to it. The Lua twins are in `lua/execution/events.lua`. */
import { changes, makes, removes, removesIfThere, type Recipe } from '../core/entity.js';
import type { EventNamed, EventType } from '../events.js';
import type { executionEvents } from './events.js';
import type { Execution } from './facts.js';
import { closeAll } from '../suspension/recipes.js';
import { become, end, endDelay, endGrant, endHold, forgetCheckpoints, forgetRun, wait } from './lifecycle.js';
import { BLOCKS } from './situation.js';
import { mergedTags } from './tags.js';
import { awaitsOthers } from '../flow/group.js';

/** A recipe of the execution for an event. */
export type ExecutionRecipe<Type extends EventType> = Recipe<Execution, EventNamed<Type>>;

/** The execution that its creation event describes. */
// biome-ignore lint/complexity/noExcessiveLinesPerFunction: one literal is 300 times faster than one that spreads parts
function created(event: EventNamed<'execution_created'>): Execution {
  return {
    executionId: event.executionId,
    namespace: event.namespace,
    laneId: event.laneId,
    executionKind: event.executionKind,
    creatorIdentity: event.creatorIdentity,
    priority: event.priority,
    payloadBytes: event.payloadBytes,
    payloadEncoding: event.payloadEncoding,
    executionDeadlineAt: event.executionDeadlineAt,
    idempotencyExpiresAt: event.idempotencyExpiresAt,
    pendingExpiresAt: undefined,
    heldKey: event.holdsKey ? event.idempotencyKey : undefined,
    requiredCapabilities: event.requiredCapabilities,
    meters: event.meters,
    situation: event.awaitsSeal ? 'blocked_dependencies' : event.delayUntil === undefined ? 'ready' : 'delayed',
    nextAttempt: 'first',
    dueAt: event.awaitsSeal ? undefined : event.delayUntil,
    createdAt: event.at,
    lastTransitionAt: event.at,
    startedAt: undefined,
    totalAttemptCount: 0,
    delayUntil: event.delayUntil,
    currentLeaseEpoch: 0,
    currentLeaseId: undefined,
    currentAttemptId: undefined,
    currentWorkerId: undefined,
    currentWorkerInstanceId: undefined,
    attemptTimeoutAt: undefined,
    attemptTimeoutRemainingMs: undefined,
    leaseLastRenewedAt: undefined,
    retryCount: 0,
    leaseReclaimCount: 0,
    recentLossCount: 0,
    lastLostAt: undefined,
    lostLeaseMs: undefined,
    leaseReleaseCount: 0,
    failureCategory: undefined,
    lastStreamIndex: undefined,
    stepCount: 0,
    stepBytes: 0,
    replayCount: 0,
    editedAt: undefined,
    heldAt: undefined,
    heldBy: undefined,
    grantExpiresAt: undefined,
    grantId: undefined,
    grantWorkerId: undefined,
    grantWorkerInstanceId: undefined,
    grantIsStrict: false,
    progressPct: undefined,
    progressUpdatedAt: undefined,
    cancelledBy: undefined,
    resultBytes: undefined,
    resultEncoding: undefined,
    tags: event.tags,
    policy: event.policy,
    failureReason: '',
    failureDetail: undefined,
    cancellationReason: '',
    holdReason: '',
    blockingDetail: '',
    progressMessage: undefined,
    leaseRevokeReason: '',
    suspendReason: 'waiting_for_signal',
    keptSignalCount: 0,
    waiting: undefined,
    flow: event.flow,
    rank: event.rank,
    groupPolicy: 'all_of',
    onSatisfied: 'none',
    quorumK: 0,
    dependencyCount: 0,
    succeededCount: 0,
    failedCount: 0,
    skippedCount: 0,
    groupState: 'none',
    satisfiedAt: undefined,
    isParent: false,
    groupRound: 0,
    endedChildren: 0,
    openChildren: 0,
    dependencies: undefined,
  };
}

type Recipes = { [Type in keyof typeof executionEvents | 'stream_opened']: ExecutionRecipe<Type> };

export const executionRecipes: Recipes = {
  execution_created: makes(created),
  progress_updated: changes((execution, event) => {
    if (event.progressPct !== undefined) execution.progressPct = event.progressPct;
    if (event.progressMessage !== undefined) execution.progressMessage = event.progressMessage;
    execution.progressUpdatedAt = event.at;
  }),
  execution_completed: changes((execution, event) => {
    end(execution, 'completed', event.at, event.purgeAt);
    execution.failureReason = '';
    execution.failureDetail = undefined;
    execution.failureCategory = undefined;
    execution.resultBytes = event.resultBytes;
    execution.resultEncoding = event.resultEncoding;
  }),
  retry_scheduled: changes((execution, event) => {
    wait(execution, 'retry_backoff', 'retry', event.at, event.delayUntil);
    execution.attemptTimeoutRemainingMs = undefined;
    execution.retryCount += 1;
    execution.failureReason = event.failureReason;
    execution.failureDetail = event.failureDetail;
    execution.failureCategory = event.failureCategory;
  }),
  execution_failed: changes((execution, event) => {
    end(execution, 'failed', event.at, event.purgeAt);
    execution.failureReason = event.failureReason;
    execution.failureDetail = event.failureDetail;
    execution.failureCategory = event.failureCategory;
  }),
  execution_cancelled: changes((execution, event) => {
    closeAll(execution, event.at, 'cancelled');
    end(execution, 'cancelled', event.at, event.purgeAt);
    execution.cancellationReason = event.cancellationReason;
    execution.cancelledBy = event.cancelledBy;
  }),
  execution_expired: changes((execution, event) => {
    closeAll(execution, event.at, `expired:${event.expireReason}`);
    end(execution, 'expired', event.at, event.purgeAt);
    execution.failureReason = event.expireReason;
    execution.failureDetail = undefined;
    execution.failureCategory = 'timeout';
  }),
  execution_delayed: changes((execution, event) => {
    wait(execution, 'delayed', 'resume', event.at, event.delayUntil);
    execution.attemptTimeoutRemainingMs = event.attemptTimeoutRemainingMs;
  }),
  execution_promoted: changes((execution, event) => {
    become(execution, 'ready', event.at, undefined);
    endDelay(execution);
  }),
  execution_held: changes((execution, event) => {
    endGrant(execution);
    execution.heldAt = event.at;
    execution.heldBy = event.heldBy;
    execution.holdReason = event.holdReason;
  }),
  hold_released: changes((execution, event) => {
    endHold(execution);
    execution.editedAt = event.at;
  }),
  priority_changed: changes((execution, event) => {
    execution.priority = event.priority;
    execution.editedAt = event.at;
  }),
  tags_set: changes((execution, event) => {
    execution.tags = mergedTags(execution.tags, event.tags);
    execution.editedAt = event.at;
  }),
  execution_replayed: changes(
    (execution, event) => {
      // Its dependencies may still be undecided: it was cancelled, or expired.
      become(execution, awaitsOthers(execution) ? 'blocked_dependencies' : 'ready', event.at, undefined);
      execution.nextAttempt = 'replay';
      execution.replayCount = event.replayCount;
      execution.executionDeadlineAt = event.executionDeadlineAt;
      forgetRun(execution);
      if (event.checkpointsDiscarded) forgetCheckpoints(execution);
    },
    ['result'],
  ),
  execution_blocked: changes((execution, event) => {
    become(execution, BLOCKS[event.blockingReason], event.at, undefined);
    execution.blockingDetail = event.blockingDetail;
  }),
  execution_unblocked: changes((execution, event) => {
    become(execution, 'ready', event.at, undefined);
    execution.blockingDetail = '';
  }),
  stream_opened: changes((execution, event) => {
    execution.lastStreamIndex = event.attemptIndex;
  }),
  execution_purged: removes,
  execution_dropped: removesIfThere,
};
