/**
 * A clock that stands still until it is moved. Timers fire in the order of their times as it passes them, and
 * everything that they start comes to rest before the next one fires.
 */
import type { Cancel, Clock } from '../engine/clock.js';
import { realSetImmediate } from './real-timers.js';

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly fn: () => void;
}

/** Turns of the event loop after which work in memory has come to rest. */
const SETTLE_TURNS = 5;

/** Numbers from 0 to 1 that follow from a seed (mulberry32). */
function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class VirtualClock implements Clock {
  private readonly timers = new Set<Timer>();
  private order = 0;
  private moves = 0;
  readonly random: () => number;

  constructor(
    protected time: number,
    seed = 1,
  ) {
    this.random = seededRandom(seed);
  }

  /** Grows with everything that happens by this clock. */
  get activity(): number {
    return this.order + this.moves;
  }

  /** Ms since the epoch. */
  readonly now = (): number => this.time;

  readonly after = (ms: number, fn: () => void): Cancel => {
    // Whole ms, like the clock of a server.
    const timer = { at: Math.ceil(this.time + Math.max(0, ms)), order: this.order++, fn };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  };

  /**
   * Lets time pass; timers fire at their times, in order. It does not wait for handlers that wait for the outside
   * world.
   */
  async advance(ms: number): Promise<void> {
    const end = this.time + ms;
    for (;;) {
      this.moves += 1;
      await settle();
      const next = this.earliest();
      if (next === undefined || next.at > end) break;
      this.timers.delete(next);
      this.time = Math.max(this.time, next.at);
      next.fn();
    }
    // Another call may have moved it further meanwhile.
    this.time = Math.max(this.time, end);
  }

  private earliest(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.timers) {
      if (first === undefined || timer.at < first.at || (timer.at === first.at && timer.order < first.order))
        first = timer;
    }
    return first;
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < SETTLE_TURNS; turn++) await new Promise<void>((resolve) => realSetImmediate(resolve));
}
