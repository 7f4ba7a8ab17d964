/**
 * The worker: claims work, runs handlers, keeps leases, reports endings, and hands back work that it cannot finish.
 * Each of these is a part with its own file; this class connects them.
 *
 * Every claimed execution ends in exactly one way: completed, failed (for good, or to be retried), delayed, handed
 * back, or lost to another owner.
 */
import type { EngineError } from '../../model/errors.js';
import type { Command } from '../../model/machine.js';
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import { MAX_RECLAIMS_EXCEEDED } from '../../model/schedule/reclaim-cap.js';
import { LIMITS } from '../../model/limits.js';
import { checkDuration, checkEventListener } from '../shared/checks.js';
import { durationMs, type Duration } from '../shared/duration.js';
import { knownOnly } from '../shared/known-only.js';
import type { Logger } from '../shared/logger.js';
import { Bag } from '../util/bag.js';
import { printed } from '../util/printed.js';
import { Repeats } from '../util/repeats.js';
import type { Backend } from '../backend/backend.js';
import { Claimer } from '../claiming/claimer.js';
import { afterIo, within, type Clock } from '../engine/clock.js';
import { localFlows } from '../engine/local-flows.js';
import { localNews } from '../engine/local-news.js';
import type { TaskAbortCode } from './attempt/abort.js';
import { Ahead } from './start/ahead.js';
import { WORKER_EVENTS, type Worker, type WorkerEvents, type WorkerStats } from './api.js';
import { Announcer } from './report/announcer.js';
import { Attempt, type AttemptHooks } from './attempt/attempt.js';
import { Beginner } from './start/begin.js';
import { Blockers } from './lost-work/blockers.js';
import { EndedElsewhere } from './lost-work/ended-elsewhere.js';
import type { ChildRowOf } from './children/child.js';
import { HandlerContext, progressArgs, type ContextDependencies } from './handler/context.js';
import { Drain, LAST_CALLS_MS } from './shutdown/drain.js';
import { EndsWatch } from './lease/ends-watch.js';
import {
  runHandler,
  suspended,
  unreadableInput,
  type Ending,
  type RunnerHost,
  type TaskHandler,
} from './handler/handler.js';
import { AttemptsInHand } from './attempt/in-hand.js';
import { Inputs } from './start/inputs.js';
import { LeaseKeeper } from './lease/lease-keeper.js';
import { LoopWatch, type Block } from './event-loop/loop-watch.js';
import type { ResolvedSettings } from './options.js';
import { Orphans, unhandled } from './start/orphans.js';
import { Patience } from './shutdown/patience.js';
import { Pauses } from './lost-work/pauses.js';
import { Endings } from './report/endings.js';
import { Reporter, type ReportedEnding } from './report/reporter.js';
import { RestingKinds } from './lost-work/resting-kinds.js';
import { resultsFor } from './start/results.js';
import { endingBehind } from './streaming/index.js';
import { StuckHandlers } from './handler/stuck.js';
import { Turns } from './event-loop/turns.js';

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
  /** Makes the rows of the children that handlers create. Default: handlers cannot create children. */
  readonly childRow?: ChildRowOf | undefined;
}

/** A handler that holds a slot of a worker. */
export interface SlotHolder {
  readonly task: string;
  /** When it was called, on the worker's clock; Infinity before that. */
  readonly since: number;
}

const RESOLVED = Promise.resolve();
export class TaskWorker implements Worker {
  static {
    printed(TaskWorker.prototype, 'Worker');
  }

  readonly workerInstanceId: string;
  private readonly announcer: Announcer;
  private readonly claimer: Claimer;
  private readonly keeper: LeaseKeeper;
  private readonly reporter: Reporter;
  private readonly orphans = new Orphans();
  private readonly attempts = new AttemptsInHand();
  private readonly running = new Bag<Attempt>();
  private readonly ahead: Ahead;
  private readonly inputs: Inputs;
  private readonly beginner: Beginner;
  private readonly stuck: StuckHandlers;
  private readonly resting: RestingKinds;
  private readonly blockers: Blockers;
  private readonly loopWatch: LoopWatch<Attempt> | undefined;
  private readonly turns: Turns;
  private readonly patience: Patience;
  private readonly endsWatch: EndsWatch;
  private readonly hooks: AttemptHooks;
  private readonly runs: RunnerHost<Attempt>;
  private readonly contextDependencies: ContextDependencies;
  private readonly endings: Endings;
  private readonly elsewhere: EndedElsewhere;
  private claimedCount = 0;
  private readonly pauses: Pauses;
  private readonly drainer: Drain;
  private closed = false;

