/** An attempt in hand: its lease, its timeout, and the signal of its handler. */
import type { EngineError } from '../../../model/errors.js';
import { partitionOfExecution } from '../../../model/ids.js';
import type { Command } from '../../../model/machine.js';
import type { ClaimedExecution } from '../../../model/schedule/claimed.js';
import { afterAndIo, type Cancel, type Clock } from '../../engine/clock.js';
import type { Member } from '../../util/bag.js';
import { InFlight } from '../../util/in-flight.js';
import { TaskAbort, type TaskAbortCode } from './abort.js';
import { guardSignal } from './guarded-signal.js';
import type { Ending } from '../handler/handler.js';
import type { HeldLease, Lease, LeaseFence } from '../lease/lease-keeper.js';
import type { Checkpoints } from '../checkpoints/checkpoints.js';
import type { Progress } from '../handler/progress.js';
import type { HandlerPromises } from '../handler/promises.js';
import type { FrameWriter } from '../streaming/frame-writer.js';
import { abortCodeOf } from '../lease/refusal.js';
import { Suspension, type SuspensionRequest } from '../waits/suspension.js';

/** The callbacks of an attempt to its worker. */
export interface AttemptHooks {
  /** The worker no longer owns the execution; the refusal says so, unless something else did. */
  readonly lost: (attempt: Attempt, code: TaskAbortCode, refusal: EngineError | undefined) => void;
  /** The run was cancelled elsewhere, and the handler is to be told. */
  readonly cancelled: (attempt: Attempt) => void;
  /** The handler was aborted. */
  readonly aborted: (attempt: Attempt) => void;
  /** The handler's run ended because the handler waits. */
  readonly suspended: (attempt: Attempt, suspension: Suspension) => void;
  /** The function of a step was called, and held the event loop for so long, ms, before it returned or awaited. */
  readonly held: (attempt: Attempt, ms: number) => void;
  /** A listener that the handler put on its signal failed. */
  readonly listenerFailed: (attempt: Attempt, error: unknown) => void;
}

/** How the run of a handler has ended; `suspended`: it waits, and so does not settle. */
export type HowEnded = 'runs' | 'returned' | 'threw' | 'suspended';

/** The handler gets the rejections. */
const ignore = (): void => undefined;

export class Attempt implements HeldLease, Member {
  /** Its index in the bag of running attempts. */
  place = -1;
  lease: Lease | undefined;
  readonly executionId: string;
  readonly partition: string;
  readonly fence: LeaseFence;
  /** When the handler was called, on the worker's clock; undefined while the attempt waits for a slot. */
  startedAt: number | undefined;
  /** Priority of the execution when it was claimed; among work claimed ahead, the highest starts first. */
  priority = 0;
  /** The input; set later when it was too long for the claim. */
  input: Uint8Array | undefined;
  /** Progress; set when the handler first reports some. */
  progress: Progress | undefined;
  /** Writer of stream frames; set when the handler first uses its stream. */
  frames: FrameWriter | undefined;
  /** Checkpoints of the handler; set when the handler first uses one. */
  checkpoints: Checkpoints | undefined;
  /** What the handler got from its context; set when it first asks for something. */
  promises: HandlerPromises | undefined;
  /** Calls that the handler has made beside its steps and waits; set when it makes the first one. */
  calls: InFlight | undefined;
  /** Results of upstreams are being read for its input; the handler is not called yet. */
  awaitsResults = false;
  /** The ending has been handed to the reporter. */
  reported = false;
  /** The engine said that the worker no longer owns the execution, so there is nothing to report. */
  gone = false;
  /**
   * Whether the abort has refused a step, a wait or children to the handler. Whatever the handler returns then is made
   * without what it asked for, as by a `catch` with a value in its place: it is no result of the run.
   */
  isInterrupted = false;
  private aborted: TaskAbort | undefined;
  /** Why the worker no longer owns the execution; undefined until the engine has said that it does not. */
  private lossCode: TaskAbortCode | undefined;
  private controller: AbortController | undefined;
  private cancelTimer: Cancel | undefined;
  private endsAt = Infinity;
  private ownershipEnded = false;
  private stopped = false;
  private onAbort: ((reason: TaskAbort) => void) | undefined;
  private howEnded: HowEnded = 'runs';

  constructor(
    readonly claimed: ClaimedExecution,
    readonly laneId: string,
    private readonly clock: Clock,
    /** The length of its lease, ms. */
    readonly leaseTtlMs: number,
    /** When the answer to the claim arrived, on the worker's clock. */
    private readonly receivedAt: number,
    private readonly hooks: AttemptHooks,
  ) {
    const { executionId, leaseId, leaseEpoch, attemptId } = claimed;
    this.executionId = executionId;
    this.input = claimed.inputPayload;
    this.partition = partitionOfExecution(executionId);
    this.fence = { leaseId, leaseEpoch, attemptId };
    this.endsAt = claimed.attemptTimeoutAt ?? Infinity;
  }

