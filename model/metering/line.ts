/**
 * The line of a metered queue: what happens to a new execution while its quota is full. It is dropped, or the oldest
 * waiting one is cancelled for it (ruling 49). The creator has asked the quota policy how many more it would admit;
 * this counts how many wait for that room. Only waiting work is counted and cancelled, never owned work.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { withWireForm } from '../core/wire-form.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { FIRST_WAITING_SCORE, lastScoreOf } from '../schedule/queue.js';
import { PRIORITY_STEP } from '../limits.js';

/** Strategies for a full quota, and their wire letters. */
export const WHEN_FULL = { drop: 'd', cancel_oldest: 'c' } as const;

interface WhenFull {
  readonly strategy: keyof typeof WHEN_FULL;
  readonly room: number;
}

/** A strategy, and how many more executions the quota admits now. Work without meters, or with a delay, has no line. */
export const whenFull = withWireForm(
  z.strictObject({
    strategy: z.enum(['drop', 'cancel_oldest']),
    /** The waiting work takes this room first. */
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

/** The requester of a cancellation that made room. */
export const REPLACER = 'quota_replaced';
/** Its reason. */
export const REPLACED_REASON = 'its quota was full, and a newer one took its place';

export interface Line {
  /** The number of waiting executions. Lost work counts: it will need a slot again. */
  readonly waiting: number;
  /** The oldest of the least urgent executions that have not started. Lost work has. */
  readonly oldest: ReadonlyExecution | undefined;
}

/**
 * The score after which that execution is the first, derived from the last score in the queue; undefined when all
 * waiting work has started before.
 */
export function leastUrgentFrom(lastScore: number | undefined, now: number): number | undefined {
  if (lastScore === undefined || lastScore < FIRST_WAITING_SCORE) return undefined;
  const priority = Math.max(0, Math.round((now - lastScore) / PRIORITY_STEP));
  return lastScoreOf(priority + 1, now);
}
