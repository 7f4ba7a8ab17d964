/**
 * Shelves are lists of ids for states that are rare and often searched for: each has a name and the ids on it. Waiting,
 * owned and delayed executions are in queues and timers anyway, suspended ones are in the order of their timeouts, and
 * most executions have completed; none of these has a shelf, so the usual life of an execution pays nothing.
 */
import type { ReadonlyExecution } from '../execution/facts.js';
import { isClaimable, isDelayed, isHeld, isTerminal, SITUATIONS, type Situation } from '../execution/situation.js';

/** The shelf of held executions. Other shelves are named by letters of situations, which never collide with it. */
export const HELD_SHELF = '*';

/** Prefix of the shelves of tags; the key, `=` and the value as JSON follow. */
export const TAG_SHELF = 't:';

/** Whether a situation has a shelf: ended without success, or blocked. */
export function isShelved(situation: Situation): boolean {
  if (isTerminal(situation)) return situation !== 'completed';
  return situation !== 'running' && situation !== 'suspended' && !isClaimable(situation) && !isDelayed(situation);
}

/** The shelves of an execution, given the indexed tags. */
export function shelvesOf(
  { situation, heldAt, tags }: Pick<ReadonlyExecution, 'situation' | 'heldAt' | 'tags'>,
  indexedTags: readonly string[],
): readonly string[] {
  return [
    ...(isHeld({ heldAt }) ? [HELD_SHELF] : []),
    ...(isShelved(situation) ? [SITUATIONS[situation].letter] : []),
    ...indexedTags.flatMap((key) =>
      tags[key] === undefined ? [] : [`${TAG_SHELF}${key}=${JSON.stringify(tags[key])}`],
    ),
  ];
}
