/** Repeats calls of a running attempt over transient faults, while the worker owns the execution. */
import { retryDelayMs } from '../../engine/retry.js';
import { sleep, type Clock } from '../../engine/clock.js';
import { asEngineError } from '../../util/engine-error.js';
import { TaskAbort } from '../attempt/abort.js';
import { isUnanswered } from '../lease/answers.js';
import type { Attempt } from '../attempt/attempt.js';

/**
 * The answer of a call that can be repeated. `onFault` is called before each repetition. It can refuse
 * it by throwing, and answer the longest time until it, ms.
 * @throws TaskAbort when the worker no longer owns the execution; otherwise the refusal of the call
 */
export async function untilAnswered<T>(
  attempt: Attempt,
  clock: Clock,
  call: () => Promise<T>,
  onFault: (error: unknown) => number = () => Infinity,
): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await call();
    } catch (error) {
      const refusal = asEngineError(error);
      const code = refusal === undefined ? undefined : attempt.refused(refusal);
      if (code !== undefined) throw new TaskAbort(code);
      if (!isUnanswered(error)) throw error;
      attempt.throwIfLost();
      const longestMs = onFault(error);
      await sleep(clock, Math.min(longestMs, retryDelayMs(clock, failures)));
      attempt.throwIfLost();
    }
  }
}