  /** Created on first use. */
  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController();
      this.guard(this.controller.signal);
      if (this.aborted !== undefined) this.controller.abort(this.aborted);
    }
    return this.controller.signal;
  }

  /** Guards the listeners that user code adds to a signal. */
  guard(signal: AbortSignal): void {
    guardSignal(signal, (error) => this.hooks.listenerFailed(this, error));
  }

  /** Why the handler was aborted, if it was. */
  get abortCode(): TaskAbortCode | undefined {
    return this.aborted?.code;
  }

  /** Why the attempt was taken from the worker: by the engine if it said so, otherwise why the handler was aborted. */
  get lossReason(): TaskAbortCode | undefined {
    return this.lossCode ?? this.abortCode;
  }

  throwIfAborted(): void {
    if (this.aborted !== undefined) throw this.aborted;
  }

  /** The check of what the handler asks for: a step, a wait, children. */
  throwIfInterrupted(): void {
    if (this.aborted === undefined) return;
    this.isInterrupted = true;
    throw this.aborted;
  }

  /**
   * The check before a handler's write. A handler that is aborted because its worker shuts down still owns the
   * execution, and its writes are accepted: otherwise it could complete with a result while earlier writes are missing.
   */
  throwIfLost(): void {
    if (this.abortCode !== 'shutdown') this.throwIfAborted();
  }

  /** When the execution was claimed, in the engine's time, ms since the epoch. */
  get claimedAt(): number {
    return this.claimed.leaseExpiresAt - this.leaseTtlMs;
  }

  /**
   * The engine's time, from the answer to the claim and the time passed since, ms since the epoch. Never ahead of the
   * engine's own.
   */
  serverNow(): number {
    return Math.floor(this.claimedAt + this.clock.now() - this.receivedAt);
  }

  /** Makes a call of the handler. Nothing is decided about its waits before the call is answered. */
  during<T>(call: () => Promise<T>): Promise<T> {
    const answer = call();
    this.calls ??= new InFlight(ignore);
    this.calls.track(answer);
    return answer;
  }

  /** Calls the function of a step, and notes how long it holds the event loop. */
  measured<T>(call: () => T): T {
    const startedAt = this.clock.now();
    try {
      return call();
    } finally {
      this.hooks.held(this, this.clock.now() - startedAt);
    }
  }

  /** Whether the handler has not settled and was not aborted. */
  get isLive(): boolean {
    return !this.stopped && this.aborted === undefined;
  }

  /** Whether the handler has settled, or will not be called. */
  get isOver(): boolean {
    return this.stopped;
  }

  /** Whether the run ended because the handler waits. The promises of that run never settle. */
  get isSuspended(): boolean {
    return this.howEnded === 'suspended';
  }

  /** How the run of the handler has ended. */
  get how(): HowEnded {
    return this.howEnded;
  }

  /** Ends the run of a handler that waits, and so does not settle by itself. */
  suspend(request: SuspensionRequest | 'children'): void {
    if (this.isLive && this.settled('suspended')) this.hooks.suspended(this, new Suspension(request));
  }

  /** Records that the handler settled or waits. Only the first call returns true. */
  settled(how: Exclude<HowEnded, 'runs'>): boolean {
    if (this.howEnded !== 'runs') return false;
    this.howEnded = how;
    return true;
  }

  /** Call this when the handler is called: the attempt's timeout and deadline are watched from now on. */
  start(): void {
    this.startedAt = this.clock.now();
    // Then the handler is not called: whatever it did would be refused.
    if ((this.claimed.executionDeadlineAt ?? Infinity) <= this.serverNow()) this.abort('deadline');
    else this.watchEnd();
  }

  /** Sets the end of the attempt, in the engine's time, that the engine gave after the claim. */
  endAt(attemptTimeoutAt: number): void {
    this.endsAt = attemptTimeoutAt;
    if (this.isLive) this.watchEnd();
  }

  private watchEnd(): void {
    this.cancelTimer?.();
    const { executionDeadlineAt = Infinity } = this.claimed;
    const endsAt = Math.min(this.endsAt, executionDeadlineAt);
    if (endsAt === Infinity) return;
    const code = executionDeadlineAt <= this.endsAt ? 'deadline' : 'attempt_timeout';
    // The answer that the handler waits for may have arrived, still unread.
    this.cancelTimer = afterAndIo(this.clock, endsAt - this.serverNow(), () => this.abort(code));
  }

  /** Call this when the handler has settled, or will not be called. */
  stop(): void {
    this.stopped = true;
    this.cancelTimer?.();
  }

  /** Aborts the handler; only the first reason counts. */
  abort(code: TaskAbortCode, detail?: string): void {
    if (this.aborted !== undefined) return;
    this.aborted = new TaskAbort(code, detail);
    this.hooks.aborted(this);
    this.controller?.abort(this.aborted);
    this.onAbort?.(this.aborted);
  }

  /**
   * Calls a function once when the handler is aborted, or now if it was. It supports one caller, and avoids creating a
   * signal for every wait.
   */
  whenAborted(listener: (reason: TaskAbort) => void): void {
    if (this.aborted === undefined) this.onAbort = listener;
    else listener(this.aborted);
  }

  onLost(refusal: EngineError | undefined): void {
    const isCancelled = refusal !== undefined && this.lossBy(refusal) === 'cancelled';
    if (isCancelled && this.startedAt !== undefined && this.isLive && !this.reported) this.hooks.cancelled(this);
    else this.refused(refusal);
  }

  /**
   * Handles a refusal by the engine; without one, a lease that is over by the worker's own clock. @returns the reason
   * for the abort, or undefined if the worker still owns the execution
   */
  refused(refusal: EngineError | undefined): TaskAbortCode | undefined {
    const code = refusal === undefined ? this.lostLeaseCode : this.lossBy(refusal);
    // A call beside the ending can be refused because the ending was accepted, and be answered first. The answer to the
    // ending tells what became of the attempt.
    if (code === undefined || this.reported) return code;
    // The worker's own clock is only a suspicion: a result that is still reported is judged by its fence.
    if (refusal === undefined) this.endOwnership(code);
    else this.lose(code, undefined, refusal);
    return code;
  }

  /** How the worker lost the execution, by a refusal; undefined if the refusal does not say so. */
  lossBy(refusal: EngineError): TaskAbortCode | undefined {
    const { executionDeadlineAt } = this.claimed;
    const code = abortCodeOf(refusal, {
      attemptTimedOut: this.timedOut,
      deadlinePassed: (executionDeadlineAt ?? Infinity) <= this.serverNow(),
      timeoutIsFirst: executionDeadlineAt === undefined || this.likelyEndsAt < executionDeadlineAt,
    });
    return code === 'lease_lost' ? this.lostLeaseCode : code;
  }

  /** The end of the attempt; while `beginAttempt`, which starts its timeout, is not answered, the earliest possible one. */
  private get likelyEndsAt(): number {
    const { attemptTimeoutRemainingMs: remainingMs } = this.claimed;
    if (this.endsAt !== Infinity || remainingMs === undefined) return this.endsAt;
    return this.claimedAt + (this.startedAt ?? this.receivedAt) - this.receivedAt + remainingMs;
  }

  /** The engine has said that the worker no longer owns the execution. */
  lose(code: TaskAbortCode, detail?: string, refusal?: EngineError): void {
    this.gone = true;
    this.lossCode ??= code;
    this.endOwnership(code, detail, refusal);
  }

  /** The worker has claimed the execution again before it heard how this attempt ended. */
  displace(): void {
    this.lose(this.isLive && this.timedOut ? 'attempt_timeout' : this.lostLeaseCode);
  }

  private endOwnership(code: TaskAbortCode, detail?: string, refusal?: EngineError): void {
    this.abort(code, detail);
    if (this.ownershipEnded) return;
    this.ownershipEnded = true;
    this.hooks.lost(this, code, refusal);
  }

  /**
   * Why the attempt no longer holds its lease. Once the handler was told that its time is up, the reason is that end:
   * the engine ends the lease with it, and the next attempt can have one of its own before this worker hears of it.
   */
  private get lostLeaseCode(): TaskAbortCode {
    const told = this.abortCode;
    return told === 'attempt_timeout' || told === 'deadline' ? told : 'lease_lost';
  }

  /** Whether the attempt's timeout has passed. */
  get timedOut(): boolean {
    return this.endsAt <= this.serverNow();
  }

  /** The command that tells the engine how the attempt ended. `random` is the jitter of a retry. */
  finalCommand(ending: Exclude<Ending, { kind: 'lost' }>, random: number): Command {
    const { executionId, fence } = this;
    switch (ending.kind) {
      case 'complete':
        return {
          name: 'completeExecution',
          args: { executionId, fence, resultPayload: ending.bytes, resultEncoding: ending.encoding },
        };
      case 'fail':
        return {
          name: 'failExecution',
          args: {
            executionId,
            fence,
            failureReason: ending.reason,
            failureCategory: ending.category,
            failureClass: ending.permanent ? 'permanent' : 'transient',
            retryAfterMs: ending.retryAfterMs,
            jitter: random,
          },
        };
      case 'delay': {
        const now = this.serverNow();
        const at = 'at' in ending.until ? ending.until.at : now + ending.until.inMs;
        // Time passes before the next attempt: one that is due at once, over and over, would hold a clock of tests still.
        return { name: 'delayExecution', args: { executionId, fence, delayUntil: Math.round(Math.max(now + 1, at)) } };
      }
      case 'suspend':
        return {
          name: 'suspendExecution',
          args: { executionId, fence, ...ending.request, timeoutBehavior: 'auto_resume' },
        };
      case 'await_children':
        return { name: 'moveToWaitingChildren', args: { executionId, fence } };
      case 'release':
        return { name: 'releaseLease', args: { executionId, fence } };
    }
  }
}
