/**
 * Notices that the event loop stood still: a handler that computes without a break keeps the worker from renewing its
 * leases. Less than two thirds of a lease are made good; what was longer, the worker tells, so that its user learns
 * which task it was. A beat that comes late is the sign; calls of handlers are measured besides, so that one which
 * computes right away is known by name.
 */
import type { Cancel, Clock } from '../engine/clock.js';

export interface LoopWatchOptions {
  readonly clock: Clock;
  readonly leaseTtlMs: number;
  /** The tasks whose handlers run now. */
  readonly running: () => Iterable<string>;
  /** The loop stood still for at least so long, and one of these tasks was it. */
  readonly onBlocked: (forMs: number, tasks: readonly string[]) => void;
}

export interface MeasuredTask<Context, T> {
  readonly name: string;
  handler(context: Context): T;
}

/** Beats in a lease: a stretch is known to a twelfth of the lease. */
const BEATS = 12;
/** Two thirds of the lease, less what a beat does not see. */
const LIMIT = 2 / 3 - 1 / BEATS;
/** A call of a handler that took this share of the stretch is what held the loop. */
const CULPRIT_SHARE = 0.5;

export class LoopWatch {
  private beat: Cancel | undefined;
  private longest = { ms: 0, task: '' };
  /** Tasks whose handlers were called since the last beat; some may have ended. */
  private readonly called = new Set<string>();

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

  /** Calls the handler of a task, remembers how long the call took, and watches as long as handlers run. */
  measure<Context, T>(task: MeasuredTask<Context, T>, context: Context): T {
    this.start();
    this.called.add(task.name);
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
    const now = [...running()];
    const tasks = new Set([...this.called, ...now]);
    this.beat = undefined;
    this.longest = { ms: 0, task: '' };
    this.called.clear();
    if (now.length > 0) this.start();
    if (lateMs < leaseTtlMs * LIMIT) return;
    const known = longest.ms >= lateMs * CULPRIT_SHARE;
    onBlocked(Math.round(Math.max(lateMs, known ? longest.ms : 0)), known ? [longest.task] : [...tasks]);
  }
}