  constructor(private readonly deps: WorkerDependencies) {
    const { backend, settings, clock, ids, childRow, taskNamed, log } = deps;
    const { leaseTtlMs, claimAhead } = settings;
    this.workerInstanceId = ids();
    this.announcer = new Announcer(log, clock, backend);
    const signalsOf = (kind: string) => taskNamed(kind)?.signals;
    const definedAt = (kind: string) => taskNamed(kind)?.definedAt?.();
    const undecided = new Repeats(clock.now, Infinity);
    this.contextDependencies = {
      ...{ backend, clock, ids, childRow, signalsOf, definedAt, undecided },
      log: this.announcer.log,
    };
    const onError = (error: unknown): void => this.announcer.failedCall(error);
    this.hooks = this.attemptHooks();
    this.blockers = new Blockers(clock);
    this.pauses = new Pauses({ backend, clock, announcer: this.announcer, blockers: this.blockers });
    this.keeper = new LeaseKeeper({ backend, clock, leaseTtlMs, onError });
    this.resting = new RestingKinds(clock, () => this.claimer.kindsChanged());
    this.claimer = this.newClaimer(onError);
    this.reporter = this.newReporter(onError);
    this.endings = this.newEndings();
    this.ahead = new Ahead({
      clock,
      leaseTtlMs,
      claimAhead,
      onLimit: (count) => this.claimer.limitAhead(count),
      onOverdue: (attempt) => this.giveBack(attempt, { kind: 'release' }),
    });
    this.inputs = new Inputs({
      ...{ backend, clock, leaseTtlMs, onError },
      onAwaited: (laneId, change) => this.claimer.inputsAwaited(laneId, change),
      onFetched: (attempt) => this.place(attempt),
      onOverdue: (attempt) => this.giveBack(attempt, { kind: 'release' }),
      onUnreadable: (attempt, error) => this.giveBack(attempt, unreadableInput(error)),
    });
    this.beginner = new Beginner({ backend, clock, onError });
    this.stuck = new StuckHandlers({
      clock,
      slots: settings.slots,
      graceMs: settings.abortGraceMs,
      onStuck: (attempt) => this.onStuck(attempt),
      onTooMany: (tooMany) => this.tooManyStuck(tooMany),
    });
    // A clock without a loop does not show whether the loop is blocked.
    this.loopWatch = clock.eachTurn === undefined ? undefined : this.newLoopWatch();
    this.runs = this.runnerHost(onError);
    this.turns = new Turns({
      clock,
      begin: (attempt, task) => this.beginIfKept(attempt, task),
      onTurn: () => {
        // Due renewals are sent before a handler can block the event loop again.
        this.keeper.sendDue();
        return this.running.size > 0 && !this.closed;
      },
    });
    this.patience = new Patience(clock);
    this.drainer = this.newDrain();
    this.endsWatch = new EndsWatch({
      backend,
      clock,
      running: this.running,
      attemptsOf: (executionId) => this.attempts.of(executionId),
      onDoubt: (attempts) => this.keeper.renewNow(attempts),
    });
    this.elsewhere = new EndedElsewhere({
      ...{ backend, clock, attempts: this.attempts },
      onEnded: (executionId) => this.blockers.forget(executionId),
    });
  }

  // Its parts, with their callbacks.

  private attemptHooks(): AttemptHooks {
    return {
      lost: (attempt, code, refusal) => this.lost(attempt, code, refusal),
      cancelled: (attempt) => void this.elsewhere.cancelled(attempt),
      aborted: (attempt) => {
        if (this.running.has(attempt)) this.stuck.startGrace(attempt);
      },
      // The rest of the handler's turn runs first.
      suspended: (attempt, suspension) =>
        void Promise.resolve().then(() => this.runs.ended(attempt, suspended(attempt, suspension))),
      held: (attempt, ms) => this.loopWatch?.held(attempt, ms),
      listenerFailed: (attempt, error) => this.announcer.signalListenerFailed(attempt, error),
    };
  }

  private newClaimer(onError: (error: unknown) => void): Claimer {
    const { backend, settings, clock, ids, lanes } = this.deps;
    return new Claimer({
      ...settings,
      backend,
      clock,
      ids,
      onError,
      lanes,
      workerInstanceId: this.workerInstanceId,
      kinds: () => this.resting.without(this.deps.kinds?.()),
      beginsLater: settings.claimAhead > 0,
      onClaimed: (claimed, laneId, requestedAt) => this.accept(claimed, laneId, requestedAt),
      onReclaimCapExceeded: (executionIds) => this.reclaimCapExceeded(executionIds),
      onIdle: () => this.onIdle(),
    });
  }

