/**
 * One partition in memory: the model's tables, and indexes that keep every operation cheap with any number of
 * executions.
 */
import type { ByteSlot, Find } from '../../model/core/entity.js';
import type { Applier } from '../../model/operation.js';
import { ownMember } from '../../model/core/own-member.js';
import { present } from '../../model/core/present.js';
import type { Event, LoggedEvent } from '../../model/events.js';
import { applyEffect, droppedBy, EFFECTS, type Effect } from '../../model/evolve.js';
import type { Store } from '../../model/execute.js';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { generationOf } from '../../model/partition/cursor.js';
import { NO_NOTICES, passNotices, type Notices } from '../../model/partition/notices.js';
import type { Tally } from '../../model/schedule/counts.js';
import { nameOfQueue } from '../../model/schedule/queue.js';
import { namesIn } from '../../model/quota/entity.js';
import { exhaustedIn } from '../../model/budget/reads.js';
import { trimFloor } from '../../model/reader/entity.js';
import { emptyPartition, entityNamed, type EntityKind, type Header, type Partition } from '../../model/state.js';
import { addStep, dropSteps, type Recording } from '../../model/step/contents.js';
import { append, type Append } from '../../model/stream/contents.js';
import { endsAttempt } from '../../model/stream/closing.js';
import { executionOfStream } from '../../model/stream/facts.js';
import { dropPayloads, keepPayload, type SignalPayload } from '../../model/suspension/payloads.js';
import type { View } from '../../model/view.js';
import { BoundedLog } from './bounded-log.js';
import { ExecutionIndexes, headsOf } from './execution-indexes.js';
import type { Position } from './ordered-index.js';
import { copyOf, givesWork, viewOf } from './views.js';

/** Keys checked with each new one, and dropped if lapsed. */
const LAPSED_SWEEP = 2;

/** Watches checked per call, and dropped if lapsed. */
const WATCHES_SWEPT = 2;

/** Notices of a store; appends, ends and frames only while they are watched. */
export interface StoreListener {
  onHead(execution: ReadonlyExecution): void;
  onTimer(at: number): void;
  /** The log has a new entry. Called while the log is watched. */
  onAppended(): void;
  /** There is room for a waiting claimer of metered work. */
  onRoom(waiter: string, wanted: number): void;
  /** A budget that was exhausted has room again. */
  onBudgetRoom(budgetId: string): void;
  /** An execution ended. Called while ends are watched. */
  onEnded(executionId: string): void;
  /** A stream of an execution has new frames, or an attempt of it ended. Called while the execution is watched. */
  onFrames(executionId: string): void;
}

/** The stored facts of the header and the log. */
export interface StoredHeader extends Pick<Header, 'generation' | 'sequence' | 'time'> {
  /** Number of entries that fit the log, which readers may have increased. */
  readonly room: number;
}

export class IndexedStore implements Store {
  readonly view: View;
  protected readonly partition: Partition = emptyPartition();
  private readonly indexes: ExecutionIndexes;
  private readonly log: BoundedLog;

  constructor(
    readonly partitionKey: string,
    logMaxEntries: number,
    private readonly listener: StoreListener,
  ) {
    this.log = new BoundedLog(logMaxEntries);
    this.indexes = new ExecutionIndexes({
      onHead: (execution) => {
        if (givesWork(this.partition, execution.laneId)) listener.onHead(execution);
      },
      onTimer: (at) => listener.onTimer(at),
    });
    this.view = viewOf(this.partition, this.indexes, this.log);
  }

  record(event: Event): void {
    this.append(event);
    for (const effect of EFFECTS[event.type]) {
      if (effect.kind === 'execution') this.applyToExecution(event, effect);
      else this.applyToOther(event, effect);
    }
    dropSteps(this.partition.steps, event);
    dropPayloads(this.partition.payloads, event);
    if (event.type === 'execution_created' && event.idempotencyKey !== undefined)
      this.sweep('idempotency_key', event.at);
    if ('usageKey' in event && event.usageKey !== undefined) this.sweep('usage_key', event.at);
  }

