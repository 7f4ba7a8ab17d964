/** What a refused renewal, progress or final call says about the work in hand. */
import type { EngineError } from '../../model/errors.js';
import type { TaskAbortCode } from './abort.js';

export interface Timeouts {
  /** Whether the attempt's time, or the execution's deadline, is over by the worker's own clock. */
  readonly attemptTimedOut: boolean;
  readonly deadlinePassed: boolean;
}

/** What each refusal that speaks of ownership says; all others leave open whose the work is. */
const OWNERSHIP: Readonly<Record<string, (error: EngineError, timeouts: Timeouts) => TaskAbortCode>> = {
  execution_not_active: (error, timeouts) => endedCode(error.detail['terminalOutcome'], timeouts),
  lease_revoked: () => 'lease_revoked',
  lease_expired: () => 'lease_lost',
  stale_lease: () => 'lease_lost',
  execution_not_found: () => 'lease_lost',
  // What a frame is told.
  stale_owner_cannot_append: (_, timeouts) => endedCode(undefined, timeouts),
  stream_closed: (error, timeouts) => endedCode(error.detail['terminalOutcome'], timeouts),
  // An attempt's end is judged by time, whoever noticed it.
  attempt_timed_out: () => 'attempt_timeout',
  execution_deadline_passed: () => 'deadline',
};

/** Whether the error says that the work is not this worker's any more. */
export function speaksOfOwnership(error: EngineError): boolean {
  return Object.hasOwn(OWNERSHIP, error.code);
}

/** The reason for which the handler must stop, or nothing when the error says nothing about ownership. */
export function abortCodeOf(error: EngineError, timeouts: Timeouts): TaskAbortCode | undefined {
  return speaksOfOwnership(error) ? OWNERSHIP[error.code]?.(error, timeouts) : undefined;
}

function endedCode(terminalOutcome: string | undefined, { attemptTimedOut, deadlinePassed }: Timeouts): TaskAbortCode {
  if (terminalOutcome === 'cancelled') return 'cancelled';
  if (terminalOutcome === 'expired') return deadlinePassed || !attemptTimedOut ? 'deadline' : 'attempt_timeout';
  // Not ended, but not ours any more: either its attempt ran out of time and waits for the next one, or it was lost.
  return attemptTimedOut ? 'attempt_timeout' : 'lease_lost';
}
