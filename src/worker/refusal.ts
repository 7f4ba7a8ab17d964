/** What a refused renewal, progress or final call says about the work in hand. */
import type { EngineError } from '../../model/errors.js';
import type { TaskAbortCode } from './abort.js';

export interface Timeouts {
  /** Whether the attempt's time, or the execution's deadline, is over by the worker's own clock. */
  readonly attemptTimedOut: boolean;
  readonly deadlinePassed: boolean;
}

/** The reason for which the handler must stop, or nothing when the error says nothing about ownership. */
export function abortCodeOf(error: EngineError, timeouts: Timeouts): TaskAbortCode | undefined {
  switch (error.code) {
    case 'execution_not_active':
      return endedCode(error.detail['terminalOutcome'], timeouts);
    case 'lease_revoked':
      return 'lease_revoked';
    case 'lease_expired':
    case 'stale_lease':
    case 'execution_not_found':
      return 'lease_lost';
    default:
      return undefined;
  }
}

function endedCode(terminalOutcome: string | undefined, { attemptTimedOut, deadlinePassed }: Timeouts): TaskAbortCode {
  if (terminalOutcome === 'cancelled') return 'cancelled';
  if (terminalOutcome === 'expired') return deadlinePassed || !attemptTimedOut ? 'deadline' : 'attempt_timeout';
  // Not ended, but not ours any more: either its attempt ran out of time and waits for the next one, or it was lost.
  return attemptTimedOut ? 'attempt_timeout' : 'lease_lost';
}
