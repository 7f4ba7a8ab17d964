/**
 * How many executions of a lane may be asked for at once, so that an answer is not too large for the time of a call:
 * by the size of the inputs that came before. A lane that nothing is known of begins with few.
 */
import type { ClaimedExecution } from '../../model/schedule/claimed.js';

/** Bytes of inputs that are asked for at once, by estimate. */
const MAX_BYTES_AT_ONCE = 16 * 1024 * 1024;
/** Executions that are asked for at once where the size is not known: 128 MiB at the worst. */
const MAX_COUNT_UNKNOWN = 16;
/** Weight of what came last, when it is smaller than the average. Larger inputs count at once. */
const SHRINK_WEIGHT = 0.2;
/** By how much an ask is smaller than the one before it whose answer did not come in time. */
const LATE_DIVISOR = 4;
/** Lanes whose sizes are remembered; the one that had work least lately is forgotten, and begins with few again. */
const MAX_LANES = 1_000;

export class InputSizes {
  /** Bytes, by lane; the one that had work least lately first. */
  private readonly averages = new Map<string, number>();

  /** Most executions of the lane that may be under way to the worker. */
  most(laneId: string): number {
    const average = this.averages.get(laneId);
    if (average === undefined) return MAX_COUNT_UNKNOWN;
    return Math.max(1, Math.floor(MAX_BYTES_AT_ONCE / Math.max(1, average)));
  }

  /** Executions of the lane came. */
  came(laneId: string, executions: readonly ClaimedExecution[]): void {
    if (executions.length === 0) return;
    const mean = executions.reduce((sum, { inputPayload }) => sum + inputPayload.byteLength, 0) / executions.length;
    const before = this.averages.get(laneId) ?? mean;
    this.remember(laneId, mean >= before ? mean : before + SHRINK_WEIGHT * (mean - before));
  }

  /** The answer to an ask for this many did not come in time, perhaps since it was too large: the next one is smaller. */
  late(laneId: string, count: number): void {
    const average = MAX_BYTES_AT_ONCE / Math.max(1, Math.floor(count / LATE_DIVISOR));
    this.remember(laneId, Math.max(average, this.averages.get(laneId) ?? 0));
  }

  private remember(laneId: string, average: number): void {
    this.averages.delete(laneId);
    this.averages.set(laneId, average);
    if (this.averages.size <= MAX_LANES) return;
    const [oldest] = this.averages.keys();
    if (oldest !== undefined) this.averages.delete(oldest);
  }
}
