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
  /** Claims under way that follow it. */
  inFlight = 0;
  /** Claims that may follow it at once. */
  maxInFlight = 1;
  /** Executions claimed on the word of its priority; where claims do not tell priorities, that word is not believed for ever. */
  believed = 0;
  /** What told of it; the same wake reaches every worker of the process and is one hint. */
  source: object | undefined;

  constructor(
    readonly need: Need,
    /** Grows with every hint. */
    public number: number,
    /** Priority of the best work there, as far as is known. */
    public priority: number,
    /** Nobody knows whether there is work: a look is owed to the place. */
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
