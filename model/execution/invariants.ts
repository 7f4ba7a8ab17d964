/** What holds for every execution at all times. Source: spec 01, 04 and 05, the sections named Invariants. */
import type { Invariant } from '../invariants.js';
import type { ReadonlyExecution } from './execution.js';
import { isActive, isDelayed, isTerminal } from './situation.js';

/** An invariant that concerns one execution at a time. */
function each(name: string, holds: (execution: ReadonlyExecution) => boolean): Invariant {
  return {
    name,
    check({ state }) {
      for (const execution of state.executions.values()) {
        if (!holds(execution)) return `${execution.executionId} is ${execution.situation}: ${JSON.stringify(execution)}`;
      }
      return undefined;
    },
  };
}

const owned = ({ currentLeaseId, currentWorkerId, currentWorkerInstanceId }: ReadonlyExecution): number =>
  Number(currentLeaseId !== undefined) + Number(currentWorkerId !== undefined) + Number(currentWorkerInstanceId !== undefined);

export const executionInvariants: readonly Invariant[] = [
  each('an active execution has a lease, a worker and an attempt; no other execution has a lease or a worker', (it) =>
    isActive(it.situation) ? owned(it) === 3 && it.currentAttemptId !== undefined && it.totalAttemptCount > 0 && it.currentLeaseEpoch > 0 : owned(it) === 0,
  ),
  each('a time belongs to every situation but ready', (it) => (it.dueAt === undefined) === (it.situation === 'ready')),
  each('an attempt timeout is armed only while active', (it) => it.attemptTimeoutAt === undefined || isActive(it.situation)),
  each('time of a parked attempt is kept only while it is parked', (it) => it.attemptTimeoutRemainingMs === undefined || it.nextAttempt === 'resume'),
  each('an interrupted attempt waits only in a runnable situation', (it) => it.nextAttempt !== 'resume' || it.situation === 'ready' || it.situation === 'delayed'),
  each('a retry waits only in backoff or ready', (it) => it.nextAttempt !== 'retry' || it.situation === 'retry_backoff' || it.situation === 'ready'),
  each('backoff is followed by a retry', (it) => it.situation !== 'retry_backoff' || it.nextAttempt === 'retry'),
  each('it was started if and only if it has attempts', (it) => (it.startedAt !== undefined) === it.totalAttemptCount > 0),
  each('attempts, epochs and counters agree: an epoch per acquisition, an attempt per first claim, retry and reclaim', (it) =>
    it.currentLeaseEpoch >= it.totalAttemptCount && it.totalAttemptCount <= 1 + it.retryCount + it.leaseReclaimCount,
  ),
  each('times are in order', (it) => it.createdAt <= (it.startedAt ?? it.createdAt) && it.createdAt <= it.lastTransitionAt && (it.startedAt ?? 0) <= it.lastTransitionAt),
  each('the retry cap holds', (it) => it.retryCount <= (it.policy?.retryPolicy?.maxRetries ?? 0)),
  each('the reclaim cap holds', (it) => it.leaseReclaimCount <= (it.policy?.maxReclaimCount ?? 100)),
  each('a result belongs to a completed execution', (it) => it.resultBytes === undefined || it.situation === 'completed'),
  each('a failure is named where there was one', (it) => it.situation !== 'failed' || (it.failureReason !== undefined && it.failureCategory !== undefined)),
  each('a cancellation says by whom', (it) => (it.situation === 'cancelled') === (it.cancelledBy !== undefined)),
  each('priority is in its range', (it) => it.priority >= 0 && it.priority <= 9_000),
  each('a terminal execution is purged at the end of a slot after its end', (it) => !isTerminal(it.situation) || ((it.dueAt as number) % 60_000 === 0 && (it.dueAt as number) >= it.lastTransitionAt)),
  each('a delay is not both over and forgotten', (it) => !isDelayed(it.situation) || it.dueAt !== undefined),
];
