/**
 * The room of a worker: slots, and places for work claimed ahead. What is asked for is reserved until the answer is
 * there, so that the room can never be exceeded. Of a lane with large inputs, fewer are asked for at once than there is
 * room for: answers must be there in time.
 */
import { LIMITS } from '../../model/limits.js';

export interface RoomOptions {
  /** Executions that run at once. */
  readonly slots: number;
  /** Executions that may wait in the worker besides. */
  readonly claimAhead: number;
  /** Most executions of a lane that may be asked for at once, in all claims under way. Default no limit. */
  readonly maxAtOnce?: (laneId: string) => number;
}

export class Room {
  private aheadLimit = Infinity;
  private held = 0;
  private reserved = 0;
  /** Executions in hand and asked for, by partition. */
  private readonly load = new Map<string, number>();
  /** Executions asked for, by lane. */
  private readonly asked = new Map<string, number>();

  constructor(private readonly options: RoomOptions) {}

  /** All of it, in executions. */
  get size(): number {
    const { slots, claimAhead } = this.options;
    return slots + Math.min(claimAhead, this.aheadLimit);
  }

  /** What one partition may take while others may have work: one that does not answer must not hold up all. */
  get share(): number {
    return Math.ceil(this.size / 2);
  }

  /** Executions that may still be asked for. */
  get capacity(): number {
    return Math.min(this.size - this.held - this.reserved, LIMITS.maxClaimCount);
  }

  /** Slots for which no execution is in hand and none was asked for. */
  get freeSlots(): number {
    return this.options.slots - this.held - this.reserved;
  }

  /** Whether enough is free for a claim: a slot, or half of the room for work claimed ahead. */
  get isWorthAClaim(): boolean {
    if (this.freeSlots > 0) return true;
    return this.capacity > 0 && this.capacity >= Math.min(this.size, LIMITS.maxClaimCount) / 2;
  }

  /** Executions that may wait in the worker from now on; more than `claimAhead` are never allowed. */
  limitAhead(count: number): void {
    this.aheadLimit = count;
  }

  /** Executions that may still be asked for in a partition that may take so many. */
  capacityAt(partition: string, most: number): number {
    return Math.min(this.capacity, most - (this.load.get(partition) ?? 0));
  }

  /** Executions of the lane that may still be asked for. */
  allowance(laneId: string): number {
    return (this.options.maxAtOnce?.(laneId) ?? Infinity) - (this.asked.get(laneId) ?? 0);
  }

  reserve(partition: string, laneId: string, count: number): void {
    this.reserved += count;
    addTo(this.load, partition, count);
    addTo(this.asked, laneId, count);
  }

  /** Of what was reserved, `got` came and is in hand. */
  settle(partition: string, laneId: string, count: number, got: number): void {
    this.reserved -= count;
    this.held += got;
    addTo(this.load, partition, got - count);
    addTo(this.asked, laneId, -count);
  }

  /** Executions in hand came to their end. */
  finished(partition: string, count: number): void {
    this.held -= count;
    addTo(this.load, partition, -count);
  }
}

/** Adds to a count; one of nothing is not kept. */
function addTo(counts: Map<string, number>, key: string, count: number): void {
  const sum = (counts.get(key) ?? 0) + count;
  if (sum === 0) counts.delete(key);
  else counts.set(key, sum);
}
