/**
 * Work that has lost its worker more than once. Its handler may be the cause: it ends the process, or blocks the event
 * loop for longer than the lease. Lost work is claimed first, so without a pause it would take every worker down again
 * at once, and hold up the work behind it for as long as its allowance of crashes lasts. The first loss is repaired at
 * once; after each further one the execution is parked, for longer each time. Losses more than an hour apart are not
 * counted together: a run of months meets many deployments and reboots.
 */
import type { ClaimedExecution } from '../../../model/schedule/claimed.js';
import type { Backend } from '../../backend/backend.js';

const FIRST_DELAY_MS = 1_000;
const MAX_DELAY_MS = 60_000;

/** Whether this claim may be the second takeover of the execution, or a later one. */
export function mayBeLostOften({ claimKind, attemptIndex }: ClaimedExecution): boolean {
  // Each takeover begins an attempt.
  return claimKind === 'reclaimed' && attemptIndex >= 2;
}

/** How often the execution has lost its worker lately; 0 if that cannot be read now. */
export async function lossesOf(executionId: string, backend: Backend): Promise<number> {
  try {
    return (await backend.readExecutionInfo({ executionId }))?.recentLossCount ?? 0;
  } catch {
    // Work must not wait for a count.
    return 0;
  }
}

/** How long an execution is parked before it is attempted again, ms. @param losses how often it lost its worker */
export function pauseAfter(losses: number): number {
  return losses < 2 ? 0 : Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(losses - 2, 10));
}
