/** The timeout of an attempt while no worker runs it. */
import type { ReadonlyExecution } from './facts.js';

/** Remaining timeout of the attempt when it is parked now, ms; undefined without a timeout. */
export function attemptTimeRemaining(execution: ReadonlyExecution, now: number): number | undefined {
  const { attemptTimeoutAt, attemptTimeoutRemainingMs } = execution;
  // Claimed ahead and not begun: all of it remains.
  if (attemptTimeoutAt === undefined) return attemptTimeoutRemainingMs;
  return Math.max(0, attemptTimeoutAt - now);
}
