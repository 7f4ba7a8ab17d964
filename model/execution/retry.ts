/** What follows a failed attempt: a retry, or the end. Spec 04 section 4.2. */
import type { Event } from '../events.js';
import { LIMITS } from '../limits.js';
import type { ReadonlyExecution } from './facts.js';
import { backoffDelayOf, mayRetry, type Failure, type RetryPolicy } from './policy.js';

export interface FailedAttempt extends Failure {
  readonly reason: string;
  /** Failure details for programs, base64. */
  readonly detail?: string | undefined;
  /** Random factor drawn by the caller, 0..1; default 1, the whole backoff. */
  readonly jitter: number | undefined;
  /** The delay that the handler asked for instead of the policy's backoff, ms. */
  readonly retryAfterMs: number | undefined;
}

/** The event of the retry, or undefined when none is left. */
export function retryOf(
  execution: ReadonlyExecution,
  failure: FailedAttempt,
  now: number,
  override?: RetryPolicy,
): Extract<Event, { type: 'retry_scheduled' }> | undefined {
  const policy = override ?? execution.policy?.retryPolicy;
  if (!mayRetry(policy, execution.retryCount, failure)) return undefined;
  const delayMs = failure.retryAfterMs ?? backoffDelayOf(policy, execution.retryCount, failure.jitter ?? 1);
  return {
    type: 'retry_scheduled',
    executionId: execution.executionId,
    at: now,
    failureReason: failure.reason,
    failureDetail: failure.detail,
    failureCategory: failure.category,
    overridden: override !== undefined,
    delayUntil: Math.min(now + delayMs, LIMITS.maxInteger),
  };
}
