/**
 * Limits the executions of a lane that are requested, or whose inputs are fetched, at once, by the average size of
 * earlier inputs: work whose input is long on its way is kept from other workers. A lane without known inputs starts
 * with few.
 */
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import { remember } from '../util/remember.js';

/** Estimated bytes of inputs to request at once. */
const MAX_BYTES_AT_ONCE = 16 * 1024 * 1024;
/** Executions to request at once while the size is unknown: 128 MiB at worst. */
const MAX_COUNT_UNKNOWN = 16;
/** Weight of the last inputs, if smaller than the average. Larger inputs replace the average at once. */
const SHRINK_WEIGHT = 0.2;
/** Divides the size of a request after its answer came too late. */
const LATE_DIVISOR = 4;
/** Most remembered lanes. The least recently used one is forgotten, and starts with few again. */
const MAX_LANES = 1_000;

export class InputSizes {
  /** Average bytes by lane, least recently used first. */
  private readonly averages = new Map<string, number>();

  /** Most executions of the lane that may be requested at once. */
  most(laneId: string): number {
    const average = this.averages.get(laneId);
    if (average === undefined) return MAX_COUNT_UNKNOWN;
    return Math.max(1, Math.floor(MAX_BYTES_AT_ONCE / Math.max(1, average)));
  }

  /** Executions of the lane were claimed. */
  came(laneId: string, executions: readonly ClaimedExecution[]): void {
    if (executions.length === 0) return;
    const mean = executions.reduce((sum, { payloadBytes }) => sum + payloadBytes, 0) / executions.length;
    const before = this.averages.get(laneId) ?? mean;
    this.remember(laneId, mean >= before ? mean : before + SHRINK_WEIGHT * (mean - before));
  }

  /** A request for this many timed out, perhaps because its answer was too large: the next one is smaller. */
  late(laneId: string, count: number): void {
    const average = MAX_BYTES_AT_ONCE / Math.max(1, Math.floor(count / LATE_DIVISOR));
    this.remember(laneId, Math.max(average, this.averages.get(laneId) ?? 0));
  }

  private remember(laneId: string, average: number): void {
    remember(this.averages, laneId, average, MAX_LANES);
  }
}
