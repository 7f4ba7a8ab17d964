/**
 * The worker: claims work, runs handlers, keeps leases, reports endings, and hands back what it cannot finish. Its
 * parts each do one of these; here they meet.
 *
 * Every claimed execution ends in exactly one way: completed, failed (for good, or to be retried), delayed, handed
 * back, or lost to another owner.
 */
import { EngineError } from '../../model/errors.js';
import type { ClaimedExecution } from '../../model/schedule/claim.js';
import { LIMITS } from '../../model/limits.js';
import { MAX_RECLAIMS_EXCEEDED } from '../../model/schedule/reclaim-cap.js';
import { durationMs, type Duration } from '../shared/duration.js';
import { prefixed, type Logger } from '../shared/logger.js';
import type { Backend, CommandResult } from '../backend.js';
import { Claimer } from '../claiming/claimer.js';
import { within, type Clock } from '../engine/clock.js';
import { localNews, type News } from '../engine/local-news.js';
import { TaskAbort, type TaskAbortCode } from './abort.js';
import { Attempt } from './attempt.js';
import { Emitter } from './emitter.js';
import { runHandler, type Ending, type TaskContext, type TaskHandler } from './handler.js';
import { AttemptsInHand } from './in-hand.js';
import { LeaseKeeper } from './lease-keeper.js';
import type { ResolvedSettings } from './options.js';
import { Orphans, unhandled } from './orphans.js';
import { Reporter, type ReportedEnding } from './reporter.js';
import { boundText } from './text.js';

/** How an attempt ended, as `finished` says it. */
export type FinishedOutcome = 'completed' | 'failed' | 'retry_scheduled' | 'delayed' | 'released' | 'lost';

export interface WorkerEvents {
  /** An execution is in hand. */
  claimed: { readonly executionId: string; readonly task: string; readonly laneId: string; readonly attempt: number };
  /** The attempt is over and the engine knows it, or it is lost. */
  finished: {
    readonly executionId: string;
    readonly task: string;
    readonly outcome: FinishedOutcome;
    readonly durationMs: number;
    /** What the handler threw, or what was wrong with its input or result; with `failed` and `retry_scheduled`. */
    readonly error?: unknown;
  };
  /** The work is not this worker's any more; its handler was told. */
  leaseLost: { readonly executionId: string; readonly task: string; readonly reason: TaskAbortCode };
  /** A call failed; it is tried again where that makes sense. */
  error: { readonly error: unknown };
  /** Nothing in hand, and nothing says that there is work. */
  idle: Record<string, never>;
}

export interface WorkerStats {
  readonly state: 'running' | 'draining' | 'closed';
  /** What the claim loop is at: `idle`, `asking`, `full`, `backing_off` or `stopped`. */
  readonly claiming: string;
  /** Handlers that run. */
  readonly running: number;
  /** Executions claimed ahead that wait for a slot. */
  readonly ahead: number;
  readonly slots: number;
  readonly claimed: number;
  readonly completed: number;
  /** Attempts that failed, whether another try follows or not. */
  readonly failed: number;
  readonly delayed: number;
  readonly released: number;
  readonly lost: number;
  /** Claims and endings sent to the engine; renewals are not counted. Those of one moment travel together. */
  readonly calls: number;
  /** Age of the handler that has run the longest, ms; 0 when none runs. */
  readonly oldestMs: number;
}

export interface Worker {
  /** Minted at start; one process, one life. */
  readonly workerInstanceId: string;
  stats(): WorkerStats;
  /** Calls the listener for every event of this type until the returned function is called. */
  on<Type extends keyof WorkerEvents>(type: Type, listener: (event: WorkerEvents[Type]) => void): () => void;
  /**
   * Ends the worker in good order: no more claims; work claimed ahead is handed back at once; running handlers get
   * `timeout` (default: the worker's `drainTimeout`) to finish; the rest is told to stop (`shutdown`) and handed back.
   * Calling it again with less time shortens the wait.
   */
  drain(options?: { readonly timeout?: Duration }): Promise<void>;
  /** The same as `drain()`. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface WorkerDependencies {
  readonly backend: Backend;
  readonly settings: ResolvedSettings;
  readonly lanes: readonly string[];
  /** The task that handles executions of this kind, if this worker has it. */
  readonly taskNamed: (kind: string) => TaskHandler | undefined;
  /** The kinds that this worker has handlers for by now; it claims no others. Default: any kind. */
  readonly kinds?: () => readonly string[] | undefined;
  readonly ids: () => string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Handlers that were told to stop at the end of a drain get this long before their work is handed back, ms. */
const STOP_GRACE_MS = 2_000;
/** The last calls of a drain get this long, ms; an engine that cannot be reached must not hold up the exit. */
const LAST_CALLS_MS = 5_000;

type SettledResult = CommandResult | { readonly ok: false; readonly error: unknown };

export class TaskWorker implements Worker {
  readonly workerInstanceId: string;
  private readonly claimer: Claimer;
  private readonly keeper: LeaseKeeper;
  private readonly reporter: Reporter;
  private readonly emitter: Emitter<WorkerEvents>;
  private readonly orphans = new Orphans();
  private readonly attempts = new AttemptsInHand();
  private readonly running = new Set<Attempt>();
  private ahead: Attempt[] = [];
  private readonly counts = { claimed: 0, completed: 0, failed: 0, delayed: 0, released: 0, lost: 0 };
  private readonly stopListening: () => void;
  private draining: Promise<void> | undefined;
  private hasten: (() => void) | undefined;
  private waitUntil = Infinity;
  private whenEmpty: (() => void) | undefined;
  private closed = false;

