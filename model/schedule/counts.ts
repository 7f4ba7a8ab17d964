/**
 * Exact numbers of executions per lane and situation, updated by events, for dashboards and alarms. This defines each
 * number; backends maintain them.
 */
import type { ReadonlyExecution } from '../execution/facts.js';
import { isHeld, SITUATIONS, type BlockingReason, type PublicState, type Situation } from '../execution/situation.js';

/** Executions of one lane by situation, and the number of held ones. An absent situation has none. */
export interface Tally {
  readonly situations: ReadonlyMap<Situation, number>;
  readonly held: number;
}

/** A tally that can be changed. */
export interface MutableTally {
  readonly situations: Map<Situation, number>;
  held: number;
}

export const emptyTally = (): MutableTally => ({ situations: new Map(), held: 0 });

/** Adds or subtracts one execution. */
export function count(tally: MutableTally, situation: Situation, change: 1 | -1): void {
  // Zeros stay, because situations come and go and there are few.
  tally.situations.set(situation, (tally.situations.get(situation) ?? 0) + change);
}

/** The definition: counts all executions. Lanes without any are left out. */
export function talliesByDefinition(executions: Iterable<ReadonlyExecution>): ReadonlyMap<string, Tally> {
  const tallies = new Map<string, MutableTally>();
  for (const execution of executions) {
    const { laneId, situation } = execution;
    const tally = tallies.get(laneId) ?? emptyTally();
    tallies.set(laneId, tally);
    count(tally, situation, 1);
    if (isHeld(execution)) tally.held += 1;
  }
  return tallies;
}

/** What `readCounts` answers of one lane of a partition. */
export interface LaneCounts {
  readonly laneId: string;
  readonly total: number;
  /** By public state; states without executions are left out. */
  readonly states: Readonly<Partial<Record<PublicState, number>>>;
  /**
   * By reason, for executions that neither run nor have ended; reasons without executions are left out. Waiting for a
   * worker includes lost and held executions.
   */
  readonly reasons: Readonly<Partial<Record<BlockingReason, number>>>;
  /** Active executions whose lease lapsed or was revoked, and that are not reclaimed yet. */
  readonly ownerless: number;
  /** Held by an operator, in any state. */
  readonly held: number;
}

type Counted<Name extends string> = Partial<Record<Name, number>>;

const add = <Name extends string>(to: Counted<Name>, name: Name, number: number): void => {
  to[name] = (to[name] ?? 0) + number;
};

/** A tally in the words of the contract. */
export function countsOf(laneId: string, { situations, held }: Tally): LaneCounts {
  const states: Counted<PublicState> = {};
  const reasons: Counted<BlockingReason> = {};
  let [total, ownerless] = [0, 0];
  // In the order of the table, so that equal tallies look the same.
  for (const [situation, { publicState, blocking, phase, ownership }] of ROWS) {
    const number = situations.get(situation) ?? 0;
    if (number === 0) continue;
    total += number;
    add(states, publicState, number);
    if (blocking !== 'none') add(reasons, blocking, number);
    if (phase === 'active' && ownership !== 'leased') ownerless += number;
  }
  return { laneId, total, states, reasons, ownerless, held };
}

const ROWS = Object.entries(SITUATIONS) as [Situation, (typeof SITUATIONS)[Situation]][];