  private newReporter(onError: (error: unknown) => void): Reporter {
    const { backend, settings, clock } = this.deps;
    return new Reporter({
      backend,
      clock,
      leaseTtlMs: settings.leaseTtlMs,
      onError,
      collect: settings.claimAhead > 0,
      slotIsIdle: () => this.running.size < settings.slots,
      onLeaving: () => this.claimer.pumpSoon(),
      onCompleting: ({ executionId }) => localFlows(backend).completing(executionId),
      onAnswered: () => {
        this.claimer.pumpSoon();
        this.patience.changed();
      },
      onSettled: (attempt, ending, settlement) => this.endings.settled(attempt, ending, settlement),
    });
  }

  private newEndings(): Endings {
    const { backend, clock } = this.deps;
    return new Endings({
      ...{ backend, clock, announcer: this.announcer },
      onOver: (attempt, outcome) => {
        this.attempts.remove(attempt);
        this.keeper.remove(attempt);
        this.claimer.ended(attempt.claimed.leaseId, outcome === 'completed');
      },
      onTaken: () => {
        if (!this.drainer.hasBegun) this.claimer.pump();
      },
      report: (attempt, ending) => this.report(attempt, ending),
    });
  }

  private newLoopWatch(): LoopWatch<Attempt> {
    const { clock, settings } = this.deps;
    return new LoopWatch({
      clock,
      leaseTtlMs: settings.leaseTtlMs,
      running: () => this.running,
      onBlocked: (block) => {
        this.blockers.blame(block, this.attempts.ids());
        // Answers that have arrived are read first, and leases judged in time.
        afterIo(clock, () => this.loopBlocked(block));
      },
    });
  }

  private runnerHost(onError: (error: unknown) => void): RunnerHost<Attempt> {
    const { backend, clock, settings } = this.deps;
    return {
      call: (attempt, task, input) => {
        const context = new HandlerContext(attempt, input, this.contextDependencies);
        return this.loopWatch === undefined ? task.handler(context) : this.loopWatch.measure(attempt, task, context);
      },
      results: (attempt) => {
        const results = resultsFor(attempt, { backend, clock, leaseTtlMs: settings.leaseTtlMs, onError });
        // Handed back like other work that has not started.
        if (this.drainer.hasBegun && attempt.awaitsResults) attempt.abort('shutdown');
        return results;
      },
      begins: (attempt) => {
        // `beginAttempt` is needed only for a timeout that the claim did not start.
        if (attempt.claimed.attemptTimeoutRemainingMs !== undefined) this.beginner.begin(attempt);
      },
      ended: (attempt, ending) => {
        if (attempt.frames === undefined) this.ended(attempt, ending);
        else void endingBehind(attempt.frames, ending, attempt).then((final) => this.ended(attempt, final));
      },
    };
  }

  /** Starts claiming; resolves when the worker is subscribed to wakes. */
  start(): Promise<void> {
    return this.claimer.start();
  }

  /** Serves the lane of a task that was defined later, and the task itself, from now on. */
  serve(laneId: string): void {
    this.claimer.serve(laneId);
  }

  /** Call this when a task that this worker may run was defined in this lane, or got its handler. */
  tasksChanged(laneId: string): void {
    this.claimer.kindsChanged([laneId]);
  }

  stats(): WorkerStats {
    const now = this.deps.clock.now();
    const started = [...this.running].map(({ startedAt = now }) => startedAt);
    return {
      state: this.closed ? 'closed' : this.drainer.hasBegun ? 'draining' : 'running',
      claiming: !this.drainer.hasBegun && this.stuck.tooMany ? 'resting' : this.claimer.mode,
      running: this.running.size,
      stuck: this.stuck.size,
      ahead: this.ahead.size + this.inputs.size,
      slots: this.deps.settings.slots,
      claimed: this.claimedCount,
      ...this.endings.counts,
      calls: this.claimer.calls + this.reporter.calls,
      oldestMs: Math.round(now - Math.min(now, ...started)),
    };
  }

  /** The handlers that hold its slots now. */
  slotHolders(): SlotHolder[] {
    return Array.from(this.running, ({ claimed, startedAt = Infinity }) => ({
      task: claimed.executionKind,
      since: startedAt,
    }));
  }

  on<Type extends keyof WorkerEvents>(type: Type, listener: (event: WorkerEvents[Type]) => void): () => void {
    checkEventListener(WORKER_EVENTS, type, listener);
    return this.announcer.on(type, listener);
  }

  // From a claim to a handler.

