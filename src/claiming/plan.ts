/** What a planner is told, and what it answers. */
import type { Wake } from '../backend.js';
import type { Abilities } from './abilities.js';
import type { Leads } from './leads.js';
import type { Lead, PlaceName } from './place.js';

type Work = Extract<Wake, { kind: 'work' }>;

/** News of work, as backends tell it. Those that do not know kind and priority of the new head leave them out. */
export type WorkWake = Omit<Work, 'executionKind' | 'priority'> & {
  readonly executionKind?: string;
  readonly priority?: number;
};

/** The part of a claim that is for one lane. */
export interface LaneClaim {
  readonly place: PlaceName;
  /** Executions that are asked for. */
  readonly count: number;
  /** Priority of the best work there, as far as is known. */
  readonly priority: number;
  /** Less urgent work is left, since as urgent work waits elsewhere in the lane; 0 when nothing is. */
  readonly minPriority: number;
  /** The leads that it follows. */
  readonly leads: readonly Lead[];
}

/** Claims of one or more lanes of one partition, made together. */
export interface PlannedClaim {
  readonly partition: string;
  readonly lanes: readonly LaneClaim[];
  /** It travels with new work. That it is answered in full then says nothing: what nobody takes is announced. */
  readonly along: boolean;
  /** The number of the last hint when it was made. */
  readonly number: number;
  /** What it can bring. */
  readonly abilities: Abilities;
}

/** What a lane's part of a claim brought. */
export interface LaneAnswer {
  readonly got: number;
  /** Priority of the last execution that came, where the backend tells it. */
  readonly lastPriority?: number | undefined;
  /** Priority of the best work that the claim left because it was not urgent enough. */
  readonly nextPriority?: number | undefined;
  /** The claim ended executions in the places of which work behind them could have come: it is worth another look. */
  readonly endedOthers?: boolean;
}

export interface Plan {
  /** To be sent now. */
  readonly claims: readonly PlannedClaim[];
  /** Partitions whose queues are to be read now. */
  readonly reads: readonly string[];
  /** When to plan again although nothing happened; infinite when only an event can change anything. */
  readonly pollAt: number;
}

export interface PlannerOptions {
  /** Where work may be, shared with others on the same backend. */
  readonly leads: Leads;
  readonly abilities: Abilities;
  readonly lanes: readonly string[];
  readonly partitions: readonly string[];
  /** Executions that may run at once. */
  readonly slots: number;
  /** Executions that may wait in the worker besides those that run. */
  readonly claimAhead: number;
  /** Executions that are asked for in a partition before others that may have work get their turn. Default 16 rounds of its share. */
  readonly turn?: number;
  readonly sweepIntervalMs: number;
  /**
   * How a place is looked at that nothing points to: by a claim, or by a read of all queues of a partition, which tells how
   * urgent the work is before any of it is claimed. Default by claims.
   */
  readonly looks?: 'claims' | 'reads';
  /** Looks of a round that are made at once. Default 64. */
  readonly burst?: number;
  /** A number from 0 to 1. */
  readonly chance: () => number;
  /** Most executions of a lane that may be asked for at once, in all claims under way. Default no limit. */
  readonly maxAtOnce?: (laneId: string) => number;
}