  constructor(private readonly deps: WorkerDependencies) {
    const { backend, settings, clock, ids } = deps;
    this.workerInstanceId = ids();
    this.emitter = new Emitter((error) => this.deps.log.error('A listener of a worker event failed.', error));
    const onError = (error: unknown): void => this.failedCall(error);
    this.keeper = new LeaseKeeper({ backend, clock, leaseTtlMs: settings.leaseTtlMs, onError });
    this.claimer = new Claimer({
      ...settings,
      backend,
      clock,
      ids,
      onError,
      lanes: deps.lanes,
      kinds: () => deps.kinds?.(),
      workerInstanceId: this.workerInstanceId,
      onClaimed: (claimed, laneId, requestedAt, priority) => this.accept(claimed, laneId, requestedAt, priority),
      onReclaimCapExceeded: (executionIds) => this.reclaimCapExceeded(executionIds),
      onIdle: () => this.becameIdle(),
    });
    this.reporter = new Reporter({
      backend,
      clock,
      onError,
      onLeaving: () => this.claimer.pumpSoon(),
      onAnswered: () => this.claimer.pump(),
      collect: settings.claimAhead > 0,
      slotIsIdle: () => this.running.size < settings.slots,
      lastsUntil: (attempt) => this.keeper.lastsUntil(attempt),
      onSettled: (attempt, ending, result) => this.settled(attempt, ending, result),
    });
    this.stopListening = localNews(backend).listen((news) => this.heard(news));
  }

  /** Starts claiming; resolves when wakes arrive. */
  start(): Promise<void> {
    return this.claimer.start();
  }

  /** Serves the lane of a task that was defined later, and the task itself, from now on. */
  serve(laneId: string): void {
    this.claimer.serve(laneId);
  }

  /** A task was defined, or got its handler, that this worker may run. */
  tasksChanged(): void {
    this.claimer.kindsChanged();
  }

  stats(): WorkerStats {
    const now = this.deps.clock.now();
    const started = [...this.running].map(({ startedAt = now }) => startedAt);
    return {
      state: this.closed ? 'closed' : this.draining === undefined ? 'running' : 'draining',
      claiming: this.claimer.mode,
      running: this.running.size,
      ahead: this.ahead.length,
      slots: this.deps.settings.slots,
      ...this.counts,
      calls: this.claimer.calls + this.reporter.calls,
      oldestMs: Math.round(now - Math.min(now, ...started)),
    };
  }

  on<Type extends keyof WorkerEvents>(type: Type, listener: (event: WorkerEvents[Type]) => void): () => void {
    return this.emitter.on(type, listener);
  }

  // From a claim to a handler.

  private accept(claimed: ClaimedExecution, laneId: string, requestedAt: number, priority: number): void {
    const { clock, settings } = this.deps;
    const attempt = new Attempt(claimed, laneId, clock, settings.leaseTtlMs, clock.now(), (each, code) =>
      this.lost(each, code),
    );
    attempt.priority = priority;
    this.counts.claimed++;
    // An attempt of the same execution that is still here has lost it: its handler is to know before the new one runs.
    // What is reported already gets its answer from the engine.
    for (const displaced of this.attempts.of(attempt.executionId))
      if (!displaced.reported) displaced.takenAway('lease_lost');
    this.attempts.add(attempt);
    this.keeper.add(attempt, requestedAt);
    this.emitter.emit('claimed', {
      executionId: attempt.executionId,
      task: claimed.executionKind,
      laneId,
      attempt: claimed.attemptIndex + 1,
    });
    if (this.draining !== undefined) this.giveBack(attempt, { kind: 'release' });
    else if (this.running.size < settings.slots) this.begin(attempt);
    else this.hold(attempt);
  }

  /** Work waits for a slot, behind what was there before it and is no less urgent. */
  private hold(attempt: Attempt): void {
    const before = this.ahead.findLastIndex(({ priority }) => priority >= attempt.priority);
    this.ahead.splice(before + 1, 0, attempt);
  }

