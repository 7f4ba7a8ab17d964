/**
 * Ends calls that got no answer in time, and connections that give none.
 *
 * Time counts in ticks of the event loop: ten of them in the time of a call. A loop that stood still (a handler that
 * computes) has read no answers either, so its pause counts as one tick however long it was, and answers that are
 * there when it goes on are read before a call is given up. One timer serves all calls; a call costs a place in a list.
 */
import type { Valkey } from 'iovalkey';
import { Bag, type Member } from '../../util/bag.js';
import { CallTimeout } from './faults.js';
import { QuietWatch } from './quiet-watch.js';

class Call implements Member {
  place = -1;
  /** It had its last tick twice, since the loop stood still before it. */
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
  /** Calls under way. */
  private readonly calls = new Bag<Call>();
  private readonly watches = new Set<QuietWatch>();
  private readonly timer: ReturnType<typeof setInterval>;
  private nextTickAt: number;
  private ticks = 0;

  /** `timeoutMs` is the longest time that a call may take. */
  constructor(readonly timeoutMs: number) {
    this.tickMs = Math.max(MIN_TICK_MS, timeoutMs / TICKS_PER_CALL);
    this.nextTickAt = performance.now() + this.tickMs;
    this.timer = setInterval(() => this.tick(), this.tickMs);
    // Connections keep the process alive, not their supervision.
    this.timer.unref();
  }

  /** When a call that begins now has to be answered: a time for `leftMs`, which counts pauses of the loop as one tick. */
  fromNow(): number {
    return this.now() + this.timeoutMs;
  }

  /** Time until a deadline, ms; 0 or less when it has passed. */
  leftMs(deadline: number): number {
    return deadline - this.now();
  }

  /** Ticks that passed and the part of the one under way, ms. */
  private now(): number {
    const untilNextTickMs = Math.min(this.tickMs, Math.max(0, this.nextTickAt - performance.now()));
    return (this.ticks + 1) * this.tickMs - untilNextTickMs;
  }

  /** What the work gives, if it comes within the time. @throws CallTimeout */
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

  /** Breaks the connection whenever it leaves calls unanswered for a tick longer than a call may take. */
  watch(node: Valkey): void {
    const watch = new QuietWatch(node, this.ticksOf(this.timeoutMs) + 1);
    this.watches.add(watch);
    node.once('end', () => this.watches.delete(watch));
  }

  /** The end of the supervision; calls under way end with their connections. */
  close(): void {
    clearInterval(this.timer);
  }

  /** The tick that is under way is not a whole one: one more. */
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
    // After the next turn's reading: what is in the socket already is an answer in time.
    if (due.length > 0) setImmediate(() => this.giveUp(due));
    for (const watch of this.watches) watch.tick();
  }

  private giveUp(calls: readonly Call[]): void {
    for (const call of calls) if (this.calls.delete(call)) call.reject(new CallTimeout(true));
  }
}
