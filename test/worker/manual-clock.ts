/**
 * A clock that stands still until it is told to go on, with the phases of an event loop: timers that are due fire,
 * then the answers that have arrived are read, then what waited for that runs. Promises settle in between.
 */
import type { Cancel, Clock } from '../../src/engine/clock.js';

interface Due {
  readonly at: number;
  readonly fn: () => void;
}

export class ManualClock implements Clock {
  time = 0;
  private readonly timers = new Set<Due>();
  private readonly arrivals = new Set<Due>();
  private checks: (() => void)[] = [];
  private everyTurn: (() => boolean)[] = [];

  constructor(private readonly chance = 0) {}

  now(): number {
    return this.time;
  }

  random(): number {
    return this.chance;
  }

  after(ms: number, fn: () => void): Cancel {
    const timer: Due = { at: this.time + Math.max(0, ms), fn };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }

  afterIo(fn: () => void): void {
    this.checks.push(fn);
  }

  eachTurn(fn: () => boolean): void {
    this.everyTurn.push(fn);
  }

  /** An answer arrives at this time; it is read, and `fn` called, when the event loop next looks at its sockets. */
  arrives(at: number, fn: () => void): void {
    this.arrivals.add({ at, fn });
  }

  /** Timers that wait. */
  get pending(): number {
    return this.timers.size;
  }

  /** Lets time pass, event by event, as an event loop does that is never late. */
  async pass(ms: number): Promise<void> {
    const until = this.time + ms;
    for (let at = this.nextAt(); at <= until; at = this.nextAt()) {
      this.time = Math.max(this.time, at);
      await this.turn();
    }
    this.time = until;
    await settle();
  }

  /** Time passes while the event loop stands still; then it turns until nothing is due. */
  async stall(ms: number): Promise<void> {
    await this.block(ms);
    while (this.nextAt() <= this.time) await this.turn();
  }

  /** Time passes while the event loop stands still; then it turns once. */
  async block(ms: number): Promise<void> {
    await settle();
    this.time += ms;
    await this.turn();
  }

  /** One turn in which handlers hold the loop behind the sockets, and once more in `setImmediate`, for so long. */
  async blockTwice(behindSocketsMs: number, inImmediateMs: number): Promise<void> {
    await settle();
    await this.turn(behindSocketsMs, inImmediateMs);
  }

  private nextAt(): number {
    if (this.checks.length > 0) return this.time;
    return Math.min(Infinity, ...[...this.timers, ...this.arrivals].map(({ at }) => at));
  }

  private async turn(behindSocketsMs = 0, inImmediateMs = 0): Promise<void> {
    await this.fire(this.timers);
    await this.fire(this.arrivals);
    this.time += behindSocketsMs;
    // What is left to `setImmediate` from here on comes in the next turn.
    const checks = this.checks.splice(0);
    this.everyTurn = this.everyTurn.filter((fn) => fn());
    await settle();
    this.time += inImmediateMs;
    for (const check of checks) {
      check();
      await settle();
    }
  }

  /** Calls what is due now, in order of its time; what that adds waits for the next turn. */
  private async fire(from: Set<Due>): Promise<void> {
    const due = [...from].filter(({ at }) => at <= this.time).sort((a, b) => a.at - b.at);
    for (const each of due) {
      if (!from.delete(each)) continue;
      each.fn();
      await settle();
    }
  }
}

/** Lets promises settle that wait for nothing else. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}
