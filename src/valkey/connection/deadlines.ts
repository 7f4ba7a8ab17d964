/**
 * Times out calls without an answer, and breaks connections without answers.
 *
 * Time is counted in ticks of the event loop, ten per call timeout. A blocked loop (a handler that computes) has not
 * read answers either, so a pause counts as one tick, however long it was, and answers that have arrived are read
 * before a call is given up. One timer serves all calls; a call costs one entry in a list.
 */
import type { Valkey } from 'iovalkey';
import { Bag, type Member } from '../../util/bag.js';
import { CallTimeout } from './faults.js';
import { QuietWatch } from './quiet-watch.js';

class Call implements Member {
  place = -1;
  /** It got one more tick, because the loop was blocked before its last one. */
  spared = false;

  constructor(
    /** Ticks left. */
    public ticks: number,
    readonly reject: (error: unknown) => void,
  ) {}
}

const TICKS_PER_CALL = 10;
const MIN_TICK_MS = 5;

export class Deadlines {
  private readonly tickMs: number;
  /** Calls in flight. */
  private readonly calls = new Bag<Call>();
  private readonly watches = new Set<QuietWatch>();
  private readonly timer: ReturnType<typeof setInterval>;
  private nextTickAt: number;
  private ticks = 0;

  /** @param timeoutMs limit of a call */
  constructor(readonly timeoutMs: number) {
    this.tickMs = Math.max(MIN_TICK_MS, timeoutMs / TICKS_PER_CALL);
    this.nextTickAt = performance.now() + this.tickMs;
    this.timer = setInterval(() => this.tick(), this.tickMs);
    // Only connections keep the process alive.
    this.timer.unref();
  }

  /** The deadline of a call that begins now: a time for `leftMs`, which counts pauses of the loop as one tick. */
  fromNow(): number {
    return this.now() + this.timeoutMs;
  }

  /** Time until a deadline, ms; 0 or less after it. */
  leftMs(deadline: number): number {
    return deadline - this.now();
  }

  /** The passed ticks and the elapsed part of the current one, ms. */
  private now(): number {
    const untilNextTickMs = Math.min(this.tickMs, Math.max(0, this.nextTickAt - performance.now()));
    return (this.ticks + 1) * this.tickMs - untilNextTickMs;
  }

  /** The value of the work, if it settles in time. @throws CallTimeout */
  within<Value>(work: Promise<Value>, ms: number = this.timeoutMs): Promise<Value> {
    return new Promise((resolve, reject) => {
      const call = new Call(this.ticksOf(ms), reject);
      this.calls.add(call);
      work.then(
        (value) => {
          this.calls.delete(call);
          resolve(value);
        },
        (error: unknown) => {
          this.calls.delete(call);
          reject(error);
        },
      );
    });
  }

  /** Breaks the connection when calls on it have no answer for a tick longer than the timeout. */
  watch(node: Valkey): void {
    const watch = new QuietWatch(node, this.ticksOf(this.timeoutMs) + 1);
    this.watches.add(watch);
    node.once('end', () => this.watches.delete(watch));
  }

  /** Stops the timer; calls in flight end with their connections. */
  close(): void {
    clearInterval(this.timer);
  }

  /** Adds one tick, because the current one is not complete. */
  private ticksOf(ms: number): number {
    return Math.ceil(ms / this.tickMs) + 1;
  }

  private tick(): void {
    const now = performance.now();
    const stoodStill = now - this.nextTickAt > this.tickMs;
    this.nextTickAt = now + this.tickMs;
    this.ticks++;
    const due: Call[] = [];
    for (const call of this.calls) {
      if (--call.ticks > 0) continue;
      if (stoodStill && !call.spared) {
        call.spared = true;
        call.ticks = 1;
      } else {
        due.push(call);
      }
    }
    // After the sockets are read: answers that have arrived are in time.
    if (due.length > 0) setImmediate(() => this.giveUp(due));
    for (const watch of this.watches) watch.tick();
  }

  private giveUp(calls: readonly Call[]): void {
    for (const call of calls) if (this.calls.delete(call)) call.reject(new CallTimeout(true));
  }
}
