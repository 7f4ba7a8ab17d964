/**
 * The claim loop as a state machine without I/O: it is told what happened (a wake, an answer, a failure, a slot that
 * became free) and says what to ask for next.
 *
 *     idle        nothing says that there is work; a wake or the sweep ends it
 *     asking      a claim is under way
 *     full        every slot is taken; a finished task ends it
 *     backing_off work may be there, but its partitions failed a moment ago
 *     stopped     no more claims
 *
 * Capacity is counted so that it can never be exceeded: what was asked for is reserved until the answer is there. Of a
 * lane with large inputs, fewer are asked for at once than there is room for: answers must be there in time.
 *
 * The slots work in two partitions as long as these have work and their turns last: what ends in one at the same moment,
 * and the claim for what comes next, are then one call; and while the store works at the calls to one, the worker works
 * at those of the other. No partition gets more than half of the slots while others may have work, so that one that
 * does not answer cannot hold up all of them.
 */
import { LIMITS } from '../../model/limits.js';
import type { Clock } from '../engine/clock.js';
import type { Mark, WorkMarks } from '../engine/known-work.js';
import { retryDelayMs } from '../engine/retry.js';
import { WorkHints } from './hints.js';

export type ClaimPhase = 'idle' | 'asking' | 'full' | 'backing_off' | 'stopped';

export interface LaneAsk {
  readonly laneId: string;
  readonly count: number;
  /** The marks that the ask follows. */
  readonly marks: readonly Mark[];
}

/** Claims of one or more lanes of one partition, made together. */
export interface Ask {
  readonly partition: string;
  readonly lanes: readonly LaneAsk[];
  /** It travels with new work. */
  readonly along: boolean;
  /** When it was made, in the time of the hints. */
  readonly moment: number;
}

export interface ClaimMachineOptions {
  /** Tasks that may run at once. */
  readonly slots: number;
  /** Tasks that may wait in the worker besides those that run. */
  readonly claimAhead: number;
  readonly lanes: readonly string[];
  readonly partitions: readonly string[];
  readonly clock: Clock;
  /** Where work may be, shared with others. Default a knowledge of its own. */
  readonly marks?: WorkMarks;
  /** Most executions of a lane that may be asked for at once, in all calls under way. Default no limit. */
  readonly mostAtOnce?: (laneId: string) => number;
}

const MAX_HOMES = 2;
/** Rounds of all slots that work in a partition before others that may have work get their turn. */
const TURN_ROUNDS = 16;

export const pairOf = (laneId: string, partition: string): string => `${partition}${laneId}`;
const sizeOf = (ask: Ask): number => ask.lanes.reduce((sum, { count }) => sum + count, 0);

export class ClaimMachine {
  readonly hints: WorkHints;
  private held = 0;
  private reserved = 0;
  private asks = 0;
  private stopped = false;
  /** The partitions in which the slots work, and how many executions were asked for there since their turns began. */
  private readonly homes = new Map<string, number>();
  /** Tasks in hand and asked for, by partition. */
  private readonly load = new Map<string, number>();
  /** Pairs that are left to others for a while. */
  private readonly avoided = new Set<string>();
  /** Executions asked for in calls under way, by lane. */
  private readonly underWay = new Map<string, number>();
  private readonly failures = new Map<string, { count: number; retryAt: number }>();

  constructor(private readonly options: ClaimMachineOptions) {
    this.hints = new WorkHints(options.lanes, options.partitions, options.marks);
  }

  get phase(): ClaimPhase {
    if (this.stopped) return 'stopped';
    if (this.asks > 0) return 'asking';
    if (this.freeSlots <= 0) return 'full';
    const { avoided, hints } = this;
    return hints.some((laneId, partition) => !avoided.has(pairOf(laneId, partition))) ? 'backing_off' : 'idle';
  }

  /** Slots for which no task is in hand and none was asked for. */
  private get freeSlots(): number {
    return this.options.slots - this.held - this.reserved;
  }

  /** Tasks that the worker can have in hand. */
  private get room(): number {
    return this.options.slots + this.options.claimAhead;
  }

  /** Tasks that may still be asked for: free slots, and room for work claimed ahead. */
  private get capacity(): number {
    return Math.min(this.room - this.held - this.reserved, LIMITS.maxClaimCount);
  }

  /** Of the room, what one partition may take while others may have work. */
  private get share(): number {
    return Math.ceil(this.room / 2);
  }

  /** Tasks that may still be asked for in one partition. */
  private capacityAt(partition: string): number {
    const most = this.hints.hasElsewhere(partition) ? this.share : this.room;
    return Math.min(this.capacity, most - (this.load.get(partition) ?? 0));
  }

  /**
   * The next claim to send, or nothing when nothing points to work, or too little room is free to be worth it: a free
   * slot, or half of the room for work claimed ahead.
   */
  ask(): Ask | undefined {
    if (this.stopped) return undefined;
    if (this.freeSlots <= 0 && (this.capacity <= 0 || this.capacity < Math.min(this.room, LIMITS.maxClaimCount) / 2))
      return undefined;
    if (this.hints.size === 0) return undefined;
    this.endTurns();
    const now = this.options.clock.now();
    const allowed = (laneId: string, partition: string): boolean =>
      this.capacityAt(partition) > 0 &&
      !this.hints.marks.isCrowded(laneId, partition) &&
      this.allowance(laneId) > 0 &&
      !this.avoided.has(pairOf(laneId, partition));
    const pair = this.hints.next(
      (laneId, partition) => allowed(laneId, partition) && !this.backsOff(partition, now),
      this.homes.keys(),
    );
    if (pair === undefined) return undefined;
    const { laneId, partition } = pair;
    if (this.homes.size < MAX_HOMES && !this.homes.has(partition)) this.homes.set(partition, 0);
    const others = this.hints.lanesAt(partition).filter((other) => other !== laneId && allowed(other, partition));
    return this.reserve(partition, [laneId, ...others], this.capacityAt(partition));
  }