  private applyToExecution(event: Event, effect: Effect): void {
    const { executionId } = event as Extract<Event, { executionId: string }>;
    const { indexes, partition } = this;
    const known = partition.state.tables.execution.get(executionId);
    indexes.standBefore(known);
    const execution = applyEffect(partition.state, event, effect, known) as ReadonlyExecution;
    const removed = effect.recipe.does === 'removes';
    const hasEnded = indexes.standAfter(execution, removed, event);
    if (known === undefined) indexes.add(execution);
    if (hasEnded && partition.header.notices.endsUntil !== undefined) this.listener.onEnded(executionId);
    if (partition.watches.size > 0 && endsAttempt(event, execution)) this.tellFrames(executionId, event.at);
    if (removed) indexes.remove(executionId);
    for (const slot of droppedBy(effect.recipe)) partition.bytes[slot].delete(executionId);
  }

  /** Notifies the claimers that an event of a quota policy wakes. Call it before the event, which removes them. */
  private wakeWaiters(event: Event): void {
    if (event.type !== 'quota_released' && event.type !== 'quota_window_moved') return;
    const { waiters } = this.partition.state.tables.quota_policy.get(event.quotaPolicyId) ?? {};
    for (const name of namesIn(event.woken)) this.listener.onRoom(name, ownMember(waiters, name)?.wanted ?? 1);
  }

  /** Whether the budget of an event is exhausted in a dimension. */
  private isExhausted(event: Event): boolean {
    const budget = 'budgetId' in event ? this.partition.state.tables.budget.get(event.budgetId) : undefined;
    return budget !== undefined && exhaustedIn(budget).length > 0;
  }

  private applyToOther(event: Event, effect: Effect): void {
    if (effect.kind === 'quota_policy') this.wakeWaiters(event);
    const wasExhausted = effect.kind === 'budget' && this.isExhausted(event);
    const wasPaused = effect.kind === 'lane' && 'laneId' in event && !givesWork(this.partition, event.laneId);
    const entity = applyEffect(this.partition.state, event, effect) as Record<string, string> | undefined;
    if (entity === undefined) return;
    const id = present(entity[effect.key]);
    if (wasExhausted && !this.isExhausted(event)) this.listener.onBudgetRoom(id);
    if (wasPaused) this.announceLane(id);
    if (effect.recipe.does === 'removes') this.partition.bytes.secret.delete(id);
    if (effect.kind === 'stream' && effect.recipe.does === 'removes') this.partition.streams.delete(id);
    this.indexes.timers.note(effect.kind, id, effect.recipe.does === 'removes' ? undefined : entity);
    if (effect.kind === 'reader') this.holdBack();
    if (effect.kind === 'flow' && effect.recipe.does === 'removes') this.indexes.flows.drop(id);
  }

  /** Keeps the log entries that readers need. */
  private holdBack(): void {
    const { header, state } = this.partition;
    this.log.holdBack(trimFloor(state.tables.reader.values(), header.generation));
  }

  /** After a change of a lane that was paused: announces its waiting work, which was not announced meanwhile. */
  private announceLane(laneId: string): void {
    if (givesWork(this.partition, laneId))
      for (const first of headsOf(this.indexes.queues.ofLane(laneId))) this.listener.onHead(first);
  }

  appendFrame(given: Append): void {
    const { streamId, counters, frame } = given;
    append(this.partition.streams, { ...given, frame: { ...frame, payload: Buffer.from(frame.payload) } });
    if (this.partition.watches.size > 0) this.tellFrames(executionOfStream(streamId), counters.lastFrameAt);
  }

  watch(executionId: string, until: number): void {
    const { watches } = this.partition;
    // Every call moves some of the oldest watches to the end of the map or drops them, so lapsed ones cannot pile up.
    watches.delete(executionId);
    let looked = 0;
    for (const [other, otherUntil] of watches) {
      if (looked++ === WATCHES_SWEPT) break;
      watches.delete(other);
      if (otherUntil > this.partition.header.time) watches.set(other, otherUntil);
    }
    watches.set(executionId, until);
  }

  private tellFrames(executionId: string, at: number): void {
    const until = this.partition.watches.get(executionId);
    if (until !== undefined && until > at) this.listener.onFrames(executionId);
  }

  keepPayload({ bytes, ...of }: SignalPayload): void {
    keepPayload(this.partition.payloads, { ...of, bytes: Buffer.from(bytes) });
  }

