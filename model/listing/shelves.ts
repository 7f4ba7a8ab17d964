/**
 * Shelves: executions that are few and that people look for, listed by id. A shelf is a name and the ids that stand on
 * it. What waits, is owned or is delayed stands in queues and timers anyway, and what completed is most of all: of these
 * there are no shelves, so the common life of an execution costs nothing here.
 */
import type { ReadonlyExecution } from '../execution/facts.js';
import { isClaimable, isDelayed, isHeld, isTerminal, SITUATIONS, type Situation } from '../execution/situation.js';

/** The shelf of what an operator holds. Others are named by the letters of situations; none of these is like it. */
export const HELD_SHELF = '*';

/** Whether executions in a situation stand on a shelf: those that ended without success, and those that are blocked. */
export function isShelved(situation: Situation): boolean {
  if (isTerminal(situation)) return situation !== 'completed';
  return situation !== 'running' && !isClaimable(situation) && !isDelayed(situation);
}

/** The shelves on which an execution stands. */
export function shelvesOf({ situation, heldAt }: Pick<ReadonlyExecution, 'situation' | 'heldAt'>): readonly string[] {
  const shelves = isHeld({ heldAt }) ? [HELD_SHELF] : NO_SHELVES;
  return isShelved(situation) ? [...shelves, SITUATIONS[situation].letter] : shelves;
}

const NO_SHELVES: readonly string[] = Object.freeze([]);
