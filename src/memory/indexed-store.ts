/**
 * One partition in memory: the model's tables, and the indexes that make every operation cheap however many
 * executions there are. Indexes follow from the execution before and after an event, so no event knows of them.
 */
import sortedBtree from 'sorted-btree';
import { evolveInPlace } from '../../model/evolve.js';
import type { Event, LoggedEvent } from '../../model/events.js';
import type { Store } from '../../model/execute.js';
import type { ReadonlyExecution } from '../../model/execution/execution.js';
import { isClaimable, isTerminal } from '../../model/execution/situation.js';
import { compareBytes } from '../../model/ids.js';
import { covers, queueScore, requirementSetOf, type RequirementSet } from '../../model/schedule/queue.js';
import { nextTimer } from '../../model/schedule/timers.js';
import { emptyPartition, idempotencyId, type Partition } from '../../model/state.js';
import type { View } from '../../model/view.js';
import { BoundedLog } from './bounded-log.js';

/** A place in an ordered set: a score, and the id that breaks ties. */
interface Position {
  readonly score: number;
  readonly id: string;
}
type OrderedSet = sortedBtree.default<Position, undefined>;

// The package is CommonJS: its class is the `default` of what an ES module imports.
const BTree = sortedBtree.default;

const byPosition = (a: Position, b: Position): number => a.score - b.score || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
const orderedSet = (): OrderedSet => new BTree<Position, undefined>(undefined, byPosition);

/** Idempotency entries looked at, and dropped when lapsed, per keyed creation. */
const IDEMPOTENCY_SWEEP = 2;

/** Where an execution stands in the indexes, derived from its state. */
interface Standing {
  readonly laneId: string;
  readonly requirements: RequirementSet;
  readonly queueScore: number | undefined;
  readonly timerAt: number | undefined;
  readonly purgeAt: number | undefined;
}

function standingOf(execution: ReadonlyExecution): Standing {
  return {
    laneId: execution.laneId,
    requirements: requirementSetOf(execution),
    queueScore: isClaimable(execution.situation) ? queueScore(execution) : undefined,
    timerAt: nextTimer(execution)?.at,
    purgeAt: isTerminal(execution.situation) ? execution.dueAt : undefined,
  };
}

export class IndexedStore implements Store, View {
  private readonly partition: Partition = emptyPartition();
  private readonly queues = new Map<string, Map<RequirementSet, OrderedSet>>();
  private readonly timers = orderedSet();
  private readonly slots = new BTree<number, Set<string>>();
  private readonly ids = new BTree<string, undefined>();
  private readonly events: BoundedLog;

  constructor(logMaxEntries: number, private readonly onWork: (laneId: string) => void, private readonly onTimer: (at: number) => void) {
    this.events = new BoundedLog(logMaxEntries);
  }

  get view(): View {
    return this;
  }

  record(event: Event): void {
    this.events.append(event);
    const { executions } = this.partition.state;
    const known = executions.get(event.executionId);
    const before = known === undefined ? undefined : standingOf(known);
    evolveInPlace(this.partition.state, event);
    const execution = executions.get(event.executionId);
    this.reindex(event.executionId, before, execution === undefined ? undefined : standingOf(execution));
    if (event.type === 'execution_created' && event.idempotencyKey !== undefined) this.sweepIdempotency(event.at);
    if (event.type === 'execution_purged') {
      this.partition.payloads.delete(event.executionId);
      this.partition.results.delete(event.executionId);
    }
  }

  keepPayload(executionId: string, bytes: Uint8Array): void {
    this.partition.payloads.set(executionId, bytes.slice());
  }

  keepResult(executionId: string, bytes: Uint8Array): void {
    this.partition.results.set(executionId, bytes.slice());
  }

  private reindex(id: string, before: Standing | undefined, after: Standing | undefined): void {
    if (before?.queueScore !== after?.queueScore) {
      if (before?.queueScore !== undefined) this.leaveQueue(before, id);
      if (after?.queueScore !== undefined) this.joinQueue(after, id);
    }
    if (before?.timerAt !== after?.timerAt) {
      if (before?.timerAt !== undefined) this.timers.delete({ score: before.timerAt, id });
      if (after?.timerAt !== undefined) this.addTimer(after.timerAt, id);
    }
    if (before?.purgeAt !== after?.purgeAt) {
      if (before?.purgeAt !== undefined) this.leaveSlot(before.purgeAt, id);
      if (after?.purgeAt !== undefined) this.joinSlot(after.purgeAt, id);
    }
    if (before === undefined) this.ids.set(id, undefined);
    else if (after === undefined) this.ids.delete(id);
  }

