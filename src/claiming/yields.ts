/**
 * Places that this worker leaves alone for a while: places where claims met a fault, longer each time, and places that
 * it *yields* to others because it cannot run the work that it found there.
 */
import { retryDelayMs } from '../engine/retry.js';
import { placeKey, type PlaceName } from './place.js';

/**
 * Head start that a worker gives to others at a place that it yields, ms; drawn anew each time from a half to the double,
 * so that of two workers that meet each other's work it is not always the same one that comes first.
 */
const HEAD_START_MS = 50;
const MIN_SHARE = 0.5;
const MAX_SHARE = 2;
/** How long a worker gives a head start in a lane after it found work there that it cannot run, ms. */
const YIELDING_MS = 600_000;
/** A place whose last fault is this much older than its retry has no faults to remember, ms. */
const FAULT_LIFE_MS = 60_000;

interface Fault {
  count: number;
  retryAt: number;
}

export class Yields {
  /** Faults by place or, where all of a partition is concerned, by partition. */
  private readonly faults = new Map<string, Fault>();
  private readonly looks = new Map<string, { readonly place: PlaceName; readonly at: number }>();
  private readonly lanes = new Map<string, number>();

  /** @param chance a number from 0 to 1 */
  constructor(private readonly chance: () => number) {}

  /** When the next yielded place is looked at again. */
  get nextLookAt(): number {
    let next = Infinity;
    for (const { at } of this.looks.values()) next = Math.min(next, at);
    return next;
  }

  /** A claim met a fault; key of a place or a partition. */
  fault(key: string, now: number): void {
    for (const [other, { retryAt }] of this.faults) if (retryAt + FAULT_LIFE_MS < now) this.faults.delete(other);
    const fault = this.faults.get(key) ?? { count: 0, retryAt: 0 };
    fault.count++;
    fault.retryAt = now + retryDelayMs({ random: this.chance }, fault.count);
    this.faults.set(key, fault);
  }

  /** A claim went through. */
  recovered(key: string): void {
    this.faults.delete(key);
  }

  /** Whether the last claim at the place, or in its partition, met a fault. */
  hasFault({ laneId, partition }: PlaceName): boolean {
    return this.faults.size > 0 && (this.faults.has(partition) || this.faults.has(placeKey(laneId, partition)));
  }

  /** Whether the last claims in the lane found work that this worker cannot run. */
  yieldsIn(laneId: string, now: number): boolean {
    const until = this.lanes.get(laneId);
    if (until !== undefined && until <= now) this.lanes.delete(laneId);
    return until !== undefined && until > now;
  }

  /** Work was found at the place that this worker cannot run. */
  yieldTo(place: PlaceName, now: number): void {
    this.lanes.set(place.laneId, now + YIELDING_MS);
    this.headStart(place, now);
  }

  /** Others may look at the place first; more news of it does not make this worker's look sooner, nor later. */
  headStart(place: PlaceName, now: number): void {
    const key = placeKey(place.laneId, place.partition);
    if (this.looks.has(key)) return;
    const share = MIN_SHARE + (MAX_SHARE - MIN_SHARE) * this.chance();
    this.looks.set(key, { place, at: now + HEAD_START_MS * share });
  }

  /** Yielded places whose time has come; each is told once. */
  due(now: number, look: (place: PlaceName) => void): void {
    if (this.looks.size === 0) return;
    for (const [key, { place, at }] of this.looks) {
      if (at > now) continue;
      this.looks.delete(key);
      look(place);
    }
  }

  /** Whether the place is yielded to others at the moment. */
  isYielded({ laneId, partition }: PlaceName): boolean {
    return this.looks.size > 0 && this.looks.has(placeKey(laneId, partition));
  }

  /** Until when faults keep claims from the place; in the past when none do. */
  backsOffUntil({ laneId, partition }: PlaceName): number {
    if (this.faults.size === 0) return -Infinity;
    const own = this.faults.get(placeKey(laneId, partition))?.retryAt ?? -Infinity;
    return Math.max(own, this.faults.get(partition)?.retryAt ?? -Infinity);
  }
}
