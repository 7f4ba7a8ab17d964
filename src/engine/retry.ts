/** Trying again after a transport error: delays that grow, with full jitter, so that many clients do not march in step. */
import { AppError } from '../shared/errors.js';
import { asEngineError } from '../util/engine-error.js';
import { sleep, type Clock } from './clock.js';

const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 10_000;

/** Delay before try number `failures + 1`, ms: drawn from 0 to a bound that doubles from 100 ms to 10 s. */
export function retryDelayMs(clock: Pick<Clock, 'random'>, failures: number): number {
  const boundMs = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 20));
  // Never 0: a loop of instant retries would be a busy loop.
  return Math.max(10, boundMs * clock.random());
}

/** What a mistake in a program throws: it would be made again, like the ones that the app refuses. */
const MISTAKES = [TypeError, ReferenceError, RangeError, SyntaxError];

/**
 * Whether the same call can succeed later. Other errors than the engine's own (a socket's) count as transport: the
 * outcome of the call is unknown, and every command may be repeated.
 */
export function isRetryable(error: unknown): boolean {
  const engineError = asEngineError(error);
  if (engineError !== undefined) return engineError.retryable;
  return !(error instanceof AppError) && !MISTAKES.some((mistake) => error instanceof mistake);
}

/**
 * Calls `fn` until it succeeds, it fails for good, or `patienceMs` are over. When the signal aborts, no further call is
 * made, and its reason is thrown.
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
      if (!isRetryable(error) || clock.now() + delayMs > until) throw error;
      await sleep(clock, delayMs, signal);
      signal?.throwIfAborted();
    }
  }
}