  private accept(claimed: ClaimedExecution, laneId: string, requestedAt: number): void {
    const { clock, settings } = this.deps;
    const attempt = new Attempt(claimed, laneId, clock, settings.leaseTtlMs, clock.now(), this.hooks);
    attempt.priority = claimed.priority;
    this.claimedCount++;
    // An earlier attempt of the same execution that is still in hand has lost it; its handler must learn that before
    // the new handler runs. An attempt that was reported gets its answer from the engine.
    const others = this.attempts.of(attempt.executionId);
    // First, because a worker without attempts in hand says that it is idle.
    this.attempts.add(attempt);
    for (const earlier of others) if (!earlier.reported) earlier.displace();
    this.keeper.add(attempt, requestedAt);
    this.blockers.arrived(attempt.executionId, requestedAt);
    this.announcer.claimed(attempt);
    const task = this.deps.taskNamed(claimed.executionKind);
    if (this.drainer.hasBegun) this.giveBack(attempt, { kind: 'release' });
    else if (task === undefined && settings.onUnhandled === 'fail')
      this.giveBack(attempt, unhandled(claimed.executionKind));
    else if (task === undefined) this.handBackOrphan(attempt);
    else if (attempt.input === undefined) this.inputs.add(attempt);
    else this.place(attempt);
  }

  /** Gives an attempt that can start a slot, or makes it wait for one. */
  private place(attempt: Attempt): void {
    const task = this.deps.taskNamed(attempt.claimed.executionKind);
    if (task === undefined) this.handBackOrphan(attempt);
    else if (this.running.size < this.deps.settings.slots) this.run(attempt, task);
    else this.ahead.add(attempt);
  }

  private handBackOrphan(attempt: Attempt): void {
    const { executionId, claimed, laneId, partition } = attempt;
    if (this.orphans.isNews(claimed.executionKind)) this.announcer.noHandler(attempt);
    this.claimer.yieldTo(laneId, partition);
    this.giveBack(attempt, this.orphans.endingFor(executionId));
  }

  /** Runs the handler of an attempt in a slot. */
  private run(attempt: Attempt, task: TaskHandler): void {
    this.running.add(attempt);
    this.ahead.started();
    this.turns.watch();
    // Not in this turn: all executions of a claim are accepted before the first handler runs.
    void RESOLVED.then(() => this.turns.begin(attempt, task));
  }

  private beginIfKept(attempt: Attempt, task: TaskHandler): void {
    if (this.keeper.isStale(attempt) || this.pauses.mayConcern(attempt)) void this.beginOrPark(attempt, task);
    else this.begin(attempt, task);
  }

  /** Calls the handler if the attempt is still owned, unless its execution takes workers down. */
  private async beginOrPark(attempt: Attempt, task: TaskHandler): Promise<void> {
    // When the grant was read late, or a handler before this one blocked the event loop, the lease may be over, and a
    // handler that blocks the event loop would lose it.
    let isKept = !this.keeper.isStale(attempt) || (await this.keeper.confirm(attempt));
    if (isKept && this.pauses.mayConcern(attempt)) {
      this.loopWatch?.look();
      const inMs = await this.pauses.pauseMs(attempt);
      if (inMs > 0) {
        this.ended(attempt, { kind: 'delay', until: { inMs } });
        return;
      }
      isKept = attempt.isLive;
    }
    if (isKept) this.begin(attempt, task);
    else this.ended(attempt, { kind: 'lost' });
  }

  private begin(attempt: Attempt, task: TaskHandler): void {
    attempt.start();
    this.endsWatch.started();
    runHandler(task, attempt, this.runs);
  }

  // From a handler to the engine.

  private ended(attempt: Attempt, ending: Ending): void {
    attempt.stop();
    const stuckMs = this.stuck.settled(attempt);
    if (stuckMs === undefined) {
      this.vacate(attempt, ending);
      return;
    }
    // The attempt was over when its stuck handler lost the slot.
    this.announcer.stuckSettled(attempt, stuckMs);
  }

  /** Frees the slot of the attempt for the next one, and reports its ending. */
  private vacate(attempt: Attempt, ending: Ending): void {
    this.running.delete(attempt);
    // A reported attempt was handed back at the end of a drain.
    if (!attempt.reported) {
      this.claimer.finished(attempt.partition);
      this.fill();
      if (ending.kind !== 'lost' && !attempt.gone) this.report(attempt, ending);
      else if (attempt.abortCode === 'shutdown' && !attempt.gone) this.report(attempt, { kind: 'release' });
      else this.endings.taken(attempt);
    }
    this.patience.changed();
  }

  private giveBack(attempt: Attempt, ending: ReportedEnding): void {
    this.claimer.finished(attempt.partition);
    this.report(attempt, ending);
  }

