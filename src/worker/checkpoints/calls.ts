/** Calls of a running attempt that must be answered: repeated over what passes by, as long as the work is this worker's. */
import { retryDelayMs } from '../../engine/retry.js';
import { sleep, type Clock } from '../../engine/clock.js';
import { asEngineError } from '../../util/engine-error.js';
import { TaskAbort } from '../abort.js';
import { isUnanswered } from '../answers.js';
import type { Attempt } from '../attempt.js';

/**
 * The answer of a call that can be repeated. @throws TaskAbort when the work is not this worker's any more, and what the
 * call was refused with
 */
export async function untilAnswered<T>(attempt: Attempt, clock: Clock, call: () => Promise<T>): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await call();
    } catch (error) {
      const refusal = asEngineError(error);
      const code = refusal === undefined ? undefined : attempt.refused(refusal);
      if (code !== undefined) throw new TaskAbort(code);
      if (!isUnanswered(error)) throw error;
      attempt.throwIfLost();
      await sleep(clock, retryDelayMs(clock, failures));
      attempt.throwIfLost();
    }
  }
}
