/**
 * One partition in memory: the model's tables, and the indexes that make every operation cheap however many
 * executions there are. Indexes follow from the execution before and after an event, so no event knows of them.
 */
import { evolveKnown } from '../../model/evolve.js';
import type { Event, LoggedEvent } from '../../model/events.js';
import type { Store } from '../../model/execute.js';
import type { Execution, ReadonlyExecution } from '../../model/execution/execution.js';
import { isClaimable, isTerminal } from '../../model/execution/situation.js';
import { compareBytes } from '../../model/ids.js';
import { covers, queueScore, requirementSetOf, type RequirementSet } from '../../model/schedule/queue.js';
import { nextTimerAt } from '../../model/schedule/timers.js';
import { emptyPartition, idempotencyId, type Partition } from '../../model/state.js';
import type { View } from '../../model/view.js';
import { BoundedLog } from './bounded-log.js';
import { OrderedIndex, type Position } from './ordered-index.js';
import { RetentionSlots } from './retention-slots.js';

/** Idempotency entries looked at, and dropped when lapsed, per keyed creation. */
const IDEMPOTENCY_SWEEP = 2;

const NO_QUEUES: ReadonlyMap<RequirementSet, OrderedIndex> = new Map();

/** The one score of the index of ids. */
const ID_ALONE = 0;

/** No score and no time is infinite. */
const NONE = Number.POSITIVE_INFINITY;

/** Where an execution stands in the indexes, derived from its state; filled anew for every event. */
class Standing {
  queueScore = NONE;
  timerAt = NONE;
  purgeAt = NONE;

  read(execution: ReadonlyExecution | undefined): void {
    this.queueScore = NONE;
    this.timerAt = NONE;
    this.purgeAt = NONE;
    if (execution === undefined) return;
    if (isTerminal(execution.situation)) {
      this.purgeAt = execution.dueAt ?? NONE;
      return;
    }
    if (isClaimable(execution.situation)) this.queueScore = queueScore(execution);
    this.timerAt = nextTimerAt(execution) ?? NONE;
  }
}

const copyOf = (bytes: Uint8Array | undefined): Uint8Array | undefined =>
  bytes === undefined ? undefined : new Uint8Array(bytes);

export class IndexedStore implements Store, View {
  private readonly partition: Partition = emptyPartition();
  /** By lane and required capabilities, neither of which ever changes. */
  private readonly queues = new Map<string, Map<RequirementSet, OrderedIndex>>();
  private readonly timers = new OrderedIndex();
  private readonly slots = new RetentionSlots();
  /** Every execution, by id alone. */
  private readonly ids = new OrderedIndex();
  private readonly events: BoundedLog;
  /** The last look-up and its result: what a decision looks at is what its event is about. */
  private foundId = '';
  private found: Execution | undefined = undefined;
  private readonly before = new Standing();
  private readonly after = new Standing();

  constructor(
    logMaxEntries: number,
    private readonly onWork: (laneId: string, requirements: RequirementSet) => void,
    private readonly onTimer: (at: number) => void,
  ) {
    this.events = new BoundedLog(logMaxEntries);
  }

  get view(): View {
    return this;
  }

  record(event: Event): void {
    this.events.append(event);
    const known = this.find(event.executionId);
    this.before.read(known);
    const execution = evolveKnown(this.partition.state, event, known);
    const purged = event.type === 'execution_purged';
    this.after.read(purged ? undefined : execution);
    this.reindex(execution);
    if (known === undefined) this.ids.add(ID_ALONE, execution);
    if (purged) this.forget(execution.executionId);
    this.foundId = execution.executionId;
    this.found = purged ? undefined : execution;
    if (event.type === 'execution_created' && event.idempotencyKey !== undefined) this.sweepIdempotency(event.at);
  }

  keepPayload(executionId: string, bytes: Uint8Array): void {
    // Not `slice`: a Buffer's gives a view of the caller's bytes.
    this.partition.payloads.set(executionId, new Uint8Array(bytes));
  }

  keepResult(executionId: string, bytes: Uint8Array): void {
    this.partition.results.set(executionId, new Uint8Array(bytes));
  }

  private find(executionId: string): Execution | undefined {
    if (executionId !== this.foundId) {
      this.found = this.partition.state.executions.get(executionId);
      this.foundId = executionId;
    }
    return this.found;
  }

  private reindex(execution: ReadonlyExecution): void {
    const { before, after } = this;
    const id = execution.executionId;
    if (before.queueScore !== after.queueScore) {
      if (before.queueScore !== NONE) this.leaveQueue(before.queueScore, execution);
      if (after.queueScore !== NONE) this.joinQueue(after.queueScore, execution);
    }
    if (before.timerAt !== after.timerAt) {
      if (before.timerAt !== NONE) this.timers.remove(before.timerAt, id);
      if (after.timerAt !== NONE) this.addTimer(after.timerAt, execution);
    }
    if (before.purgeAt !== after.purgeAt) {
      if (before.purgeAt !== NONE) this.slots.remove(before.purgeAt, id);
      if (after.purgeAt !== NONE) this.slots.add(after.purgeAt, id);
    }
  }

