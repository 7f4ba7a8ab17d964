/**
 * Shelves: executions that are few and that people look for, listed by id. A shelf is a name and the ids that stand on
 * it. What waits, is owned or is delayed stands in queues and timers anyway, and what completed is most of all: of these
 * there are no shelves, so the common life of an execution costs nothing here.
 */
import type { ReadonlyExecution } from '../execution/facts.js';
import { isClaimable, isDelayed, isHeld, isTerminal, SITUATIONS, type Situation } from '../execution/situation.js';

/** The shelf of what an operator holds. Others are named by the letters of situations; none of these is like it. */
export const HELD_SHELF = '*';

/** Names of shelves of tags begin so; then the key, `=`, and the value as it stands in JSON. */
export const TAG_SHELF = 't:';

/** Whether executions in a situation stand on a shelf: those that ended without success, and those that are blocked. */
export function isShelved(situation: Situation): boolean {
  if (isTerminal(situation)) return situation !== 'completed';
  return situation !== 'running' && !isClaimable(situation) && !isDelayed(situation);
}

/** The shelves on which an execution stands, where these tags are indexed. */
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
