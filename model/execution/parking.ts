/** What an attempt keeps while nobody works on it. */
import type { ReadonlyExecution } from './facts.js';

/** The attempt's time that is left when it is parked now, ms; nothing when the attempt has no timeout. */
export function attemptTimeRemaining(execution: ReadonlyExecution, now: number): number | undefined {
  const { attemptTimeoutAt, attemptTimeoutRemainingMs } = execution;
  // Claimed ahead and not begun: the whole of it is left.
  if (attemptTimeoutAt === undefined) return attemptTimeoutRemainingMs;
  return Math.max(0, attemptTimeoutAt - now);
}
