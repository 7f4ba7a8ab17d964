/**
 * The room of a worker: its slots, and the places for work claimed ahead. Requested executions are reserved until the
 * answer arrives, so the room is never exceeded. A lane with large inputs gets smaller requests than there is room for,
 * so that answers arrive in time.
 */
import { LIMITS } from '../../model/limits.js';

export interface RoomOptions {
  /** Most executions that run at once. */
  readonly slots: number;
  /** Most executions that wait in the worker for a slot. */
  readonly claimAhead: number;
  /**
   * Most executions of a lane at once that are requested, in all claims in flight, or whose inputs are on their way.
   * Default: no limit.
   */
  readonly maxAtOnce?: (laneId: string) => number;
}

export class Room {
  private aheadLimit = Infinity;
  private held = 0;
  private reserved = 0;
  /** Executions in hand and requested, by partition. */
  private readonly load = new Map<string, number>();
  /** Requested executions, and claimed executions that wait for their inputs, by lane. */
  private readonly asked = new Map<string, number>();

  constructor(private readonly options: RoomOptions) {}

  /** The whole room, in executions. */
  get size(): number {
    const { slots, claimAhead } = this.options;
    return slots + Math.min(claimAhead, this.aheadLimit);
  }

  /**
   * Most executions of one partition while others may have work, because a partition that does not answer must not
   * block all.
   */
  get share(): number {
    return Math.ceil(this.size / 2);
  }

  /** Executions that may still be requested. */
  get capacity(): number {
    return Math.min(this.size - this.held - this.reserved, LIMITS.maxClaimCount);
  }

  /** Slots without an execution in hand or requested. */
  get freeSlots(): number {
    return this.options.slots - this.held - this.reserved;
  }

  /** Whether enough is free for a claim: a slot, or half of the room for work claimed ahead. */
  get isWorthAClaim(): boolean {
    if (this.freeSlots > 0) return true;
    return this.capacity > 0 && this.capacity >= Math.min(this.size, LIMITS.maxClaimCount) / 2;
  }

  /** Limits the executions that wait in the worker; never above `claimAhead`. */
  limitAhead(count: number): void {
    this.aheadLimit = count;
  }

  /** Executions that may still be requested in a partition with this maximum. */
  capacityAt(partition: string, most: number): number {
    return Math.min(this.capacity, most - (this.load.get(partition) ?? 0));
  }

  /** Executions of the lane that may still be requested. */
  allowance(laneId: string): number {
    return (this.options.maxAtOnce?.(laneId) ?? Infinity) - (this.asked.get(laneId) ?? 0);
  }

  reserve(partition: string, laneId: string, count: number): void {
    this.reserved += count;
    addTo(this.load, partition, count);
    addTo(this.asked, laneId, count);
  }

  /** Ends a reservation of `count`, of which `got` executions are in hand now. */
  settle(partition: string, laneId: string, count: number, got: number): void {
    this.reserved -= count;
    this.held += got;
    addTo(this.load, partition, got - count);
    addTo(this.asked, laneId, -count);
  }

  /** The number of claimed executions of the lane that wait for their inputs changed. */
  inputsAwaited(laneId: string, change: number): void {
    addTo(this.asked, laneId, change);
  }

  /** Executions in hand have ended. */
  finished(partition: string, count: number): void {
    this.held -= count;
    addTo(this.load, partition, -count);
  }
}

/** Adds to a count, and removes it when it is 0. */
function addTo(counts: Map<string, number>, key: string, count: number): void {
  const sum = (counts.get(key) ?? 0) + count;
  if (sum === 0) counts.delete(key);
  else counts.set(key, sum);
}