  /** Stores a copy of the value, because the caller may change its bytes. */
  addStep({ executionId, record }: Recording): void {
    addStep(this.partition.steps, { executionId, record: { ...record, value: copyOf(record.value) } });
  }

  keep(slot: ByteSlot, executionId: string, bytes: Uint8Array): void {
    this.partition.bytes[slot].set(executionId, Buffer.from(bytes));
  }

  /** Changes the number of entries that the log keeps. */
  limitLog(maxEntries: number): void {
    this.log.limit(maxEntries);
  }

  /** Restores a stored entity, with its index entries. */
  restore(kind: EntityKind, id: string, entity: object): void {
    const table = this.partition.state.tables[kind] as Map<string, object>;
    if (table.has(id)) return;
    table.set(id, entity);
    if (kind !== 'execution') {
      this.indexes.timers.note(kind, id, entity);
      return;
    }
    const execution = entity as ReadonlyExecution;
    this.indexes.standBefore(undefined);
    this.indexes.standAfter(execution, false);
    this.indexes.flows.restore(execution);
    this.indexes.add(execution);
  }

  /** Restores a stored log entry. */
  restoreEntry(entry: LoggedEvent): void {
    this.log.restore(entry);
  }

  /** Restores the header and the room of the log. */
  restoreHeader({ generation, sequence, time, room }: StoredHeader): void {
    Object.assign(this.partition.header, { generation, sequence, time });
    this.log.restoreRoom(room);
  }

  /** Call this when everything is restored. */
  restored(): void {
    this.log.endAt(this.partition.header.sequence);
    this.holdBack();
  }

  get storedHeader(): StoredHeader {
    const { generation, sequence, time } = this.partition.header;
    return { generation, sequence, time, room: this.log.room };
  }

  leaveTo(applier: Applier | undefined): void {
    this.partition.header.applier = applier;
  }

  announce(notices: Notices): void {
    this.partition.header.notices = notices;
  }

  /** The first execution of the queue that this one is or was in. */
  headOf(execution: ReadonlyExecution): ReadonlyExecution | undefined {
    return this.indexes.queues.queueOf(execution)?.work.first;
  }

  private append(event: Event): void {
    const { header } = this.partition;
    if (header.sequence === 0) header.generation = generationOf(event.at);
    header.sequence += 1;
    header.time = event.at;
    if (header.notices !== NO_NOTICES) {
      if (header.notices.appends) this.listener.onAppended();
      passNotices(header, event.at);
    }
    this.log.append(event);
  }

  /** Checks the entries with the oldest check; checked ones move to the end, so dead ones cannot pile up. */
  private sweep(kind: 'idempotency_key' | 'usage_key', now: number): void {
    const { tables } = this.partition.state;
    const table: Map<string, object> = tables[kind];
    const { isLive } = entityNamed(kind);
    const find: Find = (other, id) => tables[other as EntityKind].get(id);
    let looked = 0;
    for (const [name, entry] of table) {
      if (looked++ === LAPSED_SWEEP) break;
      table.delete(name);
      if (isLive?.(entry as never, now, find)) table.set(name, entry);
    }
  }

  get executionCount(): number {
    return this.partition.state.tables.execution.size;
  }

  /** The tables and indexes, for the canonical state. */
  inspect(): Inspection {
    return {
      partition: this.partition,
      queues: new Map(
        Array.from(this.indexes.queues.all(), ([laneId, { parts, work }]) => [
          `${laneId}\t${nameOfQueue(parts)}`,
          work.positions(),
        ]),
      ),
      timers: this.indexes.timers.positions(),
      suspended: this.indexes.suspended.positions(),
      counts: this.indexes.counts.entries(),
      slots: this.indexes.slots.entries(),
      ids: Array.from(this.indexes.ids.positions(), ({ id }) => id),
    };
  }
}

/** The contents of a partition in memory; the iterables are ordered and read the indexes lazily. */
export interface Inspection {
  readonly partition: Partition;
  /** By lane, tab and name of the queue. */
  readonly queues: ReadonlyMap<string, Iterable<Position>>;
  readonly timers: Iterable<Position>;
  readonly suspended: Iterable<Position>;
  readonly counts: ReadonlyMap<string, Tally>;
  /** Time of the purge, and the unordered ids. */
  readonly slots: Iterable<readonly [number, Iterable<string>]>;
  readonly ids: Iterable<string>;
}
