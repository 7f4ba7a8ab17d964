/**
 * The work queues of a partition in memory: one for each lane, meter set, kind and set of needs. A claim reads only the
 * queues of its lane and meter set.
 */
import { compareBytes } from '../../model/ids.js';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import type { MeteredQueue } from '../../model/metering/view.js';
import {
  FIRST_WAITING_SCORE,
  fits,
  partsOf,
  queueScore,
  serves,
  type ClaimTerms,
  type QueueParts,
  type Wanted,
} from '../../model/schedule/queue.js';
import type { Among } from '../../model/schedule/view.js';
import { OrderedIndex } from './ordered-index.js';

/** A queue, and the facts that all of its work shares. */
export interface WorkQueue {
  readonly parts: QueueParts;
  readonly work: OrderedIndex<ReadonlyExecution>;
}

/** The queues of one lane and meter set, by `keyOf`. */
type Queues = Map<string, WorkQueue>;

interface LaneQueues {
  readonly unmetered: Queues;
  /** By meter set. */
  readonly metered: Map<string, Queues>;
}

const NONE: ReadonlyMap<string, never> = new Map<string, never>();

/** The key of a queue: for work without needs, the kind alone, which needs no new text. No kind contains a tab. */
const keyOf = ({ needs, executionKind }: QueueParts): string =>
  needs === '' ? executionKind : `${needs}\t${executionKind}`;

export class WorkQueues {
  private readonly lanes = new Map<string, LaneQueues>();

  /** Adds work to its queue. @returns whether it is the first there */
  join(score: number, execution: ReadonlyExecution): boolean {
    const parts = partsOf(execution);
    const queues = this.queuesFor(execution.laneId, parts.meters);
    const key = keyOf(parts);
    let queue = queues.get(key);
    if (queue === undefined) queues.set(key, (queue = { parts, work: new OrderedIndex<ReadonlyExecution>() }));
    queue.work.add(score, execution.executionId, execution);
    return queue.work.first === execution;
  }

  leave(score: number, execution: ReadonlyExecution): void {
    const { laneId, executionId } = execution;
    const parts = partsOf(execution);
    const lane = this.lanes.get(laneId);
    const queues = parts.meters === '' ? lane?.unmetered : lane?.metered.get(parts.meters);
    const key = keyOf(parts);
    const work = queues?.get(key)?.work;
    work?.remove(score, executionId);
    if (queues === undefined || work === undefined || work.size > 0) return;
    // One empty queue may stay, for the common lane of one kind. Others are deleted, or queues and meter sets pile up.
    if (queues.size > 1) queues.delete(key);
    else if (parts.meters !== '') lane?.metered.delete(parts.meters);
  }

  /** The queue of work like this; undefined if it does not exist. */
  queueOf(like: MeteredQueue): WorkQueue | undefined {
    const parts = partsOf(like);
    return this.ofSet(like.laneId, parts.meters).get(keyOf(parts));
  }

  /** The queues of a lane for work without meters. */
  unmetered(laneId: string): Iterable<WorkQueue> {
    return this.ofSet(laneId, '').values();
  }

  /** The queues of a lane for metered work. */
  *metered(laneId: string): Generator<WorkQueue, void, undefined> {
    for (const queues of this.lanes.get(laneId)?.metered.values() ?? []) yield* queues.values();
  }

  /** Every queue of a lane. */
  *ofLane(laneId: string): Generator<WorkQueue, void, undefined> {
    yield* this.unmetered(laneId);
    yield* this.metered(laneId);
  }

  /** Every queue, with its lane. */
  *all(): Generator<[laneId: string, WorkQueue], void, undefined> {
    for (const laneId of this.lanes.keys()) for (const queue of this.ofLane(laneId)) yield [laneId, queue];
  }

  /** Executions that a claim can take, in the order of the queue scores, at most `limit`. */
  claimable(laneId: string, terms: ClaimTerms, limit: number): readonly ReadonlyExecution[] {
    let claimable: readonly ReadonlyExecution[] = [];
    let sources = 0;
    for (const { parts, work } of this.ofSet(laneId, terms.meters).values()) {
      if (work.size === 0 || !serves(terms, parts)) continue;
      const head = work.head(limit);
      claimable = sources++ === 0 ? head : claimable.concat(head);
    }
    return sources < 2 ? claimable : [...claimable].sort(inQueueOrder).slice(0, limit);
  }

  /** Ids of waiting, or of lost, executions in the same order, at most `limit`. */
  eligible(laneId: string, wanted: Wanted, among: Among, limit: number): readonly string[] {
    const found: ReadonlyExecution[] = [];
    for (const { parts, work } of this.ofLane(laneId)) {
      if (!fits(wanted, parts)) continue;
      const page =
        among === 'lost' ? work.head(limit, FIRST_WAITING_SCORE - 1) : work.after(FIRST_WAITING_SCORE, '', limit);
      found.push(...page);
    }
    return found
      .sort(inQueueOrder)
      .slice(0, limit)
      .map(({ executionId }) => executionId);
  }

  private ofSet(laneId: string, meters: string): ReadonlyMap<string, WorkQueue> {
    const lane = this.lanes.get(laneId);
    return (meters === '' ? lane?.unmetered : lane?.metered.get(meters)) ?? NONE;
  }

  private queuesFor(laneId: string, meters: string): Queues {
    let lane = this.lanes.get(laneId);
    if (lane === undefined) this.lanes.set(laneId, (lane = { unmetered: new Map(), metered: new Map() }));
    if (meters === '') return lane.unmetered;
    let queues = lane.metered.get(meters);
    if (queues === undefined) lane.metered.set(meters, (queues = new Map()));
    return queues;
  }
}

export const inQueueOrder = (a: ReadonlyExecution, b: ReadonlyExecution): number =>
  queueScore(a) - queueScore(b) || compareBytes(a.executionId, b.executionId);