  private report(attempt: Attempt, ending: ReportedEnding): void {
    attempt.reported = true;
    const progress = attempt.progress?.take();
    const before: Command[] =
      progress === undefined ? [] : [{ name: 'updateProgress', args: progressArgs(attempt, progress) }];
    this.reporter.report(attempt, ending, before);
  }

  /** Starts work that was claimed ahead in free slots. */
  private fill(): void {
    while (this.running.size < this.deps.settings.slots) {
      const next = this.ahead.next();
      if (next === undefined) return;
      const task = this.deps.taskNamed(next.claimed.executionKind);
      if (task === undefined) this.handBackOrphan(next);
      else this.run(next, task);
    }
  }

  // News about the work in hand.

  private lost(attempt: Attempt, code: TaskAbortCode, refusal: EngineError | undefined): void {
    // The block that cost this lease excuses what is in hand; the handler may settle before the report of it is due.
    this.loopWatch?.look();
    this.keeper.remove(attempt);
    this.claimer.ended(attempt.claimed.leaseId, false);
    if (refusal?.code === 'execution_not_found') this.announcer.forgotten(attempt);
    this.announcer.leaseLost(attempt, code);
    // Work that waits for a slot or its input is dropped. A running handler was aborted, and keeps its slot until it settles.
    if (!this.ahead.remove(attempt) && !this.inputs.remove(attempt)) return;
    this.claimer.finished(attempt.partition);
    this.endings.taken(attempt);
  }

  /** A handler has not settled within its grace after the abort: it loses its slot. */
  private onStuck(attempt: Attempt): void {
    const { size, tooMany } = this.stuck;
    this.announcer.handlerStuck(attempt, size, !tooMany, this.deps.settings.abortGraceMs);
    attempt.stop();
    this.vacate(attempt, { kind: 'lost' });
  }

  private tooManyStuck(tooMany: boolean): void {
    this.announcer.tooManyStuck(tooMany, this.deps.settings.slots);
    this.claimer.setPaused(tooMany);
  }

  private loopBlocked({ forMs, tasks, culprit, hasOthers }: Block<Attempt>): void {
    const kinds = this.resting.without(this.deps.kinds?.()) ?? [];
    // A rest is for the sake of other tasks: without work of theirs, the worker would only be idle.
    const serves = culprit !== undefined && hasOthers && kinds.some((kind) => kind !== culprit);
    const restMs = serves && !this.drainer.hasBegun ? this.resting.rest(culprit, forMs) : 0;
    this.announcer.loopBlocked(forMs, tasks, culprit !== undefined, restMs);
  }

  private reclaimCapExceeded(executionIds: readonly string[]): void {
    const news = localNews(this.deps.backend);
    for (const executionId of executionIds) {
      this.announcer.reclaimCapExceeded(executionId);
      news.publish({ kind: 'failed', executionId, reason: MAX_RECLAIMS_EXCEEDED, category: MAX_RECLAIMS_EXCEEDED });
    }
  }

  private onIdle(): boolean {
    if (this.attempts.size > 0) return false;
    this.announcer.idle();
    return true;
  }

  // The end.

  toJSON(): object {
    const { state, running, slots } = this.stats();
    return { workerInstanceId: this.workerInstanceId, state, running, slots };
  }

  drain(options: { readonly timeout?: Duration } = {}): Promise<void> {
    knownOnly('drain', options, { timeout: true });
    const { timeout } = options;
    checkDuration('drain', 'timeout', timeout, 0, LIMITS.maxDurationMs);
    return this.drainer.begin(timeout === undefined ? undefined : durationMs(timeout));
  }

  close(): Promise<void> {
    return this.drain();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.drain();
  }

  private newDrain(): Drain {
    const { clock, settings } = this.deps;
    const { patience, reporter, running, claimer } = this;
    return new Drain({
      ...{ clock, patience, reporter, running },
      timeoutMs: settings.drainTimeoutMs,
      stopClaiming: () => claimer.stop(),
      closeClaimer: () => claimer.close(),
      takeWaiting: () => [...this.ahead.takeAll(), ...this.inputs.takeAll()],
      handBack: (attempt) => this.giveBack(attempt, { kind: 'release' }),
      onRunningOn: (attempts) => this.announcer.runningOn(attempts),
      closeParts: () => this.closeParts(),
    });
  }

  private async closeParts(): Promise<void> {
    this.elsewhere.close();
    this.endsWatch.close();
    this.stuck.close();
    this.loopWatch?.stop();
    this.resting.close();
    await within(this.deps.clock, LAST_CALLS_MS, this.keeper.close());
    this.closed = true;
  }
}
