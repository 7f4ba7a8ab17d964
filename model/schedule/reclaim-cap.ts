/**
 * The cap on reclaims ends work whose owners keep dying; otherwise it would be passed on for ever. Spec 05 section 9.
 */
import type { ReadonlyExecution } from '../execution/facts.js';
import { isReclaimable } from '../execution/situation.js';
import { DEFAULTS } from '../limits.js';

/** Category and reason of an execution that reached the cap. */
export const MAX_RECLAIMS_EXCEEDED = 'max_reclaims_exceeded';

/** Whether a lapsed execution has reached its reclaim cap. The policy's cap takes precedence over the caller's. */
export function isBeyondReclaim(
  { situation, leaseReclaimCount, policy }: ReadonlyExecution,
  cap: number = DEFAULTS.maxReclaimCount,
): boolean {
  return isReclaimable(situation) && leaseReclaimCount >= (policy?.maxReclaimCount ?? cap);
}
