/**
 * How many executions a lane has in each situation: exact, and kept by the events that change them. What dashboards show
 * and alarms are set on. What each number means is said here; backends keep them as the events come.
 */
import type { ReadonlyExecution } from '../execution/facts.js';
import { isHeld, SITUATIONS, type BlockingReason, type PublicState, type Situation } from '../execution/situation.js';

/** Executions of one lane by situation, and how many of them an operator holds. A situation that is not there has none. */
export interface Tally {
  readonly situations: ReadonlyMap<Situation, number>;
  readonly held: number;
}

/** A tally while it is counted. */
export interface MutableTally {
  readonly situations: Map<Situation, number>;
  held: number;
}

export const emptyTally = (): MutableTally => ({ situations: new Map(), held: 0 });

/** Counts one more, or one less, in a situation. */
export function count(tally: MutableTally, situation: Situation, change: 1 | -1): void {
  // Zeros stay: situations come and go, and there are few of them.
  tally.situations.set(situation, (tally.situations.get(situation) ?? 0) + change);
}

/** The tallies by definition: every execution is looked at. Lanes of which none is left are not there. */
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
  /** By public state; states in which there are none are left out. */
  readonly states: Readonly<Partial<Record<PublicState, number>>>;
  /**
   * Why those that do not run, and have not ended, do not; reasons of which there are none are left out. What waits for a
   * worker includes what lost its owner and what is held.
   */
  readonly reasons: Readonly<Partial<Record<BlockingReason, number>>>;
  /** Of the active ones: those whose lease lapsed or was revoked, and that nobody has taken over yet. */
  readonly ownerless: number;
  /** Held by an operator, whatever their state. */
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
  // In the order of the table, so that two equal tallies read the same.
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
