/** What decisions and reads see of waiting and due work, and its definition. */
import { present } from '../core/present.js';
import { compareBytes } from '../ids.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { isQueued, isReclaimable, isTerminal } from '../execution/situation.js';
import { entityNamed, type Partition, type PartitionState } from '../state.js';
import type { Position } from '../listing/position.js';
import { TIMED_KINDS, type DueEntity } from './due.js';
import { talliesByDefinition, type Tally } from './counts.js';
import { fits, partsOf, queueNameOf, queueScore, serves, type ClaimTerms, type Wanted } from './queue.js';
import type { Lane } from '../lane/lane.js';
import type { QueueHead } from './queue-heads.js';
import { timerMember } from './timers.js';

/** Whether a scheduler looks for waiting work, or for work that its last owner lost. */
export type Among = 'waiting' | 'lost';

export interface ScheduleView {
  /** Whether a lane had work, or a state, here. */
  lane(laneId: string): Readonly<Lane> | undefined;
  /** Work of a lane that a claim can take, in score order, at most `limit`; none while the lane is paused. */
  claimable(laneId: string, terms: ClaimTerms, limit: number): readonly ReadonlyExecution[];
  /** The first entry of each unmetered queue of an open lane, in any order. */
  heads(laneId: string): readonly QueueHead[];
  /** Ids of waiting or lost work in the same order, at most `limit`; none of a paused lane. */
  eligible(laneId: string, wanted: Wanted, among: Among, limit: number): readonly string[];
  /** Entities with a timer at or before `now`, by (time, kind, id), after this execution, at most `limit`. */
  due(now: number, limit: number, after?: Position): readonly DueEntity[];
  /** Terminal executions whose purge is due, earliest slot first, at most `limit`; order inside a slot is free. */
  purgeable(now: number, limit: number): readonly string[];
  /** The earliest time at which anything is due; timers up to `passed` are not counted. */
  nextDueAt(passed?: number): number | undefined;
  /** Lanes that had work or a state here, ascending, after this one, at most `limit`. */
  lanes(after: string | undefined, limit: number): readonly string[];
  /** Executions by lane and situation, for at least these lanes; a lane without executions may be left out. */
  tallies(laneIds: readonly string[]): ReadonlyMap<string, Tally | 'damaged'>;
}

const inQueueOrder = (a: ReadonlyExecution, b: ReadonlyExecution): number =>
  queueScore(a) - queueScore(b) || compareBytes(a.executionId, b.executionId);

/** The first `limit` lanes behind `after`, of all lanes in ascending order. */
export function lanesAfter(lanes: readonly string[], after: string | undefined, limit: number): readonly string[] {
  const from = after === undefined ? 0 : lanes.findIndex((lane) => compareBytes(lane, after) > 0);
  return from < 0 ? [] : lanes.slice(from, from + limit);
}

/** What callers see of the first execution of a queue. */
export function headOf({ laneId, requiredCapabilities, executionKind, priority }: ReadonlyExecution): QueueHead {
  return { laneId, requiredCapabilities, executionKind, priority };
}

/** An entry of an index ordered by time, with its name. */
interface Timed<Item> {
  readonly item: Item;
  readonly member: string;
  readonly at: number;
}

const inTimeOrder = (a: Timed<unknown>, b: Timed<unknown>): number => a.at - b.at || compareBytes(a.member, b.member);

/** Whether a timer comes after that of an execution, which may be gone. */
const isBehind =
  (after: Position | undefined) =>
  (timed: Timed<unknown>): boolean =>
    after === undefined ||
    inTimeOrder(timed, { item: undefined, member: timerMember('execution', after.executionId), at: after.score }) > 0;

/** Every entity with a timer, in the order of the timers index. */
export function timersByDefinition({ tables }: PartitionState): Timed<DueEntity>[] {
  return TIMED_KINDS.flatMap((kind) =>
    Array.from(tables[kind] as ReadonlyMap<string, object>).flatMap(([id, entity]): Timed<DueEntity>[] => {
      const at = entityNamed(kind).timerOf?.(entity as never);
      return at === undefined ? [] : [{ item: { kind, entity } as DueEntity, member: timerMember(kind, id), at }];
    }),
  ).sort(inTimeOrder);
}

/** The view by definition: every ordered set is a filter and a sort over the executions. */
export function scheduleByDefinition({ state }: Partition): ScheduleView {
  const { tables } = state;
  const all = (): ReadonlyExecution[] => [...tables.execution.values()];
  const purges = (): Timed<string>[] =>
    all()
      .flatMap(({ executionId: id, situation, dueAt, flow }): Timed<string>[] =>
        isTerminal(situation) && dueAt !== undefined && flow === undefined ? [{ item: id, member: id, at: dueAt }] : [],
      )
      .sort(inTimeOrder);
  const isPaused = (laneId: string): boolean => tables.lane.get(laneId)?.laneState === 'paused';
  const until = <Item>(timed: readonly Timed<Item>[], now: number, limit: number): Item[] =>
    timed
      .filter(({ at }) => at <= now)
      .slice(0, limit)
      .map(({ item }) => item);
  return {
    lane: (laneId) => tables.lane.get(laneId),
    claimable: (laneId, terms, limit) =>
      all()
        .filter(
          (execution) =>
            execution.laneId === laneId &&
            isQueued(execution) &&
            serves(terms, partsOf(execution)) &&
            !isPaused(laneId),
        )
        .sort(inQueueOrder)
        .slice(0, limit),
    heads(laneId) {
      if (isPaused(laneId)) return [];
      const queued = all().filter(
        (execution) => execution.laneId === laneId && execution.meters.length === 0 && isQueued(execution),
      );
      const names = new Set(queued.map(queueNameOf));
      return [...names].map((name) => {
        const [head] = queued.filter((execution) => queueNameOf(execution) === name).sort(inQueueOrder);
        return headOf(present(head));
      });
    },
    eligible: (laneId, wanted, among, limit) =>
      all()
        .filter(
          (execution) =>
            execution.laneId === laneId &&
            isQueued(execution) &&
            !isPaused(laneId) &&
            isReclaimable(execution.situation) === (among === 'lost') &&
            fits(wanted, partsOf(execution)),
        )
        .sort(inQueueOrder)
        .slice(0, limit)
        .map(({ executionId }) => executionId),
    due: (now, limit, after) => until(timersByDefinition(state).filter(isBehind(after)), now, limit),
    purgeable: (now, limit) => until(purges(), now, limit),
    nextDueAt(passed = -Infinity) {
      const timers = timersByDefinition(state).filter(({ at }) => at > passed);
      const times = [...timers, ...purges()].map(({ at }) => at);
      return times.length === 0 ? undefined : Math.min(...times);
    },
    lanes: (after, limit) => lanesAfter([...tables.lane.keys()].sort(compareBytes), after, limit),
    tallies: () => talliesByDefinition(all()),
  };
}