  /** The slots leave a partition that has nothing left, or that had its turn while others may have work. */
  private endTurns(): void {
    for (const [partition, asked] of this.homes) {
      const over = asked >= TURN_ROUNDS * this.share && this.hints.hasElsewhere(partition);
      if (!over && this.hints.lanesAt(partition).length > 0) continue;
      if (over) this.hints.passOn(partition);
      this.homes.delete(partition);
    }
  }

  /**
   * The claim to send along with so many new executions of a lane that leave for a partition now, or nothing when no
   * slot is free. That it is answered in full says nothing: what nobody takes is announced.
   */
  askAlong(laneId: string, partition: string, arriving: number): Ask | undefined {
    if (this.stopped || this.freeSlots <= 0 || this.allowance(laneId) <= 0) return undefined;
    return this.reserve(partition, [laneId], Math.min(this.capacity, arriving), true);
  }

  /**
   * The answer to an ask: how many tasks came, lane by lane; nothing for a lane whose claim met a fault, which says
   * nothing of its work. With such a lane the partition is left alone for a while: returns how long, ms.
   */
  answered(ask: Ask, got: readonly (number | undefined)[]): number | undefined {
    this.release(ask);
    const faulty = ask.lanes.filter((_, index) => got[index] === undefined);
    if (faulty.length === 0) this.failures.delete(ask.partition);
    ask.lanes.forEach(({ laneId, count }, index) => {
      const received = got[index];
      if (received === undefined) return;
      this.held += received;
      add(this.load, ask.partition, received);
      if (received < count) this.hints.marks.foundShort(laneId, ask.partition, ask.moment);
      else if (!ask.along) this.hints.marks.foundAll(laneId, ask.partition);
    });
    return faulty.length === 0 ? undefined : this.backOff(ask.partition, faulty);
  }

  /** The ask failed: its partition is left alone for a while, longer each time. Returns how long, ms. */
  failed(ask: Ask): number {
    this.release(ask);
    return this.backOff(ask.partition, ask.lanes);
  }

  private backOff(partition: string, lanes: readonly LaneAsk[]): number {
    const count = (this.failures.get(partition)?.count ?? 0) + 1;
    const delayMs = retryDelayMs(this.options.clock, count);
    this.failures.set(partition, { count, retryAt: this.options.clock.now() + delayMs });
    for (const { laneId } of lanes) this.hints.mark(laneId, partition);
    this.homes.delete(partition);
    return delayMs;
  }

  /** Something says that this lane has work in this partition. */
  heed(laneId: string, partition: string, needs?: readonly string[]): void {
    this.avoided.delete(pairOf(laneId, partition));
    this.hints.mark(laneId, partition, needs);
  }

  /** Leaves what this lane has in this partition to others, until there is news of it. */
  avoid(laneId: string, partition: string): void {
    this.avoided.add(pairOf(laneId, partition));
  }

  /** A task in hand came to its end. */
  finished(partition: string): void {
    this.held--;
    add(this.load, partition, -1);
  }

  /** No more claims. */
  stop(): void {
    this.stopped = true;
  }

  /** Splits so much capacity among the lanes, the first of them before the others. */
  private reserve(partition: string, laneIds: readonly string[], capacity: number, along = false): Ask {
    const asked = laneIds.slice(0, capacity);
    const share = Math.floor(capacity / asked.length);
    const lanes = asked.map((laneId, index) => ({
      laneId,
      count: Math.min(index === 0 ? capacity - share * (asked.length - 1) : share, this.allowanceAt(laneId, partition)),
      marks: along ? [] : this.hints.marks.look(laneId, partition),
    }));
    const ask = { partition, lanes, along, moment: this.hints.marks.moment };
    for (const { laneId, count } of lanes) {
      this.hints.served(laneId);
      add(this.underWay, laneId, count);
    }
    const size = sizeOf(ask);
    this.reserved += size;
    add(this.load, partition, size);
    const atHome = this.homes.get(partition);
    if (atHome !== undefined) this.homes.set(partition, atHome + size);
    this.asks++;
    return ask;
  }

  private release(ask: Ask): void {
    const size = sizeOf(ask);
    this.reserved -= size;
    add(this.load, ask.partition, -size);
    this.asks--;
    for (const { laneId, count, marks } of ask.lanes) {
      add(this.underWay, laneId, -count);
      this.hints.marks.looked(marks);
    }
  }

  private underWayOf(laneId: string): number {
    return this.underWay.get(laneId) ?? 0;
  }

  /** Executions of the lane that may be asked for now. */
  private allowance(laneId: string): number {
    return (this.options.mostAtOnce?.(laneId) ?? Infinity) - this.underWayOf(laneId);
  }

  /** Of these, how many in one partition: half stays for others, as long as nothing is known of this one. */
  private allowanceAt(laneId: string, partition: string): number {
    const unknown = this.hints.hasElsewhere(partition) && !this.hints.marks.isRich(laneId, partition);
    return Math.ceil(this.allowance(laneId) * (unknown ? 0.5 : 1));
  }

  private backsOff(partition: string, now: number): boolean {
    const failure = this.failures.get(partition);
    return failure !== undefined && failure.retryAt > now;
  }
}

/** Adds to a count; one of nothing is not kept. */
function add<Key>(counts: Map<Key, number>, key: Key, count: number): void {
  const sum = (counts.get(key) ?? 0) + count;
  if (sum === 0) counts.delete(key);
  else counts.set(key, sum);
}
