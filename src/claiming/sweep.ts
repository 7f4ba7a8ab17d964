/**
 * Checks places without leads, because wakes can be lost. The safety sweep checks every place periodically. A *round*
 * checks some places once and soon: at the start, when a lane is added, and when the subscription was renewed.
 *
 * The safety sweep is spread evenly over its interval, and makes at most twenty checks a second. A worker checks a
 * partition with one read for all of its lanes, so with an interval of 5 s and more than a hundred partitions, a whole
 * sweep takes longer than the interval.
 */
import { present } from '../../model/core/present.js';
import type { PlaceName } from './place.js';

/** Default interval of the safety sweep, ms, which bounds the cost of a lost wake. */
export const SWEEP_INTERVAL_MS = 5_000;

const MAX_LOOKS_PER_S = 20;
/** Shortest time between two steps of the sweep, ms; checks of one step share calls if possible. */
const STEP_MS = 250;
/** A step is early by up to this share of its interval, so that workers do not sweep in step. */
const EARLY = 0.2;
/** Stands for all lanes of a worker, in a sweep that checks a partition with one read for all of them. */
export const ALL_LANES = '';

/** Checks of a round made at once, and the time between two such bursts, ms. */
const BURST = 64;
const BURST_MS = 64;
/** A subscription breaks for many processes at once; each delays its round by a random time up to this, ms. */
const RESYNC_SPREAD_MS = 250;

/** Places to check once. */
interface Round {
  readonly laneIds: readonly string[];
  readonly notBefore: number;
  next: number;
}

export interface SweepOptions {
  readonly lanes: readonly string[];
  readonly partitions: readonly string[];
  readonly intervalMs: number;
  /** Checks of a round made at once. Default 64. */
  readonly burst?: number;
  /** Returns a random number from 0 to 1. */
  readonly chance: () => number;
}

export class Sweep {
  private readonly lanes: string[];
  private readonly partitions: readonly string[];
  private rounds: Round[] = [];
  private lane = 0;
  private partition = 0;
  /** Time of the next step of the safety sweep. */
  private stepAt = Infinity;
  /** Earliest time of the next burst. */
  private burstAt = -Infinity;

  constructor(private readonly options: SweepOptions) {
    this.lanes = [...options.lanes];
    // Workers that start together begin with different places.
    const from = Math.floor(options.chance() * options.partitions.length);
    this.partitions = [...options.partitions.slice(from), ...options.partitions.slice(0, from)];
  }

  /** When the next check is due. */
  get nextAt(): number {
    const [round] = this.rounds;
    return Math.min(this.stepAt, round === undefined ? Infinity : Math.max(this.burstAt, round.notBefore));
  }

  /** Starts with a round of all places. */
  start(now: number): void {
    this.rounds = [{ laneIds: [...this.lanes], notBefore: now, next: 0 }];
    this.burstAt = now;
    this.stepAt = -Infinity;
    this.stepLater(now);
  }

  /** Adds a lane, and starts a round for it. */
  add(laneId: string, now: number): void {
    this.lanes.push(laneId);
    this.look([laneId], now);
    if (this.stepAt === Infinity) return;
    this.stepAt = -Infinity;
    this.stepLater(now);
  }

  /** Starts a round for these lanes. */
  look(laneIds: readonly string[], now: number): void {
    this.rounds.push({ laneIds, notBefore: now, next: 0 });
  }

  /** Replaces all rounds by a round of all places, because wakes may have been lost. */
  resync(now: number): void {
    this.rounds = [{ laneIds: [...this.lanes], notBefore: now + this.options.chance() * RESYNC_SPREAD_MS, next: 0 }];
  }

  /** Passes the places that are due: those of the safety sweep, and with `mayBurst` a burst of the rounds. */
  due(now: number, mayBurst: boolean, look: (place: PlaceName, reason: 'sweep' | 'round') => void): void {
    if (now >= this.stepAt) {
      for (let looks = this.looksPerStep; looks > 0 && this.lanes.length > 0; looks--) look(this.advance(), 'sweep');
      this.stepLater(now);
    }
    const [round] = this.rounds;
    if (round === undefined || now < this.burstAt || now < round.notBefore) return;
    this.burstAt = now + BURST_MS;
    for (let looks = 0; looks < (this.options.burst ?? BURST) && mayBurst; looks++) {
      const place = this.nextOfRounds();
      if (place === undefined) return;
      look(place, 'round');
    }
  }

  private nextOfRounds(): PlaceName | undefined {
    for (let round = this.rounds[0]; round !== undefined; round = this.rounds[0]) {
      const { length } = round.laneIds;
      const partition = this.partitions[Math.floor(round.next / length)];
      const laneId = round.laneIds[round.next % length];
      round.next++;
      if (partition !== undefined && laneId !== undefined) return { laneId, partition };
      this.rounds.shift();
    }
    return undefined;
  }

  /** The next place of the sweep, partition by partition, so that checks of a partition can share a call. */
  private advance(): PlaceName {
    const place = {
      laneId: present(this.lanes[this.lane]),
      partition: present(this.partitions[this.partition]),
    };
    this.lane = (this.lane + 1) % this.lanes.length;
    if (this.lane === 0) this.partition = (this.partition + 1) % this.partitions.length;
    return place;
  }

  /** Sets the time of the next step. A late step delays no later ones, and does not bunch them up. */
  private stepLater(now: number): void {
    const { intervalMs, chance } = this.options;
    const looks = this.looksPerStep;
    const latestMs = Math.min(intervalMs, looks / this.looksPerMs);
    const from = now - this.stepAt < latestMs ? this.stepAt : now;
    this.stepAt = Math.max(from + latestMs * (1 - EARLY * chance()), now + (1_000 / MAX_LOOKS_PER_S) * looks);
  }

  private get looksPerStep(): number {
    return Math.max(1, Math.floor(this.looksPerMs * STEP_MS));
  }

  private get looksPerMs(): number {
    const places = this.lanes.length * this.partitions.length;
    return Math.min(places / this.options.intervalMs, MAX_LOOKS_PER_S / 1_000);
  }
}
