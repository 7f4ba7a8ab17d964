/**
 * Detects a blocked event loop: while a handler computes without a break, the worker cannot renew its leases. Blocks of
 * less than two thirds of a lease are harmless (see lease-keeper.ts); longer ones are reported with the task. They are
 * detected by a timer that fires late. Calls of handlers are measured as well, so that the report can name a handler
 * that blocks right after its start.
 */
import type { Cancel, Clock } from '../engine/clock.js';

export interface LoopWatchOptions {
  readonly clock: Clock;
  readonly leaseTtlMs: number;
  /** The tasks whose handlers run now. */
  readonly running: () => Iterable<string>;
  /**
   * The loop was blocked for at least `forMs`: by `culprit` if the call of its handler took most of it, else by one of
   * these tasks, or by other code of the process.
   */
  readonly onBlocked: (forMs: number, tasks: readonly string[], culprit: string | undefined) => void;
}

export interface MeasuredTask<Context, T> {
  readonly name: string;
  handler(context: Context): T;
}

/** Timers per lease: a block is measured with a precision of a twelfth of the lease. */
const BEATS = 12;
/** Two thirds of the lease, less that precision. */
const LIMIT = 2 / 3 - 1 / BEATS;
/** A handler call that took this share of the block is its cause. */
const CULPRIT_SHARE = 0.5;

export class LoopWatch {
  private beat: Cancel | undefined;
  private longest = { ms: 0, task: '' };
  /** Tasks whose handlers ran at the last beat or were called since; some may have ended. */
  private suspects = new Set<string>();

  constructor(private readonly options: LoopWatchOptions) {}

  private start(): void {
    if (this.beat !== undefined) return;
    const { clock, leaseTtlMs } = this.options;
    const dueAt = clock.now() + leaseTtlMs / BEATS;
    this.beat = clock.after(leaseTtlMs / BEATS, () => this.beaten(dueAt));
  }

  stop(): void {
    this.beat?.();
    this.beat = undefined;
  }

  /** Calls the handler of a task and records the duration of the call; watches the loop while handlers run. */
  measure<Context, T>(task: MeasuredTask<Context, T>, context: Context): T {
    this.start();
    this.suspects.add(task.name);
    const startedAt = this.options.clock.now();
    try {
      return task.handler(context);
    } finally {
      const ms = this.options.clock.now() - startedAt;
      if (ms > this.longest.ms) this.longest = { ms, task: task.name };
    }
  }

  private beaten(dueAt: number): void {
    const { clock, leaseTtlMs, running, onBlocked } = this.options;
    const lateMs = clock.now() - dueAt;
    const { longest } = this;
    const now = new Set(running());
    const tasks = new Set([...this.suspects, ...now]);
    this.beat = undefined;
    this.longest = { ms: 0, task: '' };
    this.suspects = now;
    if (now.size > 0) this.start();
    if (lateMs < leaseTtlMs * LIMIT) return;
    if (longest.ms >= lateMs * CULPRIT_SHARE)
      onBlocked(Math.round(Math.max(lateMs, longest.ms)), [longest.task], longest.task);
    else onBlocked(Math.round(lateMs), [...tasks], undefined);
  }
}
