/**
 * One partition in memory: the model's tables, and indexes that keep every operation cheap with any number of
 * executions. Indexes are updated from the execution before and after each event, independently of the kind of event.
 */
import type { ByteSlot } from '../../model/core/entity.js';
import type { Applier } from '../../model/operation.js';
import { budgetsByDefinition } from '../../model/budget/view.js';
import { present } from '../../model/core/present.js';
import type { Event, LoggedEvent } from '../../model/events.js';
import { applyEffect, droppedBy, EFFECTS, type Effect } from '../../model/evolve.js';
import type { Store } from '../../model/execute.js';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { idempotencyId } from '../../model/execution/idempotency.js';
import { wholeOf, type ExecutionView } from '../../model/execution/view.js';
import { compareBytes } from '../../model/ids.js';
import { lostByDefinition } from '../../model/lease/expired.js';
import { generationOf } from '../../model/partition/cursor.js';
import { NO_NOTICES, passNotices, type Notices } from '../../model/partition/notices.js';
import type { LogView } from '../../model/partition/view.js';
import type { Tally } from '../../model/schedule/counts.js';
import { quarantineByDefinition } from '../../model/partition/quarantine.js';
import { nameOfQueue } from '../../model/schedule/queue.js';
import { namesIn } from '../../model/quota/entity.js';
import { exhaustedIn } from '../../model/budget/reads.js';
import { leastUrgentFrom } from '../../model/metering/line.js';
import { quotasByDefinition } from '../../model/quota/view.js';
import { placed, type MeteringView } from '../../model/metering/view.js';
import { trimFloor } from '../../model/reader/entity.js';
import { headOf, lanesAfter, type ScheduleView } from '../../model/schedule/view.js';
import { signingByDefinition } from '../../model/signing/view.js';
import { emptyPartition, type EntityKind, type Header, type Partition } from '../../model/state.js';
import { addStep, dropSteps, type Recording } from '../../model/step/contents.js';
import { stepsByDefinition } from '../../model/step/view.js';
import { append, type Append } from '../../model/stream/contents.js';
import { endsAttempt } from '../../model/stream/closing.js';
import { executionOfStream } from '../../model/stream/facts.js';
import { streamsByDefinition } from '../../model/stream/view.js';
import { dropPayloads, keepPayload, type SignalPayload } from '../../model/suspension/payloads.js';
import { workersByDefinition } from '../../model/worker/view.js';
import type { View } from '../../model/view.js';
import { BoundedLog } from './bounded-log.js';
import { FlowIndex } from './flow-index.js';
import { LaneCounts } from './lane-counts.js';
import { ID_ALONE, listedPage, possiblyLost, queuedPage, suspendedPage } from './lists.js';
import { OrderedIndex, type Position } from './ordered-index.js';
import { RetentionSlots } from './retention-slots.js';
import { NONE, Standing } from './standing.js';
import { Timers } from './timers.js';
import { WorkQueues, type WorkQueue } from './work-queues.js';

/** Keys checked with each new one, and dropped if lapsed. */
const LAPSED_SWEEP = 2;

/** Watches checked per call, and dropped if lapsed. */
const WATCHES_SWEPT = 2;

