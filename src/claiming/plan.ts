/** Input and output types of the planner. */
import type { Wake } from '../backend/backend.js';
import type { Abilities } from './abilities.js';
import type { Leads } from './leads.js';
import type { Lead, PlaceName } from './place.js';

type Work = Extract<Wake, { kind: 'work' }>;

/** A wake for work. Backends that do not know the kind and priority of the work leave them out. */
export type WorkWake = Omit<Work, 'executionKind' | 'priority'> & {
  readonly executionKind?: string;
  readonly priority?: number;
};

/** The part of a claim that is for one lane. */
export interface LaneClaim {
  readonly place: PlaceName;
  /** Number of executions requested. */
  readonly count: number;
  /** Priority of the best known work there. */
  readonly priority: number;
  /**
   * Work below this priority is not claimed, because more urgent work waits elsewhere in the lane; 0 claims all work.
   */
  readonly minPriority: number;
  /** The leads that the claim follows. */
  readonly leads: readonly Lead[];
}

/** A claim for one or more lanes of a partition. */
export interface PlannedClaim {
  readonly partition: string;
  readonly lanes: readonly LaneClaim[];
  /**
   * Whether it shares a call with new work. A full answer then is no hint at more, since unclaimed work is announced.
   */
  readonly inOneCall: boolean;
  /** The number of the last hint at the time of the plan. */
  readonly number: number;
  /** The abilities of the claimer. */
  readonly abilities: Abilities;
}

/** The result of a lane's part of a claim. */
export interface LaneAnswer {
  readonly got: number;
  /** Priority of the last claimed execution, if the backend reports it. */
  readonly lastPriority?: number | undefined;
  /** Priority of the best work that was below the claim's minimum. */
  readonly nextPriority?: number | undefined;
  /** The claim ended executions or set them aside, which used up part of its count, so there may be more work. */
  readonly mayHaveMore?: boolean;
}

/** The queues of a partition that must be read. */
export interface QueueRead {
  readonly partition: string;
  /** Undefined for all lanes of the claimer. */
  readonly laneIds: readonly string[] | undefined;
}

export interface Plan {
  /** Claims to send now. */
  readonly claims: readonly PlannedClaim[];
  /** Queues that must be read now. */
  readonly reads: readonly QueueRead[];
  /** When to plan again without an event; infinite if only an event can change the plan. */
  readonly pollAt: number;
}

export interface PlannerOptions {
  /** Shared with other claimers on the same backend. */
  readonly leads: Leads;
  readonly abilities: Abilities;
  readonly lanes: readonly string[];
  readonly partitions: readonly string[];
  /** Most executions that run at once. */
  readonly slots: number;
  /** Most executions that wait in the worker for a slot. */
  readonly claimAhead: number;
  /**
   * Executions requested in a partition before other partitions get their turn. Default 16 times its share of the room.
   */
  readonly turn?: number;
  readonly sweepIntervalMs: number;
  /**
   * How places without leads are checked: by claims, or by reads of all queues of a partition, which show the priority
   * of the work before any of it is claimed. Default: claims.
   */
  readonly looks?: 'claims' | 'reads';
  /** Checks of a round made at once. Default 64. */
  readonly burst?: number;
  /** Returns a random number from 0 to 1. */
  readonly chance: () => number;
  /** Most executions of a lane to request at once, in all claims in flight. Default: no limit. */
  readonly maxAtOnce?: (laneId: string) => number;
}
