/**
 * One process of a simulated deployment: its clock, its event loop, which can be blocked, and its death. Its monotonic
 * clock has an origin of its own, like that of a real process.
 */
import type { Cancel, Clock } from '../../engine/index.js';
import type { Loop, Scheduler } from './scheduler.js';
import { seededRandom } from './random.js';

export interface SimulatedProcessOptions {
  /** Seed of its random choices: jitter, and where it starts to look for work. */
  readonly seed: number;
  /** Where its monotonic clock stands when virtual time is 0, ms. Fractions are welcome: real clocks have them. */
  readonly clockOffsetMs?: number;
}

export class SimulatedProcess implements Clock, Loop {
  blockedUntil = -Infinity;
  dead = false;
  readonly random: () => number;
  private readonly offsetMs: number;

  constructor(
    readonly name: string,
    private readonly scheduler: Scheduler,
    { seed, clockOffsetMs = 0 }: SimulatedProcessOptions,
  ) {
    this.random = seededRandom(seed);
    this.offsetMs = clockOffsetMs;
  }

  readonly now = (): number => this.scheduler.now() + this.offsetMs;

  readonly after = (ms: number, fn: () => void): Cancel =>
    // At least 1 ms, as `setTimeout` does: a timer never runs in the turn that set it.
    this.scheduler.at(this, 'timer', this.scheduler.now() + Math.max(1, ms), fn);

  /** Resolves after `ms`; never in a process that was killed meanwhile. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  /** Resolves at the end of this turn of the event loop, like `setImmediate`. */
  turn(): Promise<void> {
    return new Promise((resolve) => this.scheduler.at(this, 'immediate', this.scheduler.now(), resolve));
  }

  /**
   * Blocks the event loop like a computation: until it resolves, no timer, answer or other handler of this process
   * runs. What the process has begun to send before is under way.
   */
  block(ms: number): Promise<void> {
    // A second computation begins when the first one is done.
    this.blockedUntil = Math.max(this.blockedUntil, this.scheduler.now()) + Math.ceil(ms);
    return new Promise((resolve) => this.scheduler.at(this, 'resume', this.blockedUntil, resolve));
  }

  /** Ends the process as `SIGKILL` does. */
  kill(): void {
    this.dead = true;
    this.scheduler.drop(this);
  }

  /** Timers that are set. */
  get timers(): number {
    return this.scheduler.pendingOf(this).timer;
  }
}
