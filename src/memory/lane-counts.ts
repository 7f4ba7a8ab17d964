/** How many executions each lane has in each situation, kept as the events come. */
import { isHeld, type Situation } from '../../model/execution/situation.js';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { count, emptyTally, type MutableTally, type Tally } from '../../model/schedule/counts.js';

export class LaneCounts {
  private readonly tallies = new Map<string, MutableTally>();
  private situation: Situation | undefined;
  private wasHeld = false;

  /** Remembers what an execution is before an event; nothing when there is none yet. */
  before(execution: ReadonlyExecution | undefined): void {
    this.situation = execution?.situation;
    this.wasHeld = execution !== undefined && isHeld(execution);
  }

  /** Counts what it is after it. `removed`: there is none any more. */
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

  /** By lane; lanes that never had work are not there. */
  entries(): ReadonlyMap<string, Tally> {
    return this.tallies;
  }

  private of(laneId: string): MutableTally {
    let tally = this.tallies.get(laneId);
    if (tally === undefined) this.tallies.set(laneId, (tally = emptyTally()));
    return tally;
  }
}
