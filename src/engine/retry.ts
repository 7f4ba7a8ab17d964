/** Retries after transport errors: growing delays with full jitter, so that many clients do not retry in step. */
import { AppError } from '../shared/errors.js';
import { brandOf } from '../util/brand.js';
import { asEngineError } from '../util/engine-error.js';
import { propertyOf } from '../util/thrown.js';
import { sleep, type Clock } from './clock.js';

const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 10_000;

/** Delay before try number `failures + 1`, ms: random, from 0 to a bound that doubles from 100 ms to 10 s. */
export function retryDelayMs(clock: Pick<Clock, 'random'>, failures: number): number {
  const boundMs = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 20));
  // Never 0: instant retries would be a busy loop.
  return Math.max(10, boundMs * clock.random());
}

/** Mistakes in a program: a retry would fail again, like the mistakes that the app refuses. */
const MISTAKES = [TypeError, ReferenceError, RangeError, SyntaxError];

const isOurs = (error: unknown): boolean =>
  error instanceof AppError || (asEngineError(error) ?? brandOf(error)) !== undefined;

/**
 * Whether the same call can succeed later. Errors of this package say so. Others (a socket's, or those of a function
 * that opens a backend) count as transport errors, whatever members they have: the result of the call is unknown, and
 * every command may be repeated.
 */
export function isRetryable(error: unknown): boolean {
  const retryable = isOurs(error) ? propertyOf(error, 'retryable') : undefined;
  if (typeof retryable === 'boolean') return retryable;
  return !MISTAKES.some((mistake) => error instanceof mistake);
}

/** Whether an operator has to act first, as on a lane that is being drained: the caller is told at once. */
const needsOperator = (error: unknown): boolean => asEngineError(error)?.family === 'state';

/**
 * Calls `fn` until it succeeds, fails permanently, or `patienceMs` are over. After an abort of the signal no further
 * call is made, and its reason is thrown.
 */
export async function withRetries<T>(
  clock: Clock,
  patienceMs: number,
  fn: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const until = clock.now() + patienceMs;
  for (let failures = 1; ; failures++) {
    try {
      return await fn();
    } catch (error) {
      const delayMs = retryDelayMs(clock, failures);
      signal?.throwIfAborted();
      if (!isRetryable(error) || needsOperator(error) || clock.now() + delayMs > until) throw error;
      await sleep(clock, delayMs, signal);
      signal?.throwIfAborted();
    }
  }
}
