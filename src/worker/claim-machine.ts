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
 */
import { LIMITS } from '../../model/limits.js';
import type { Clock } from '../engine/clock.js';
import { retryDelayMs } from '../engine/retry.js';
import { WorkHints } from './hints.js';

export type ClaimPhase = 'idle' | 'asking' | 'full' | 'backing_off' | 'stopped';

export interface LaneAsk {
  readonly laneId: string;
  readonly count: number;
  /** Generation of the hint that the ask follows. */
  readonly generation: number;
}

/** One call: claims of one or more lanes of one partition. */
export interface Ask {
  readonly partition: string;
  readonly lanes: readonly LaneAsk[];
  /** Sent by itself, not along with another call. */
  readonly alone: boolean;
}

export interface ClaimMachineOptions {
  /** Tasks that may run at once. */
  readonly slots: number;
  /** Tasks that may wait in the worker besides those that run. */
  readonly claimAhead: number;
  readonly lanes: readonly string[];
  readonly partitions: readonly string[];
  readonly clock: Clock;
  /** Most executions of a lane that may be asked for at once, in all calls under way. Default no limit. */
  readonly mostAtOnce?: (laneId: string) => number;
}

/** Claims in a row at one partition before others that may have work get their turn. */
const MAX_STREAK = 16;

const pairOf = (laneId: string, partition: string): string => `${partition}${laneId}`;
const sizeOf = (ask: Ask): number => ask.lanes.reduce((sum, { count }) => sum + count, 0);

export class ClaimMachine {
  readonly hints: WorkHints;
  private held = 0;
  private reserved = 0;
  private asks = 0;
  private stopped = false;
  private streak = 0;
  private streakAt = '';
  /** Pairs with a plain ask under way: a second one to the same place would find the same. */
  private readonly busy = new Set<string>();
  /** Executions asked for in calls under way, by lane. */
  private readonly underWay = new Map<string, number>();
  private readonly failures = new Map<string, { count: number; retryAt: number }>();

  constructor(private readonly options: ClaimMachineOptions) {
    this.hints = new WorkHints(options.lanes, options.partitions);
  }

  get phase(): ClaimPhase {
    if (this.stopped) return 'stopped';
    if (this.asks > 0) return 'asking';
    if (this.freeSlots <= 0) return 'full';
    return this.hints.size > 0 ? 'backing_off' : 'idle';
  }

  /** Slots for which no task is in hand and none was asked for. */
  private get freeSlots(): number {
    return this.options.slots - this.held - this.reserved;
  }

  /** Tasks that may still be asked for: free slots, and room for work claimed ahead. */
  private get capacity(): number {
    return Math.min(this.freeSlots + this.options.claimAhead, LIMITS.maxClaimCount);
  }

  /** The next claim to send by itself, or nothing when there is no free slot or nothing points to work. */
  ask(): Ask | undefined {
    if (this.stopped || this.freeSlots <= 0 || this.hints.size === 0) return undefined;
    const now = this.options.clock.now();
    const allowed = (laneId: string, partition: string): boolean => !this.isBusy(laneId, partition) && this.allowance(laneId) > 0;
    const pair = this.hints.next((laneId, partition) => allowed(laneId, partition) && !this.backsOff(partition, now));
    if (pair === undefined) return undefined;
    // With more places to look at, half of the capacity stays for them: one slow answer must not hold up all slots.
    const part = this.hints.size > this.busy.size + 1 ? 0.5 : 1;
    const others = this.hints.lanesAt(pair.partition).filter((laneId) => laneId !== pair.laneId && allowed(laneId, pair.partition));
    this.streak = 0;
    return this.reserve(pair.partition, [pair.laneId, ...others], Math.ceil(this.capacity * part), part, true);
  }