  private joinQueue({ laneId, requirements, queueScore: score }: Standing, id: string): void {
    let lane = this.queues.get(laneId);
    if (lane === undefined) this.queues.set(laneId, (lane = new Map()));
    let queue = lane.get(requirements);
    if (queue === undefined) lane.set(requirements, (queue = orderedSet()));
    queue.set({ score: score as number, id }, undefined);
    if (queue.size === 1) this.onWork(laneId);
  }

  private leaveQueue({ laneId, requirements, queueScore: score }: Standing, id: string): void {
    const lane = this.queues.get(laneId);
    const queue = lane?.get(requirements);
    queue?.delete({ score: score as number, id });
    // The queue of work without requirements is the common case: it stays, the others go when empty.
    if (queue?.size === 0 && requirements !== '') lane?.delete(requirements);
  }

  private addTimer(at: number, id: string): void {
    this.timers.set({ score: at, id }, undefined);
    if (this.timers.minKey()?.id === id) this.onTimer(at);
  }

  private joinSlot(purgeAt: number, id: string): void {
    const slot = this.slots.get(purgeAt);
    if (slot === undefined) this.slots.set(purgeAt, new Set([id]));
    else slot.add(id);
  }

  private leaveSlot(purgeAt: number, id: string): void {
    const slot = this.slots.get(purgeAt);
    slot?.delete(id);
    if (slot?.size === 0) this.slots.delete(purgeAt);
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
    return this.partition.state.executions.get(executionId);
  }

  idempotent(namespace: string, key: string, now: number): string | undefined {
    const entry = this.partition.state.idempotency.get(idempotencyId(namespace, key));
    return entry !== undefined && entry.expiresAt > now ? entry.executionId : undefined;
  }

  claimable(laneId: string, offered: ReadonlySet<string>, limit: number): readonly ReadonlyExecution[] {
    const heads: Position[] = [];
    let sources = 0;
    for (const [requirements, queue] of this.queues.get(laneId) ?? []) {
      if (queue.size === 0 || !covers(offered, requirements)) continue;
      sources++;
      let taken = 0;
      for (const position of queue.keys()) {
        if (taken++ === limit) break;
        heads.push(position);
      }
    }
    if (sources > 1) heads.sort(byPosition);
    return heads.slice(0, limit).map(({ id }) => this.execution(id) as ReadonlyExecution);
  }

  due(now: number, limit: number): readonly ReadonlyExecution[] {
    const due: ReadonlyExecution[] = [];
    for (const { score, id } of this.timers.keys()) {
      if (score > now || due.length === limit) break;
      due.push(this.execution(id) as ReadonlyExecution);
    }
    return due;
  }

  purgeable(now: number, limit: number): readonly string[] {
    const ids: string[] = [];
    for (const [purgeAt, slot] of this.slots.entries()) {
      if (purgeAt > now) break;
      for (const id of slot) {
        if (ids.length === limit) return ids;
        ids.push(id);
      }
    }
    return ids;
  }

  nextDueAt(): number | undefined {
    const timer = this.timers.minKey()?.score;
    const slot = this.slots.minKey();
    return timer === undefined ? slot : slot === undefined ? timer : Math.min(timer, slot);
  }

  executionIds(after: string | undefined, limit: number): readonly string[] {
    const ids: string[] = [];
    for (const id of this.ids.keys(after)) {
      if (id === after) continue;
      if (ids.length === limit) break;
      ids.push(id);
    }
    return ids;
  }

  lanes(): readonly string[] {
    return [...this.partition.state.lanes].sort(compareBytes);
  }

  payload(executionId: string): Uint8Array | undefined {
    return this.partition.payloads.get(executionId);
  }

  result(executionId: string): Uint8Array | undefined {
    return this.partition.results.get(executionId);
  }

  log(after: number, limit: number): readonly LoggedEvent[] {
    return this.events.read(after, limit);
  }

  logEnd(): number {
    return this.events.end;
  }

  /** The tables and indexes as they are, for the canonical state. */
  inspect(): { partition: Partition; queues: ReadonlyMap<string, ReadonlyMap<RequirementSet, Iterable<Position>>>; timers: Iterable<Position>; slots: Iterable<[number, Set<string>]>; ids: Iterable<string> } {
    const queues = new Map([...this.queues].map(([lane, sets]) => [lane, new Map([...sets].map(([requirements, queue]) => [requirements, [...queue.keys()]]))]));
    return { partition: this.partition, queues, timers: this.timers.keys(), slots: this.slots.entries(), ids: this.ids.keys() };
  }
}
