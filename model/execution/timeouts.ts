/** What a timeout of an attempt, or the deadline of an execution, does. */
import type { Event } from '../events.js';
import { purgeAtOf } from '../schedule/retention.js';
import type { ExpireReason } from './events.js';
import { namingOf, type ReadonlyExecution } from './facts.js';
import { retryOf } from './retry.js';
import { isActiveSituation } from './situation.js';

type TimeoutReason = Exclude<ExpireReason, 'suspension_timeout:expire'>;

/** The time at which the execution expires for a reason; undefined when it cannot. */
export function timeoutOf(execution: ReadonlyExecution, reason: TimeoutReason): number | undefined {
  if (reason === 'execution_deadline') return execution.executionDeadlineAt;
  return isActiveSituation(execution.situation) ? execution.attemptTimeoutAt : undefined;
}

/** An attempt that timed out is a failure and may be retried; the deadline always ends the execution. */
export function timedOut(
  execution: ReadonlyExecution,
  reason: TimeoutReason,
  { now, jitter, retentionMs }: { now: number; jitter: number | undefined; retentionMs: number },
): Extract<Event, { type: 'retry_scheduled' | 'execution_expired' }> {
  if (reason === 'attempt_timeout') {
    const failure = { failureClass: 'timeout', category: 'timeout', reason, jitter, retryAfterMs: undefined } as const;
    const retry = retryOf(execution, failure, now);
    if (retry !== undefined) return retry;
  }
  return {
    type: 'execution_expired',
    executionId: execution.executionId,
    at: now,
    ...namingOf(execution),
    expireReason: reason,
    purgeAt: purgeAtOf(execution, now, retentionMs),
  };
}
