/**
 * The end of a worker. It claims nothing more and hands back work that has not started. Running handlers get the time of
 * the drain to finish; near its end they are aborted, and work that has not stopped by then is handed back.
 */
import { afterIo, type Clock } from '../../engine/clock.js';
import type { Attempt } from '../attempt/attempt.js';
import type { Patience } from './patience.js';
import type { Reporter } from '../report/reporter.js';

export interface DrainDependencies {
  readonly clock: Clock;
  /** The time of a drain, ms, unless the call says otherwise. */
  readonly timeoutMs: number;
  readonly patience: Patience;
  readonly reporter: Reporter;
  readonly running: Iterable<Attempt> & { readonly size: number };
  /** Claims nothing more. Resolves when the calls with claims are answered. */
  readonly stopClaiming: () => Promise<void>;
  /** Ends the subscription to wakes. */
  readonly closeClaimer: () => Promise<void>;
  /** Takes the work that waits for a slot or its input. */
  readonly takeWaiting: () => readonly Attempt[];
  readonly handBack: (attempt: Attempt) => void;
  /** Handlers have not stopped in the time of the drain; their work is handed back. */
  readonly onRunningOn: (attempts: readonly Attempt[]) => void;
  /** Closes the parts of the worker, after its last call. */
  readonly closeParts: () => Promise<void>;
}

/**
 * At the end of a drain, aborted handlers get the last part of its time to stop before their work is handed back: a
 * tenth, at most this long, ms.
 */
const MAX_STOP_GRACE_MS = 2_000;
const STOP_GRACE_PART = 0.1;
/** Limit of the last calls of a drain once they met faults, ms; an unreachable engine must not delay the exit. */
export const LAST_CALLS_MS = 5_000;

export class Drain {
  private draining: Promise<void> | undefined;
  private waitUntil = Infinity;
  private stopGraceMs = MAX_STOP_GRACE_MS;

  constructor(private readonly deps: DrainDependencies) {}

  get hasBegun(): boolean {
    return this.draining !== undefined;
  }

  /**
   * Begins the drain, or shortens a drain that is under way.
   *
   * @param givenMs its time, ms. Default: that of the worker
   */
  begin(givenMs: number | undefined): Promise<void> {
    if (this.draining !== undefined && givenMs === undefined) return this.draining;
    const timeoutMs = givenMs ?? this.deps.timeoutMs;
    this.waitUntil = Math.min(this.waitUntil, this.deps.clock.now() + timeoutMs);
    this.stopGraceMs = Math.min(this.stopGraceMs, timeoutMs * STOP_GRACE_PART);
    this.deps.patience.changed();
    this.draining ??= Promise.resolve().then(() => this.drain());
    return this.draining;
  }

  private async drain(): Promise<void> {
    const { clock, patience, reporter, running, handBack } = this.deps;
    const claimsAnswered = this.deps.stopClaiming();
    for (const attempt of this.deps.takeWaiting()) handBack(attempt);
    for (const attempt of [...running]) if (attempt.awaitsResults) attempt.abort('shutdown');
    reporter.flush();
    const isIdle = (): boolean => running.size === 0;
    await patience.wait(isIdle, () => this.waitUntil - this.stopGraceMs);
    for (const attempt of [...running]) attempt.abort('shutdown');
    // A handler that stops at once is not handed back over its head, however short the time is.
    await new Promise<void>((resolve) => afterIo(clock, resolve));
    await patience.wait(isIdle, () => this.waitUntil);
    const runningOn = [...running].filter((attempt) => !attempt.gone && !attempt.reported);
    for (const attempt of runningOn) handBack(attempt);
    if (runningOn.length > 0) this.deps.onRunningOn(runningOn);
    await this.lastCalls(claimsAnswered);
    await this.deps.closeParts();
  }

  /** A result can wait for its turn on a slow link: until it met a fault, it has all the time of the drain. */
  private async lastCalls(claimsAnswered: Promise<void>): Promise<void> {
    const { clock, patience, reporter, closeClaimer } = this.deps;
    const until = clock.now() + LAST_CALLS_MS;
    let isDone = false;
    const done = (): void => {
      isDone = true;
      patience.changed();
    };
    void claimsAnswered
      .then(() => reporter.idle())
      .then(closeClaimer)
      .then(done, done);
    await patience.wait(
      () => isDone,
      () => (reporter.awaitsAnswers ? Math.max(until, this.waitUntil) : until),
    );
  }
}