/** Copies bytes, because callers may change theirs. */
const copyOf = (bytes: Uint8Array | undefined): Buffer | undefined =>
  bytes === undefined ? undefined : Buffer.from(bytes);

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
  private readonly queues = new WorkQueues();
  private readonly timers = new Timers((at) => this.listener.onTimer(at));
  private readonly slots = new RetentionSlots();
  private readonly counts = new LaneCounts();
  private laneNames: readonly string[] = [];
  private readonly flows = new FlowIndex();
  /** Suspended executions, by the end of the suspension. */
  private readonly suspended = new OrderedIndex<ReadonlyExecution>();
  /** All executions by id. */
  private readonly ids = new OrderedIndex<ReadonlyExecution>();
  private readonly log: BoundedLog;
  private readonly before = new Standing();
  private readonly after = new Standing();

  constructor(
    readonly partitionKey: string,
    logMaxEntries: number,
    private readonly listener: StoreListener,
  ) {
    this.log = new BoundedLog(logMaxEntries);
    this.view = {
      // A partition has a few keys.
      signing: signingByDefinition(this.partition),
      executions: this.executionView(),
      schedule: this.scheduleView(),
      streams: streamsByDefinition(this.partition),
      steps: stepsByDefinition(this.partition),
      log: this.logView(),
      // Found by id; only their list scans all of them.
      budgets: budgetsByDefinition(this.partition),
      quarantine: quarantineByDefinition(),
      metering: this.meteringView(),
      workers: workersByDefinition(this.partition),
      quotas: quotasByDefinition(this.partition),
      flows: this.flows.view(this.partition.state),
    };
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
    const known = this.partition.state.tables.execution.get(executionId);
    this.standBefore(known);
    const execution = applyEffect(this.partition.state, event, effect, known) as ReadonlyExecution;
    const removed = effect.recipe.does === 'removes';
    this.standAfter(execution, removed, event);
    if (known === undefined) this.ids.add(ID_ALONE, executionId, execution);
    if (this.after.ended && !this.before.ended && this.partition.header.notices.endsUntil !== undefined)
      this.listener.onEnded(executionId);
    if (this.partition.watches.size > 0 && endsAttempt(event)) this.tellFrames(executionId, event.at);
    if (removed) this.ids.remove(ID_ALONE, executionId);
    for (const slot of droppedBy(effect.recipe)) this.partition.bytes[slot].delete(executionId);
  }

  /** Records the index entries of an execution before a change; undefined if it does not exist yet. */
  private standBefore(known: ReadonlyExecution | undefined): void {
    this.before.read(known);
    this.counts.before(known);
    this.flows.before(known);
  }

  /** Updates the indexes after the change. */
  private standAfter(execution: ReadonlyExecution, removed: boolean, event?: Event): void {
    this.after.read(removed ? undefined : execution);
    this.counts.after(execution, removed);
    this.flows.after(execution, removed, event);
    this.reindex(execution);
  }

  /** Notifies the claimers that an event of a quota policy wakes. Call it before the event, which removes them. */
  private wakeWaiters(event: Event): void {
    if (event.type !== 'quota_released' && event.type !== 'quota_window_moved') return;
    const { waiters } = this.partition.state.tables.quota_policy.get(event.quotaPolicyId) ?? {};
    for (const name of namesIn(event.woken)) this.listener.onRoom(name, waiters?.[name]?.wanted ?? 1);
  }

  /** Whether the budget of an event is exhausted in a dimension. */
  private isExhausted(event: Event): boolean {
    const budget = 'budgetId' in event ? this.partition.state.tables.budget.get(event.budgetId) : undefined;
    return budget !== undefined && exhaustedIn(budget).length > 0;
  }

  private applyToOther(event: Event, effect: Effect): void {
    if (effect.kind === 'quota_policy') this.wakeWaiters(event);
    const wasExhausted = effect.kind === 'budget' && this.isExhausted(event);
    const wasPaused = effect.kind === 'lane' && 'laneId' in event && !this.gives(event.laneId);
    const entity = applyEffect(this.partition.state, event, effect) as Record<string, string> | undefined;
    if (entity === undefined) return;
    const id = present(entity[effect.key]);
    if (wasExhausted && !this.isExhausted(event)) this.listener.onBudgetRoom(id);
    if (wasPaused) this.announceLane(id);
    if (effect.recipe.does === 'removes') this.partition.bytes.secret.delete(id);
    if (effect.kind === 'stream' && effect.recipe.does === 'removes') this.partition.streams.delete(id);
    this.timers.note(effect.kind, id, effect.recipe.does === 'removes' ? undefined : entity);
    if (effect.kind === 'reader') this.holdBack();
    if (effect.kind === 'flow' && effect.recipe.does === 'removes') this.flows.drop(id);
  }

  /** Keeps the log entries that readers need. */
  private holdBack(): void {
    const { header, state } = this.partition;
    this.log.holdBack(trimFloor(state.tables.reader.values(), header.generation));
  }

  /** After a change of a lane that was paused: announces its waiting work, which was not announced meanwhile. */
  private announceLane(laneId: string): void {
    if (this.gives(laneId)) for (const first of headsOf(this.queues.ofLane(laneId))) this.listener.onHead(first);
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
      this.timers.note(kind, id, entity);
      return;
    }
    const execution = entity as ReadonlyExecution;
    this.standBefore(undefined);
    this.standAfter(execution, false);
    this.flows.restore(execution);
    this.ids.add(ID_ALONE, id, execution);
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
    return this.queues.queueOf(execution)?.work.first;
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

  private reindex(execution: ReadonlyExecution): void {
    const { before, after } = this;
    const id = execution.executionId;
    if (before.queueScore !== after.queueScore) {
      if (before.queueScore !== NONE) this.queues.leave(before.queueScore, execution);
      if (after.queueScore !== NONE && this.queues.join(after.queueScore, execution) && this.gives(execution.laneId))
        this.listener.onHead(execution);
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

  private meteringView(): MeteringView {
    const { admission: admissions } = this.partition.state.tables;
    return {
      admission: (admissionId) => admissions.get(admissionId),
      heads: (laneId, after, limit) =>
        this.gives(laneId) ? placed([...headsOf(this.queues.metered(laneId))], after, limit) : [],
      line: (queue, now) => {
        const known = this.queues.queueOf(queue)?.work;
        const from = leastUrgentFrom(known?.lastScore, now);
        // Scores are whole numbers, so entries after `from + 0.5` have greater scores.
        const oldest = from === undefined ? undefined : known?.after(from + 0.5, '', 1)[0];
        return { waiting: known?.size ?? 0, oldest };
      },
    };
  }

  /** Checks the entries with the oldest check; checked ones move to the end, so lapsed ones cannot pile up. */
  private sweep(kind: 'idempotency_key' | 'usage_key', now: number): void {
    const table = this.partition.state.tables[kind] as Map<string, { readonly expiresAt: number }>;
    let looked = 0;
    for (const [name, entry] of table) {
      if (looked++ === LAPSED_SWEEP) break;
      table.delete(name);
      if (entry.expiresAt > now) table.set(name, entry);
    }
  }

  private executionView(): ExecutionView {
    const { queues, suspended, timers } = this;
    const { state, bytes, payloads } = this.partition;
    const { execution: executions, idempotency_key: keys } = state.tables;
    const get = (executionId: string): ReadonlyExecution | undefined => executions.get(executionId);
    const ids = (after: string | undefined, limit: number): readonly string[] => {
      const page = after === undefined ? this.ids.head(limit) : this.ids.after(ID_ALONE, after, limit);
      return page.map(({ executionId }) => executionId);
    };
    return {
      get,
      ids,
      whole: (after, limit) => wholeOf({ ids, get }, after, limit),
      listed: (filter, before, limit) => listedPage(this.ids, filter, before, limit),
      queued: (filter, after, limit) => queuedPage(queues, filter, after, limit),
      lost: (namespace, asOf, after, limit) =>
        lostByDefinition(possiblyLost(timers, queues, asOf), namespace, asOf, after, limit),
      suspended: (filter, after, limit) => suspendedPage(suspended, filter, after, limit),
      ofKey(namespace, key, now) {
        const entry = keys.get(idempotencyId(namespace, key));
        return entry !== undefined && entry.expiresAt > now ? entry.executionId : undefined;
      },
      input: (executionId) => copyOf(bytes.input.get(executionId)),
      result: (executionId) => copyOf(bytes.result.get(executionId)),
      payload: (executionId, signalId) => copyOf(payloads.get(executionId)?.get(signalId)),
    };
  }

  /** Lanes are never removed, so as many names are the same names. */
  private lanesInOrder(): readonly string[] {
    const { lane } = this.partition.state.tables;
    if (this.laneNames.length !== lane.size) this.laneNames = [...lane.keys()].sort(compareBytes);
    return this.laneNames;
  }

  private scheduleView(): ScheduleView {
    const { queues, timers, slots } = this;
    const lanes = this.partition.state.tables.lane;
    return {
      lane: (laneId) => lanes.get(laneId),
      claimable: (laneId, terms, limit) => (this.gives(laneId) ? queues.claimable(laneId, terms, limit) : []),
      heads: (laneId) => (this.gives(laneId) ? Array.from(headsOf(queues.unmetered(laneId)), headOf) : []),
      eligible: (laneId, wanted, among, limit) =>
        this.gives(laneId) ? queues.eligible(laneId, wanted, among, limit) : [],
      due: (now, limit, after) => timers.due(now, limit, after),
      purgeable: (now, limit) => slots.due(now, limit),
      nextDueAt(passed) {
        const timer = passed === undefined ? timers.firstAt : timers.firstAfter(passed);
        const next = Math.min(timer, slots.first ?? NONE);
        return next === NONE ? undefined : next;
      },
      lanes: (after, limit) => lanesAfter(this.lanesInOrder(), after, limit),
      tallies: () => this.counts.entries(),
    };
  }

  private logView(): LogView {
    return {
      header: this.partition.header,
      readers: this.partition.state.tables.reader,
      read: (after, limit): readonly LoggedEvent[] => this.log.read(after, limit),
    };
  }

  private gives(laneId: string): boolean {
    return this.partition.state.tables.lane.get(laneId)?.laneState !== 'paused';
  }

  get executionCount(): number {
    return this.partition.state.tables.execution.size;
  }

  /** The tables and indexes, for the canonical state. */
  inspect(): Inspection {
    return {
      partition: this.partition,
      queues: new Map(
        Array.from(this.queues.all(), ([laneId, { parts, work }]) => [
          `${laneId}\t${nameOfQueue(parts)}`,
          work.positions(),
        ]),
      ),
      timers: this.timers.positions(),
      suspended: this.suspended.positions(),
      counts: this.counts.entries(),
      slots: this.slots.entries(),
      ids: Array.from(this.ids.positions(), ({ id }) => id),
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

/** The first execution of each queue. */
function* headsOf(queues: Iterable<WorkQueue>): Generator<ReadonlyExecution, void, undefined> {
  for (const { work } of queues) if (work.first !== undefined) yield work.first;
}
