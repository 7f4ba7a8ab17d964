/** A clock that stands still until it is told to go on. */
import type { Cancel, Clock } from '../../src/engine/clock.js';

interface Timer {
  readonly at: number;
  readonly fn: () => void;
}

export class ManualClock implements Clock {
  time = 0;
  private readonly timers = new Set<Timer>();

  constructor(private readonly chance = 0) {}

  now(): number {
    return this.time;
  }

  random(): number {
    return this.chance;
  }

  after(ms: number, fn: () => void): Cancel {
    const timer: Timer = { at: this.time + Math.max(0, ms), fn };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }

  /** Lets time pass, timer by timer, as an event loop does that is never late. */
  async pass(ms: number): Promise<void> {
    const until = this.time + ms;
    for (let next = this.next(until); next !== undefined; next = this.next(until)) {
      this.time = Math.max(this.time, next.at);
      await this.fire(next);
    }
    this.time = until;
  }

  /** Time passes while the event loop stands still; then everything that is due fires at once, in order. */
  async stall(ms: number): Promise<void> {
    this.time += ms;
    for (let next = this.next(this.time); next !== undefined; next = this.next(this.time)) await this.fire(next);
  }

  private next(until: number): Timer | undefined {
    return [...this.timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
  }

  private async fire(timer: Timer): Promise<void> {
    this.timers.delete(timer);
    timer.fn();
    // Answers that are there already are taken before the next timer, as promises are.
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  }
}
