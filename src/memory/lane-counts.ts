/** Counts of executions by lane and situation, updated with every event. */
import { isHeld, type Situation } from '../../model/execution/situation.js';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { count, emptyTally, type MutableTally, type Tally } from '../../model/schedule/counts.js';

export class LaneCounts {
  private readonly tallies = new Map<string, MutableTally>();
  private situation: Situation | undefined;
  private wasHeld = false;

  /** Records an execution before an event; undefined if it does not exist yet. */
  before(execution: ReadonlyExecution | undefined): void {
    this.situation = execution?.situation;
    this.wasHeld = execution !== undefined && isHeld(execution);
  }

  /** Updates the counts for the execution after the event. @param removed whether the event removed it */
  after(execution: ReadonlyExecution, removed: boolean): void {
    const situation = removed ? undefined : execution.situation;
    const held = !removed && isHeld(execution);
    const before = this.situation;
    if (situation === before && held === this.wasHeld) return;
    const tally = this.of(execution.laneId);
    if (situation !== before) {
      if (before !== undefined) count(tally, before, -1);
      if (situation !== undefined) count(tally, situation, 1);
    }
    if (held !== this.wasHeld) tally.held += held ? 1 : -1;
  }

  /** The counts by lane; lanes that never had work are absent. */
  entries(): ReadonlyMap<string, Tally> {
    return this.tallies;
  }

  private of(laneId: string): MutableTally {
    let tally = this.tallies.get(laneId);
    if (tally === undefined) this.tallies.set(laneId, (tally = emptyTally()));
    return tally;
  }
}