  private begin(attempt: Attempt): void {
    const { executionId, claimed } = attempt;
    const task = this.deps.taskNamed(claimed.executionKind);
    if (task === undefined && this.deps.settings.onUnhandled === 'fail') {
      this.giveBack(attempt, unhandled(claimed.executionKind));
      return;
    }
    if (task === undefined) {
      if (this.orphans.isNews(claimed.executionKind)) {
        this.deps.log.warn(`No handler for task "${claimed.executionKind}" on this worker; its work is handed back.`, {
          executionId,
        });
      }
      this.claimer.yieldTo(attempt.laneId, attempt.partition);
      this.giveBack(attempt, this.orphans.endingFor(executionId));
      return;
    }
    this.running.add(attempt);
    attempt.start();
    void runHandler(task, attempt, (input) => this.contextOf(attempt, input)).then((ending) =>
      this.ended(attempt, ending),
    );
  }

  private contextOf(attempt: Attempt, input: unknown): TaskContext {
    const { executionId, claimed, fence } = attempt;
    const { log } = this.deps;
    return {
      input,
      executionId,
      fence,
      attempt: claimed.attemptIndex + 1,
      // Every claim raises the epoch, and every one that does not go on with an attempt begins the next.
      resumes: claimed.leaseEpoch - claimed.attemptIndex - 1,
      tags: claimed.tags,
      // Made when asked for: many handlers need neither.
      get signal() {
        return attempt.signal;
      },
      get log() {
        return prefixed(log, `[${claimed.executionKind} ${executionId}]`);
      },
      progress: (percent, message) => this.progress(attempt, percent, message),
    };
  }

  private async progress(attempt: Attempt, percent: number, message: string | undefined): Promise<void> {
    attempt.throwIfAborted();
    const {
      executionId,
      fence: { leaseId, leaseEpoch, attemptId },
    } = attempt;
    try {
      await this.deps.backend.updateProgress({
        executionId,
        leaseId,
        leaseEpoch,
        attemptId,
        progressPct: Math.round(Math.min(100, Math.max(0, percent))),
        progressMessage: message === undefined ? undefined : boundText(message, LIMITS.maxProgressMessageBytes),
      });
    } catch (error) {
      const code = error instanceof EngineError ? attempt.refused(error) : undefined;
      throw code === undefined ? error : new TaskAbort(code);
    }
  }

  // From a handler to the engine.

  private ended(attempt: Attempt, ending: Ending): void {
    this.running.delete(attempt);
    attempt.stop();
    // Handed back already, at the end of a drain.
    if (attempt.reported) return;
    this.claimer.finished(attempt.partition);
    this.fill();
    if (ending.kind !== 'lost' && !attempt.gone) this.report(attempt, ending);
    else if (attempt.abortCode === 'shutdown' && !attempt.gone) this.report(attempt, { kind: 'release' });
    else this.forget(attempt, 'lost');
    if (this.running.size === 0) this.whenEmpty?.();
  }

  private giveBack(attempt: Attempt, ending: ReportedEnding): void {
    this.claimer.finished(attempt.partition);
    this.report(attempt, ending);
  }

  private report(attempt: Attempt, ending: ReportedEnding): void {
    attempt.reported = true;
    this.reporter.report(attempt, ending);
  }

  /** Work that was claimed ahead takes the slots that are free. */
  private fill(): void {
    while (this.running.size < this.deps.settings.slots) {
      const next = this.ahead.shift();
      if (next === undefined) return;
      this.begin(next);
    }
  }

  private settled(attempt: Attempt, ending: ReportedEnding, result: SettledResult): void {
    if (!result.ok) {
      const code = result.error instanceof EngineError ? attempt.refused(result.error) : undefined;
      if (code === undefined)
        this.deps.log.error(
          `The ending of ${attempt.executionId} could not be reported; its lease will lapse.`,
          result.error,
        );
      this.forget(attempt, 'lost');
      return;
    }
    const { executionId } = attempt;
    const news = localNews(this.deps.backend);
    const outcome = FINISHED[result.outcome.kind] ?? 'completed';
    if (ending.kind === 'fail') this.warnOfFailure(attempt, ending.error, outcome);
    this.forget(attempt, outcome, ending.kind === 'fail' ? { error: ending.error } : {});
    if (ending.kind === 'complete')
      news.publish({ kind: 'completed', executionId, result: ending.bytes, encoding: ending.encoding });
    if (ending.kind === 'fail' && outcome === 'failed')
      news.publish({ kind: 'failed', executionId, reason: ending.reason, category: ending.category });
  }

  private warnOfFailure({ executionId, claimed }: Attempt, error: unknown, outcome: FinishedOutcome): void {
    const next = outcome === 'retry_scheduled' ? 'another try follows' : 'no other try follows';
    this.deps.log.warn(
      `Task "${claimed.executionKind}" failed in attempt ${claimed.attemptIndex + 1} of ${executionId}; ${next}.`,
      error,
    );
  }

