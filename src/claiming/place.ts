/** Places, and the leads that point to them. */
import type { Need } from './abilities.js';

/** A partition of a lane. */
export interface PlaceName {
  readonly laneId: string;
  readonly partition: string;
}

export const placeKey = (laneId: string, partition: string): string => `${partition}${laneId}`;

/** A dated hint that a place has work. */
export class Lead {
  /** Claims in flight that follow it. */
  inFlight = 0;
  /** Most claims that may follow it at once. */
  maxInFlight = 1;
  /**
   * Executions claimed by its priority. If claims do not report priorities, the priority is dropped after some of them.
   */
  believed = 0;
  /** The wake that gave the hint: it reaches every worker of the process, and counts once. */
  source: object | undefined;

  constructor(
    readonly need: Need,
    /** Grows with every hint. */
    public number: number,
    /** Priority of the best known work. */
    public priority: number,
    /** The place is only due for a check; whether it has work is unknown. */
    public unseen: boolean,
  ) {}
}

/** A place with its leads, by need. */
export class Place implements PlaceName {
  readonly leads = new Map<string, Lead>();

  constructor(
    readonly laneId: string,
    readonly partition: string,
    /** The time of the last hint, to the second. */
    public notedAt: number,
  ) {}
}
