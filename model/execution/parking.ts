/** What an attempt keeps while nobody works on it. */
import type { ReadonlyExecution } from './execution.js';

/** The attempt's time that is left when it is parked now, ms; nothing when the attempt has no timeout. */
export function attemptTimeRemaining(execution: ReadonlyExecution, now: number): number | undefined {
  return execution.attemptTimeoutAt === undefined ? undefined : Math.max(0, execution.attemptTimeoutAt - now);
}