  /** The attempt is over for this worker. */
  private forget(attempt: Attempt, outcome: FinishedOutcome, failure: { readonly error?: unknown } = {}): void {
    const { executionId, claimed, startedAt } = attempt;
    this.attempts.remove(attempt);
    this.keeper.remove(attempt);
    this.counts[outcome === 'retry_scheduled' ? 'failed' : outcome]++;
    const durationMs = startedAt === undefined ? 0 : this.deps.clock.now() - startedAt;
    this.emitter.emit('finished', { executionId, task: claimed.executionKind, outcome, durationMs, ...failure });
    if (this.draining === undefined && outcome === 'lost') this.claimer.pump();
  }

  // What others say about the work in hand.

  private lost(attempt: Attempt, code: TaskAbortCode): void {
    const { executionId, claimed } = attempt;
    this.keeper.remove(attempt);
    this.emitter.emit('leaseLost', { executionId, task: claimed.executionKind, reason: code });
    // Work that waits for a slot is simply dropped; a running handler was told, and keeps its slot until it heeds.
    if (!this.ahead.includes(attempt)) return;
    this.ahead = this.ahead.filter((each) => each !== attempt);
    this.claimer.finished(attempt.partition);
    this.forget(attempt, 'lost');
  }

  private heard(news: News): void {
    for (const attempt of this.attempts.of(news.executionId)) {
      if (attempt.reported) continue;
      if (news.kind === 'cancelled') attempt.takenAway('cancelled', news.reason);
      if (news.kind === 'expired')
        attempt.takenAway(news.reason === 'attempt_timeout' ? 'attempt_timeout' : 'deadline');
      if (news.kind === 'attempt_timeout' && attempt.timedOut) attempt.takenAway('attempt_timeout');
    }
  }

  private reclaimCapExceeded(executionIds: readonly string[]): void {
    const news = localNews(this.deps.backend);
    for (const executionId of executionIds) {
      this.deps.log.error(`${executionId} failed: its workers were lost too often.`);
      news.publish({ kind: 'failed', executionId, reason: MAX_RECLAIMS_EXCEEDED, category: MAX_RECLAIMS_EXCEEDED });
    }
  }

  private becameIdle(): boolean {
    if (this.attempts.size > 0) return false;
    this.emitter.emit('idle', {});
    return true;
  }

  private failedCall(error: unknown): void {
    this.deps.log.warn('A call of the worker failed.', error);
    this.emitter.emit('error', { error });
  }

  // The end.

  drain({ timeout }: { readonly timeout?: Duration } = {}): Promise<void> {
    const timeoutMs = timeout === undefined ? this.deps.settings.drainTimeoutMs : durationMs(timeout);
    if (this.draining !== undefined && timeout === undefined) return this.draining;
    this.waitUntil = Math.min(this.waitUntil, this.deps.clock.now() + timeoutMs);
    this.hasten?.();
    this.draining ??= Promise.resolve().then(() => this.drainNow());
    return this.draining;
  }

  close(): Promise<void> {
    return this.drain();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.drain();
  }

  private async drainNow(): Promise<void> {
    const { clock } = this.deps;
    const claimsAnswered = this.claimer.stop();
    for (const attempt of this.ahead.splice(0)) this.giveBack(attempt, { kind: 'release' });
    this.reporter.flush();
    await this.untilEmpty(() => this.waitUntil);
    for (const attempt of this.running) attempt.abort('shutdown');
    const graceUntil = clock.now() + STOP_GRACE_MS;
    await this.untilEmpty(() => graceUntil);
    for (const attempt of this.running)
      if (!attempt.gone && !attempt.reported) this.giveBack(attempt, { kind: 'release' });
    await within(
      clock,
      LAST_CALLS_MS,
      claimsAnswered.then(() => this.reporter.idle()),
    );
    this.stopListening();
    await within(clock, LAST_CALLS_MS, this.keeper.close());
    this.closed = true;
  }

  /** Resolves when no handler runs, or at the time that `until` says; asks again when a drain is hastened. */
  private async untilEmpty(until: () => number): Promise<void> {
    const { clock } = this.deps;
    while (this.running.size > 0 && until() > clock.now()) {
      await new Promise<void>((resolve) => {
        const cancel = clock.after(until() - clock.now(), resolve);
        this.whenEmpty = this.hasten = () => {
          cancel();
          resolve();
        };
      });
    }
    this.whenEmpty = this.hasten = undefined;
  }
}

const FINISHED: Readonly<Record<string, FinishedOutcome>> = {
  completed: 'completed',
  retry_scheduled: 'retry_scheduled',
  terminal_failed: 'failed',
  delayed: 'delayed',
  released: 'released',
};
