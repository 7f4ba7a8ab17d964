/** Derives from the refusal of a renewal, progress or final call whether the worker still owns the execution. */
import type { EngineError } from '../../../model/errors.js';
import type { TaskAbortCode } from '../attempt/abort.js';

export interface Timeouts {
  /** Whether the attempt's timeout has passed by the worker's own clock. */
  readonly attemptTimedOut: boolean;
  /** The same for the execution's deadline. */
  readonly deadlinePassed: boolean;
  /** Whether the attempt's timeout is due before the deadline, or there is no deadline. */
  readonly timeoutIsFirst: boolean;
}

/** The reason for the abort by the code of the refusal. Other refusals say nothing about ownership. */
const OWNERSHIP: Readonly<Record<string, (error: EngineError, timeouts: Timeouts) => TaskAbortCode>> = {
  execution_not_active: (error, timeouts) => endedCode(error.detail['terminalOutcome'], timeouts),
  lease_revoked: () => 'lease_revoked',
  lease_expired: () => 'lease_lost',
  stale_lease: () => 'lease_lost',
  execution_not_found: () => 'lease_lost',
  // Refusals of stream frames.
  stale_owner_cannot_append: (_, timeouts) => endedCode(undefined, timeouts),
  stream_closed: (error, timeouts) => endedCode(error.detail['terminalOutcome'], timeouts),
  // The engine judges these by time alone.
  attempt_timed_out: () => 'attempt_timeout',
  execution_deadline_passed: () => 'deadline',
};

/** Whether the error means that the worker no longer owns the execution. */
export function speaksOfOwnership(error: EngineError): boolean {
  return Object.hasOwn(OWNERSHIP, error.code);
}

/** The reason for which the handler must stop; undefined if the error says nothing about ownership. */
export function abortCodeOf(error: EngineError, timeouts: Timeouts): TaskAbortCode | undefined {
  return speaksOfOwnership(error) ? OWNERSHIP[error.code]?.(error, timeouts) : undefined;
}

function endedCode(
  terminalOutcome: string | undefined,
  { attemptTimedOut, deadlinePassed, timeoutIsFirst }: Timeouts,
): TaskAbortCode {
  if (terminalOutcome === 'cancelled') return 'cancelled';
  if (terminalOutcome === 'expired') {
    // The worker's clock is behind the engine's if the answer to the claim was slow: neither may have passed by it.
    const byTimeout = !deadlinePassed && (attemptTimedOut || timeoutIsFirst);
    return byTimeout ? 'attempt_timeout' : 'deadline';
  }
  // The execution has not ended: either the attempt timed out and a retry follows, or the lease was lost.
  return attemptTimedOut ? 'attempt_timeout' : 'lease_lost';
}
