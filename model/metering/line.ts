/**
 * The line in which work of one metered queue waits, and what becomes of one more where its quota is full: it is not made,
 * or the oldest that waits makes room for it (ruling 49). Whoever creates it has asked its quota how many more would be
 * admitted; here it is seen how many wait for that. Only what waits is counted and cancelled, never what a worker has.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { withWireForm } from '../core/wire-form.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { FIRST_WAITING_SCORE } from '../schedule/queue.js';
import { PRIORITY_STEP } from '../limits.js';

/** What becomes of work that is created while its quota is full, and the letter as which that travels. */
export const WHEN_FULL = { drop: 'd', cancel_oldest: 'c' } as const;

interface WhenFull {
  readonly strategy: keyof typeof WHEN_FULL;
  readonly room: number;
}

/** A strategy, and how many more its quota admits at this moment. Work without meters, or with a delay, has no line. */
export const whenFull = withWireForm(
  z.strictObject({
    strategy: z.enum(['drop', 'cancel_oldest']),
    /** Work that waits already counts against it. */
    room: field.count,
  }),
  {
    encode(value) {
      if (value === undefined) return [''];
      const { strategy, room } = value as WhenFull;
      return [`${WHEN_FULL[strategy]}${room}`];
    },
  },
);

/** Who cancels what made room. */
export const REPLACER = 'quota_replaced';
/** Why, in words. */
export const REPLACED_REASON = 'its quota was full, and a newer one took its place';

export interface Line {
  /** How many wait, lost work included: it takes room again. */
  readonly waiting: number;
  /** The oldest of the least urgent ones. Lost work has been started, and is none of them. */
  readonly oldest: ReadonlyExecution | undefined;
}

/**
 * The score behind which the oldest of the least urgent ones is the first, by the score of the last one; nothing when all
 * that waits was started before. Nothing that waits is as old as one step of priority.
 */
export function leastUrgentFrom(lastScore: number | undefined, now: number): number | undefined {
  if (lastScore === undefined || lastScore < FIRST_WAITING_SCORE) return undefined;
  const priority = Math.max(0, Math.floor((now - lastScore) / PRIORITY_STEP));
  return now - (priority + 1) * PRIORITY_STEP;
}
