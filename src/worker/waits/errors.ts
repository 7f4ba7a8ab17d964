/** Errors of waits. They are not retried, because another attempt would find the same signals. */
import { share } from '../../util/brand.js';
import { NonRetryableError } from '../handler/outcome.js';

/** The wait timed out before it was satisfied. If not caught, the run fails with the category `wait_timeout`. */
export class WaitTimeoutError extends NonRetryableError {
  override readonly name = 'WaitTimeoutError';
  override readonly hint = 'Catch it where the handler can do without an answer, or allow more time (`timeout`).';

  constructor(
    /** The name of the wait. */
    readonly wait: string,
    /** When it timed out, ms since the epoch. */
    readonly at: number,
  ) {
    super(`Nothing came for "${wait}" in time (until ${new Date(at).toISOString()}).`, { category: 'wait_timeout' });
  }
}

/**
 * The payload of a signal does not match the schema of the wait. If not caught, the run fails with the category
 * `invalid_signal`.
 */
export class InvalidSignalError extends NonRetryableError {
  override readonly name = 'InvalidSignalError';
  override readonly hint = 'Send a payload that matches the `schema` of the wait, in a new run.';

  constructor(
    /** The name of the signal. */
    readonly signal: string,
    /** The sender. */
    readonly from: string,
    problem: string,
  ) {
    super(`The signal "${signal}"${from === '' ? '' : ` of ${from}`} does not match the schema: ${problem}`, {
      category: 'invalid_signal',
    });
  }
}

share({ InvalidSignalError, WaitTimeoutError });
