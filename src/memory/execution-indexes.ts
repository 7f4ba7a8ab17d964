/**
 * The indexes of the executions of a partition. They are updated from an execution before and after each event,
 * independently of the kind of event.
 */
import type { Event } from '../../model/events.js';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { FlowIndex } from './flow-index.js';
import { LaneCounts } from './lane-counts.js';
import { ID_ALONE } from './lists.js';
import { OrderedIndex } from './ordered-index.js';
import { RetentionSlots } from './retention-slots.js';
import { NONE, Standing } from './standing.js';
import { Timers } from './timers.js';
import { WorkQueues, type WorkQueue } from './work-queues.js';

export interface IndexListener {
  /** A queue has a new first execution. */
  onHead(execution: ReadonlyExecution): void;
  /** The earliest timer is now this one. */
  onTimer(at: number): void;
}

export class ExecutionIndexes {
  readonly queues = new WorkQueues();
  readonly timers: Timers;
  readonly slots = new RetentionSlots();
  readonly counts = new LaneCounts();
  readonly flows = new FlowIndex();
  /** Suspended executions, by the end of the suspension. */
  readonly suspended = new OrderedIndex<ReadonlyExecution>();
  /** All executions by id. */
  readonly ids = new OrderedIndex<ReadonlyExecution>();
  private readonly before = new Standing();
  private readonly after = new Standing();

  constructor(private readonly listener: IndexListener) {
    this.timers = new Timers((at) => listener.onTimer(at));
  }

  /** Call this before a change of an execution; undefined if it does not exist yet. */
  standBefore(known: ReadonlyExecution | undefined): void {
    this.before.read(known);
    this.counts.before(known);
    this.flows.before(known);
  }

  /** Updates the indexes after the change. @returns whether the change ended the execution */
  standAfter(execution: ReadonlyExecution, removed: boolean, event?: Event): boolean {
    this.after.read(removed ? undefined : execution);
    this.counts.after(execution, removed);
    this.flows.after(execution, removed, event);
    this.reindex(execution);
    return this.after.ended && !this.before.ended;
  }

  add(execution: ReadonlyExecution): void {
    this.ids.add(ID_ALONE, execution.executionId, execution);
  }

  remove(executionId: string): void {
    this.ids.remove(ID_ALONE, executionId);
  }

  private reindex(execution: ReadonlyExecution): void {
    const { before, after } = this;
    const id = execution.executionId;
    if (before.queueScore !== after.queueScore) {
      if (before.queueScore !== NONE) this.queues.leave(before.queueScore, execution);
      if (after.queueScore !== NONE && this.queues.join(after.queueScore, execution)) this.listener.onHead(execution);
    }
    if (before.timerAt !== after.timerAt) {
      if (before.timerAt !== NONE) this.timers.remove(before.timerAt, id);
      if (after.timerAt !== NONE) this.timers.add(after.timerAt, execution);
    }
    if (before.purgeAt !== after.purgeAt) {
      if (before.purgeAt !== NONE) this.slots.remove(before.purgeAt, id);
      if (after.purgeAt !== NONE) this.slots.add(after.purgeAt, id);
    }
    if (before.suspendedUntil !== after.suspendedUntil) {
      if (before.suspendedUntil !== NONE) this.suspended.remove(before.suspendedUntil, id);
      if (after.suspendedUntil !== NONE) this.suspended.add(after.suspendedUntil, id, execution);
    }
  }
}

/** The first execution of each queue. */
export function* headsOf(queues: Iterable<WorkQueue>): Generator<ReadonlyExecution, void, undefined> {
  for (const { work } of queues) if (work.first !== undefined) yield work.first;
}