  /**
   * The claim to send along with a call that goes to this partition anyway, or nothing when the partition is not
   * known to have work, another's turn has come, or too little room is free to be worth it.
   */
  askWith(partition: string): Ask | undefined {
    if (this.stopped || this.capacity <= 0) return undefined;
    const { slots, claimAhead } = this.options;
    // Refill when half of the room is free: many small claims would cost more than few large ones.
    if (this.freeSlots <= 0 && this.capacity < Math.min(slots + claimAhead, LIMITS.maxClaimCount) / 2) return undefined;
    const lanes = this.hints.lanesAt(partition).filter((laneId) => this.allowance(laneId) > 0);
    if (lanes.length === 0) return undefined;
    this.streak = this.streakAt === partition ? this.streak + 1 : 1;
    this.streakAt = partition;
    if (this.streak > MAX_STREAK && this.hints.hasElsewhere(partition)) return undefined;
    return this.reserve(partition, lanes, this.capacity, 1, false);
  }

  /**
   * The claim to send along with so many new executions of a lane that leave for a partition now, or nothing when no
   * slot is free. One more is asked for than comes, if there is room: an answer that is short says that nothing is left.
   */
  askAlong(laneId: string, partition: string, arriving: number): Ask | undefined {
    if (this.stopped || this.freeSlots <= 0 || this.allowance(laneId) <= 0) return undefined;
    return this.reserve(partition, [laneId], Math.min(this.capacity, arriving + 1), 1, false);
  }

  /** The answer to an ask: how many tasks came, lane by lane. */
  answered(ask: Ask, got: readonly number[]): void {
    this.release(ask);
    this.failures.delete(ask.partition);
    ask.lanes.forEach(({ laneId, count, generation }, index) => {
      const received = got[index] ?? 0;
      this.held += received;
      if (received < count) this.hints.clear(laneId, ask.partition, generation);
      // Full: more may be there. The mark may be gone by another ask's answer, which was older.
      else if (this.hints.generationOf(laneId, ask.partition) === 0) this.hints.mark(laneId, ask.partition);
    });
  }

  /** The ask failed: its partition is left alone for a while, longer each time. Returns how long, ms. */
  failed(ask: Ask): number {
    this.release(ask);
    const count = (this.failures.get(ask.partition)?.count ?? 0) + 1;
    const delayMs = retryDelayMs(this.options.clock, count);
    this.failures.set(ask.partition, { count, retryAt: this.options.clock.now() + delayMs });
    for (const { laneId } of ask.lanes) this.hints.mark(laneId, ask.partition);
    return delayMs;
  }

  /** A task in hand came to its end. */
  finished(): void {
    this.held--;
  }

  /** No more claims. */
  stop(): void {
    this.stopped = true;
  }

  /** Splits so much capacity among the lanes, the first of them before the others; takes this part of what a lane may have. */
  private reserve(partition: string, laneIds: readonly string[], capacity: number, part: number, alone: boolean): Ask {
    const asked = laneIds.slice(0, capacity);
    const share = Math.floor(capacity / asked.length);
    const lanes = asked.map((laneId, index) => ({
      laneId,
      count: Math.min(index === 0 ? capacity - share * (asked.length - 1) : share, Math.ceil(this.allowance(laneId) * part)),
      generation: this.hints.generationOf(laneId, partition),
    }));
    for (const { laneId, count } of lanes) {
      this.hints.served(laneId);
      this.underWay.set(laneId, this.underWayOf(laneId) + count);
      this.reserved += count;
      if (alone) this.busy.add(pairOf(laneId, partition));
    }
    this.asks++;
    return { partition, lanes, alone };
  }

  private release(ask: Ask): void {
    this.reserved -= sizeOf(ask);
    this.asks--;
    for (const { laneId, count } of ask.lanes) {
      this.underWay.set(laneId, this.underWayOf(laneId) - count);
      if (ask.alone) this.busy.delete(pairOf(laneId, ask.partition));
    }
  }

  private underWayOf(laneId: string): number {
    return this.underWay.get(laneId) ?? 0;
  }

  /** Executions of the lane that may be asked for now. */
  private allowance(laneId: string): number {
    return (this.options.mostAtOnce?.(laneId) ?? Infinity) - this.underWayOf(laneId);
  }

  private isBusy(laneId: string, partition: string): boolean {
    return this.busy.has(pairOf(laneId, partition));
  }

  private backsOff(partition: string, now: number): boolean {
    const failure = this.failures.get(partition);
    return failure !== undefined && failure.retryAt > now;
  }
}
