/** What decisions and reads see of waiting and due work, and the same by definition. */
import { compareBytes } from '../ids.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { isQueued, isTerminal } from '../execution/situation.js';
import type { Partition } from '../state.js';
import { queueNameOf, queueScore, serves, type Offer } from './queue.js';
import { nextTimerAt } from './timers.js';

export interface ScheduleView {
  /** Work of a lane that an offer can take, in the order of the queue scores, at most `limit`. */
  claimable(laneId: string, offer: Offer, limit: number): readonly ReadonlyExecution[];
  /** Executions with a timer at or before `now`, by (time, id), at most `limit`. */
  due(now: number, limit: number): readonly ReadonlyExecution[];
  /** Terminal executions whose purge is due, earliest slot first, at most `limit`; order inside a slot is free. */
  purgeable(now: number, limit: number): readonly string[];
  /** The earliest time at which anything is due. */
  nextDueAt(): number | undefined;
  /** Lanes that ever had work here, ascending. */
  lanes(): readonly string[];
}

type Timed = readonly [execution: ReadonlyExecution, at: number];

const inTimeOrder = (a: Timed, b: Timed): number => a[1] - b[1] || compareBytes(a[0].executionId, b[0].executionId);

/** The view by definition: every ordered set is a filter and a sort over the executions. */
export function scheduleByDefinition({ state: { tables } }: Partition): ScheduleView {
  const all = (): ReadonlyExecution[] => [...tables.execution.values()];
  const timed = (timeOf: (execution: ReadonlyExecution) => number | undefined): Timed[] =>
    all()
      .flatMap((execution): Timed[] => {
        const at = timeOf(execution);
        return at === undefined ? [] : [[execution, at]];
      })
      .sort(inTimeOrder);
  const purgeTime = ({ situation, dueAt }: ReadonlyExecution): number | undefined =>
    isTerminal(situation) ? dueAt : undefined;
  return {
    claimable: (laneId, offer, limit) =>
      all()
        .filter(
          (execution) => execution.laneId === laneId && isQueued(execution) && serves(offer, queueNameOf(execution)),
        )
        .sort((a, b) => queueScore(a) - queueScore(b) || compareBytes(a.executionId, b.executionId))
        .slice(0, limit),
    due: (now, limit) =>
      timed(nextTimerAt)
        .filter(([, at]) => at <= now)
        .slice(0, limit)
        .map(([execution]) => execution),
    purgeable: (now, limit) =>
      timed(purgeTime)
        .filter(([, at]) => at <= now)
        .slice(0, limit)
        .map(([{ executionId }]) => executionId),
    nextDueAt() {
      const times = [...timed(nextTimerAt), ...timed(purgeTime)].map(([, at]) => at);
      return times.length === 0 ? undefined : Math.min(...times);
    },
    lanes: () => [...tables.lane.keys()].sort(compareBytes),
  };
}