  private joinQueue(score: number, execution: ReadonlyExecution): void {
    const { laneId } = execution;
    const requirements = requirementSetOf(execution);
    let lane = this.queues.get(laneId);
    if (lane === undefined) this.queues.set(laneId, (lane = new Map()));
    let queue = lane.get(requirements);
    if (queue === undefined) lane.set(requirements, (queue = new OrderedIndex()));
    queue.add(score, execution);
    if (queue.size === 1) this.onWork(laneId, requirements);
  }

  private leaveQueue(score: number, execution: ReadonlyExecution): void {
    const requirements = requirementSetOf(execution);
    const lane = this.queues.get(execution.laneId);
    const queue = lane?.get(requirements);
    queue?.remove(score, execution.executionId);
    // The queue of work without requirements is the common case: it stays, the others go when empty.
    if (queue?.size === 0 && requirements !== '') lane?.delete(requirements);
  }

  private addTimer(at: number, execution: ReadonlyExecution): void {
    this.timers.add(at, execution);
    if (this.timers.first === execution) this.onTimer(at);
  }

  private forget(executionId: string): void {
    this.ids.remove(ID_ALONE, executionId);
    this.partition.payloads.delete(executionId);
    this.partition.results.delete(executionId);
  }

  /** Looks at the entries that waited longest for a look; each comes round again, so lapsed ones cannot pile up. */
  private sweepIdempotency(now: number): void {
    const { idempotency } = this.partition.state;
    let looked = 0;
    for (const [key, entry] of idempotency) {
      if (looked++ === IDEMPOTENCY_SWEEP) break;
      idempotency.delete(key);
      if (entry.expiresAt > now) idempotency.set(key, entry);
    }
  }

  // What decisions and reads see.

  execution(executionId: string): ReadonlyExecution | undefined {
    return this.find(executionId);
  }

  idempotent(namespace: string, key: string, now: number): string | undefined {
    const entry = this.partition.state.idempotency.get(idempotencyId(namespace, key));
    return entry !== undefined && entry.expiresAt > now ? entry.executionId : undefined;
  }

  claimable(laneId: string, offered: ReadonlySet<string>, limit: number): readonly ReadonlyExecution[] {
    let claimable: ReadonlyExecution[] = [];
    let sources = 0;
    for (const [requirements, queue] of this.queues.get(laneId) ?? NO_QUEUES) {
      if (queue.size === 0 || !covers(offered, requirements)) continue;
      const head = queue.head(limit);
      claimable = sources++ === 0 ? head : claimable.concat(head);
    }
    if (sources < 2) return claimable;
    return claimable.sort(byQueueScore).slice(0, limit);
  }

  /** Whether work waits in a queue. */
  hasWork(laneId: string, requirements: RequirementSet): boolean {
    return (this.queues.get(laneId)?.get(requirements)?.size ?? 0) > 0;
  }

  due(now: number, limit: number): readonly ReadonlyExecution[] {
    return this.timers.head(limit, now);
  }

  purgeable(now: number, limit: number): readonly string[] {
    return this.slots.due(now, limit);
  }

  nextDueAt(): number | undefined {
    const next = Math.min(this.timers.firstScore ?? NONE, this.slots.first ?? NONE);
    return next === NONE ? undefined : next;
  }

  executionIds(after: string | undefined, limit: number): readonly string[] {
    const page = after === undefined ? this.ids.head(limit) : this.ids.after(ID_ALONE, after, limit);
    return page.map(({ executionId }) => executionId);
  }

  lanes(): readonly string[] {
    return [...this.partition.state.lanes].sort(compareBytes);
  }

  // Copies: what a caller does to its bytes must not reach the next attempt.
  payload(executionId: string): Uint8Array | undefined {
    return copyOf(this.partition.payloads.get(executionId));
  }

  result(executionId: string): Uint8Array | undefined {
    return copyOf(this.partition.results.get(executionId));
  }

  log(after: number, limit: number): readonly LoggedEvent[] {
    return this.events.read(after, limit);
  }

  logEnd(): number {
    return this.events.end;
  }

  /** The tables and indexes as they are, for the canonical state. */
  inspect(): Inspection {
    return {
      partition: this.partition,
      queues: mapValues(this.queues, (lane) => mapValues(lane, (queue) => queue.positions())),
      timers: this.timers.positions(),
      slots: this.slots.entries(),
      ids: Array.from(this.ids.positions(), ({ id }) => id),
    };
  }
}

/** What a partition in memory holds; the iterables are in order and read the indexes as they go. */
export interface Inspection {
  readonly partition: Partition;
  readonly queues: ReadonlyMap<string, ReadonlyMap<RequirementSet, Iterable<Position>>>;
  readonly timers: Iterable<Position>;
  /** Time of the purge, and the ids in no order. */
  readonly slots: Iterable<readonly [number, Iterable<string>]>;
  readonly ids: Iterable<string>;
}

const byQueueScore = (a: ReadonlyExecution, b: ReadonlyExecution): number =>
  queueScore(a) - queueScore(b) || compareBytes(a.executionId, b.executionId);

function mapValues<Key, From, To>(map: ReadonlyMap<Key, From>, to: (value: From) => To): Map<Key, To> {
  return new Map(Array.from(map, ([key, value]) => [key, to(value)]));
}
