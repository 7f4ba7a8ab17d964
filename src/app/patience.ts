/** The calls of an app: how long they are repeated, and how they end with it. */
import type { Clock } from '../engine/clock.js';
import { withRetries } from '../engine/retry.js';

/**
 * How long the calls of an app wait for its backend to open, and are repeated while the transport fails, ms. Workers,
 * listeners, results, events, streams and `app.backend()` wait as long as it takes.
 */
export const CALL_PATIENCE_MS = 10_000;

/** What a call of an app needs of it. */
export interface Caller {
  readonly clock: Clock;
  /** Aborts when the app is closed, with the error for all calls from then on. */
  readonly closing: AbortSignal;
}

/**
 * Makes a call, and repeats it for a while if the transport fails. Once the app is closed, it throws the reason of that,
 * whatever the backend says: a backend that is closed as well, or one that goes on for others.
 */
export function patiently<T>(
  { clock, closing }: Caller,
  call: () => Promise<T>,
  patienceMs = CALL_PATIENCE_MS,
): Promise<T> {
  // Not an asynchronous function: every creation would cost a promise more.
  if (closing.aborted) return Promise.reject(closing.reason);
  return withRetries(clock, patienceMs, call, closing);
}
