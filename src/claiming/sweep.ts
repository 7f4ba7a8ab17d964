/**
 * Looks at places although nothing points to work there. Wakes can be lost, so every place comes up again and again; a
 * *round* besides looks at some places once, soon: at the start, when a lane is added, and when the subscription was made
 * anew.
 *
 * The safety sweep is spread evenly over its interval, and makes at most twenty looks a second. A worker's look is a read of
 * a partition, for all of its lanes: with more than a hundred partitions in 5 s a whole sweep takes longer than the interval.
 */
import type { PlaceName } from './place.js';

/** How often every place is looked at although nothing points to work there, ms: what a lost wake can cost. */
export const SWEEP_INTERVAL_MS = 5_000;

const MAX_LOOKS_PER_S = 20;
/** Shortest time between two steps of the sweep, ms: looks of one step travel together where they can. */
const STEP_MS = 250;
/** A step comes earlier than it has to by up to this share, so that workers do not march in step. */
const EARLY = 0.2;
/** Looks of a round that are made at once, and the time between two such bursts, ms. */
const BURST = 64;
const BURST_MS = 64;
/** A subscription that broke did so for many processes at once: each waits for up to this long, ms. */
const RESYNC_SPREAD_MS = 250;

/** Places that are looked at once. */
interface Round {
  readonly laneIds: readonly string[];
  readonly notBefore: number;
  next: number;
}

export interface SweepOptions {
  readonly lanes: readonly string[];
  readonly partitions: readonly string[];
  readonly intervalMs: number;
  /** Looks of a round that are made at once. Default 64. */
  readonly burst?: number;
  /** A number from 0 to 1. */
  readonly chance: () => number;
}

export class Sweep {
  private readonly lanes: string[];
  private readonly partitions: readonly string[];
  private rounds: Round[] = [];
  private lane = 0;
  private partition = 0;
  /** The next step of the safety sweep. */
  private stepAt = Infinity;
  /** The next burst of the rounds. */
  private burstAt = -Infinity;

  constructor(private readonly options: SweepOptions) {
    this.lanes = [...options.lanes];
    // Workers that start together begin at different places.
    const from = Math.floor(options.chance() * options.partitions.length);
    this.partitions = [...options.partitions.slice(from), ...options.partitions.slice(0, from)];
  }

  /** When there is something to look at next. */
  get nextAt(): number {
    const [round] = this.rounds;
    return Math.min(this.stepAt, round === undefined ? Infinity : Math.max(this.burstAt, round.notBefore));
  }

  /** Begins with a round over everything. */
  start(now: number): void {
    this.rounds = [{ laneIds: [...this.lanes], notBefore: now, next: 0 }];
    this.burstAt = now;
    this.stepAt = -Infinity;
    this.stepLater(now);
  }

  /** One more lane is served; it is looked at once. */
  add(laneId: string, now: number): void {
    this.lanes.push(laneId);
    this.look([laneId], now);
    if (this.stepAt === Infinity) return;
    this.stepAt = -Infinity;
    this.stepLater(now);
  }

  /** These lanes are looked at once. */
  look(laneIds: readonly string[], now: number): void {
    this.rounds.push({ laneIds, notBefore: now, next: 0 });
  }

  /** Anything may have changed: a round over everything takes the place of those that are under way. */
  resync(now: number): void {
    this.rounds = [{ laneIds: [...this.lanes], notBefore: now + this.options.chance() * RESYNC_SPREAD_MS, next: 0 }];
  }

  /** Hands out the places to look at by now: those of the safety sweep, and as many of the rounds as `mayBurst` allows. */
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

  /** The next place of the sweep, partition by partition: looks at one partition can travel together. */
  private advance(): PlaceName {
    const place = {
      laneId: this.lanes[this.lane] as string,
      partition: this.partitions[this.partition] as string,
    };
    this.lane = (this.lane + 1) % this.lanes.length;
    if (this.lane === 0) this.partition = (this.partition + 1) % this.partitions.length;
    return place;
  }

  /** The time of the next step. A step that came late does not make the next ones late, nor too many. */
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
