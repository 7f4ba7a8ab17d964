/**
 * Places that this worker avoids for a while: places where claims met a fault, longer each time, and places that it
 * *yields* to other workers because it cannot run the work that it found there.
 */
import { retryDelayMs } from '../engine/retry.js';
import { placeKey, type PlaceName } from './place.js';

/**
 * Head start of other workers at a yielded place, ms; each time multiplied by a random factor from a half to two, so
 * that of two workers that find each other's work, the same one is not always first.
 */
const HEAD_START_MS = 50;
const MIN_SHARE = 0.5;
const MAX_SHARE = 2;
/** How long a worker yields in a lane after it found work there that it cannot run, ms. */
const YIELDING_MS = 600_000;
/** Faults are forgotten this long after their retry was due, ms. */
const FAULT_LIFE_MS = 60_000;

interface Fault {
  count: number;
  retryAt: number;
}

export class Yields {
  /** Faults by place or, if they concern a whole partition, by partition. */
  private readonly faults = new Map<string, Fault>();
  private readonly looks = new Map<string, { readonly place: PlaceName; readonly at: number }>();
  private readonly lanes = new Map<string, number>();

  /** @param chance returns a random number from 0 to 1 */
  constructor(private readonly chance: () => number) {}

  /** When the next yielded place must be checked. */
  get nextLookAt(): number {
    let next = Infinity;
    for (const { at } of this.looks.values()) next = Math.min(next, at);
    return next;
  }

  /** Records a fault of a claim; `key` is that of a place or a partition. */
  fault(key: string, now: number): void {
    for (const [other, { retryAt }] of this.faults) if (retryAt + FAULT_LIFE_MS < now) this.faults.delete(other);
    const fault = this.faults.get(key) ?? { count: 0, retryAt: 0 };
    fault.count++;
    fault.retryAt = now + retryDelayMs({ random: this.chance }, fault.count);
    this.faults.set(key, fault);
  }

  /** Forgets the faults after a successful claim. */
  recovered(key: string): void {
    this.faults.delete(key);
  }

  /** Whether the last claim at the place, or in its partition, met a fault. */
  hasFault({ laneId, partition }: PlaceName): boolean {
    return this.faults.size > 0 && (this.faults.has(partition) || this.faults.has(placeKey(laneId, partition)));
  }

  /** Whether this worker yields in the lane, because it found work there that it cannot run. */
  yieldsIn(laneId: string, now: number): boolean {
    const until = this.lanes.get(laneId);
    if (until !== undefined && until <= now) this.lanes.delete(laneId);
    return until !== undefined && until > now;
  }

  /** Records that the place has work that this worker cannot run. */
  yieldTo(place: PlaceName, now: number): void {
    this.lanes.set(place.laneId, now + YIELDING_MS);
    this.headStart(place, now);
  }

  /** Gives other workers a head start at the place. Further wakes do not move the time of this worker's check. */
  headStart(place: PlaceName, now: number): void {
    const key = placeKey(place.laneId, place.partition);
    if (this.looks.has(key)) return;
    const share = MIN_SHARE + (MAX_SHARE - MIN_SHARE) * this.chance();
    this.looks.set(key, { place, at: now + HEAD_START_MS * share });
  }

  /** Passes yielded places that are due for a check, each once. */
  due(now: number, look: (place: PlaceName) => void): void {
    if (this.looks.size === 0) return;
    for (const [key, { place, at }] of this.looks) {
      if (at > now) continue;
      this.looks.delete(key);
      look(place);
    }
  }

  /** Whether the place is yielded now. */
  isYielded({ laneId, partition }: PlaceName): boolean {
    return this.looks.size > 0 && this.looks.has(placeKey(laneId, partition));
  }

  /** End of the back-off of the place; in the past without one. */
  backsOffUntil({ laneId, partition }: PlaceName): number {
    if (this.faults.size === 0) return -Infinity;
    const own = this.faults.get(placeKey(laneId, partition))?.retryAt ?? -Infinity;
    return Math.max(own, this.faults.get(partition)?.retryAt ?? -Infinity);
  }
}
