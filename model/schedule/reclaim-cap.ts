/** The cap on reclaims: work whose owners keep dying ends, or it would be passed on for ever. Spec 05 section 9. */
import type { ReadonlyExecution } from '../execution/facts.js';
import { isReclaimable } from '../execution/situation.js';
import { DEFAULTS } from '../limits.js';

/** Category and reason of an execution that ended for its reclaims. */
export const MAX_RECLAIMS_EXCEEDED = 'max_reclaims_exceeded';

/**
 * Whether a lapsed execution has been reclaimed as often as it may be. What its policy says counts before what a caller
 * says.
 */
export function isBeyondReclaim(
  { situation, leaseReclaimCount, policy }: ReadonlyExecution,
  cap: number = DEFAULTS.maxReclaimCount,
): boolean {
  return isReclaimable(situation) && leaseReclaimCount >= (policy?.maxReclaimCount ?? cap);
}
