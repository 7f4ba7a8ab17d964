/** How a wait can end other than with its signals. Neither is mended by another try: the next one finds the same. */
import { NonRetryableError } from '../outcome.js';

/** Nothing that satisfies the wait came in time. Uncaught, the run fails with the category `wait_timeout`. */
export class WaitTimeoutError extends NonRetryableError {
  override readonly name = 'WaitTimeoutError';

  constructor(
    /** The name of the wait. */
    readonly wait: string,
    /** When its time was over, ms since the epoch. */
    readonly at: number,
  ) {
    super(`Nothing came for "${wait}" in time (until ${new Date(at).toISOString()}).`, { category: 'wait_timeout' });
  }
}

/** What came with a signal is not what the wait takes. Uncaught, the run fails with the category `invalid_signal`. */
export class InvalidSignalError extends NonRetryableError {
  override readonly name = 'InvalidSignalError';

  constructor(
    /** The name of the signal. */
    readonly signal: string,
    /** Who sent it. */
    readonly from: string,
    problem: string,
  ) {
    super(`The signal "${signal}"${from === '' ? '' : ` of ${from}`} does not match the schema: ${problem}`, {
      category: 'invalid_signal',
    });
  }
}
