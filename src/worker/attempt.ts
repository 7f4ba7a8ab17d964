/** One execution in a worker's hand: its lease, its clock, and the signal of its handler. */
import type { EngineError } from '../../model/errors.js';
import { partitionOfExecution } from '../../model/ids.js';
import type { Command } from '../../model/machine.js';
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import { afterAndIo, type Cancel, type Clock } from '../engine/clock.js';
import type { Member } from '../util/bag.js';
import { TaskAbort, type TaskAbortCode } from './abort.js';
import { guardSignal } from './guarded-signal.js';
import type { Ending } from './handler.js';
import type { HeldLease, Lease, LeaseFence } from './lease-keeper.js';
import type { Checkpoints } from './checkpoints/checkpoints.js';
import type { Progress } from './progress.js';
import type { FrameWriter } from './streaming/frame-writer.js';
import { abortCodeOf } from './refusal.js';
import { Suspension, type SuspensionRequest } from './waits/suspension.js';

/** What an attempt tells its worker. */
export interface AttemptHooks {
  /** The work is not this worker's any more. */
  readonly lost: (attempt: Attempt, code: TaskAbortCode) => void;
  /** Its handler is told to stop. */
  readonly told: (attempt: Attempt) => void;
  /** Its run ends because its handler waits. */
  readonly suspended: (attempt: Attempt, suspension: Suspension) => void;
  /** A listener that the handler put on its signal failed. */
  readonly listenerFailed: (attempt: Attempt, error: unknown) => void;
}

export class Attempt implements HeldLease, Member {
  /** Among those that run. */
  place = -1;
  lease: Lease | undefined;
  readonly executionId: string;
  readonly partition: string;
  readonly fence: LeaseFence;
  /** When its handler was called, on the worker's clock; undefined while it waits for a slot. */
  startedAt: number | undefined;
  /** Priority of the work, as far as is known: of what was claimed ahead, the highest starts first. */
  priority = 0;
  /** How far it is; there once its handler has said so. */
  progress: Progress | undefined;
  /** What it says; there once its handler has asked for its stream. */
  frames: FrameWriter | undefined;
  /** What its handler passes once; there once the handler has asked for it. */
  checkpoints: Checkpoints | undefined;
  /** Its ending is on its way to the engine. */
  reported = false;
  /** The engine said that the work is not this worker's any more: there is nothing left to report. */
  gone = false;
  private aborted: TaskAbort | undefined;
  private controller: AbortController | undefined;
  private cancelTimer: Cancel | undefined;
  private endsAt = Infinity;
  private left = false;
  private stopped = false;
  private suspended = false;
  private hasSettled = false;

  constructor(
    readonly claimed: ClaimedExecution,
    readonly laneId: string,
    private readonly clock: Clock,
    private readonly leaseTtlMs: number,
    /** When the answer of the claim was there, on the worker's clock. */
    private readonly receivedAt: number,
    private readonly hooks: AttemptHooks,
  ) {
    const { executionId, leaseId, leaseEpoch, attemptId } = claimed;
    this.executionId = executionId;
    this.partition = partitionOfExecution(executionId);
    this.fence = { leaseId, leaseEpoch, attemptId };
    this.endsAt = claimed.attemptTimeoutAt ?? Infinity;
  }

  /** Made when the handler asks for it. */
  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController();
      guardSignal(this.controller.signal, (error) => this.hooks.listenerFailed(this, error));
      if (this.aborted !== undefined) this.controller.abort(this.aborted);
    }
    return this.controller.signal;
  }

  /** Why the handler was told to stop. */
  get abortCode(): TaskAbortCode | undefined {
    return this.aborted?.code;
  }

  throwIfAborted(): void {
    if (this.aborted !== undefined) throw this.aborted;
  }

  /**
   * For what is to be stored: a handler that is told to stop because its worker ends still owns its work. What it says until
   * then counts, or its result would hide what is missing.
   */
  throwIfLost(): void {
    if (this.abortCode !== 'shutdown') this.throwIfAborted();
  }

  /** The time of the engine as the claim told it and as it went on since, ms since the epoch. */
  serverNow(): number {
    return Math.round(this.claimed.leaseExpiresAt - this.leaseTtlMs + this.clock.now() - this.receivedAt);
  }

  /** Whether its handler runs, and nothing has told it to stop. */
  get isLive(): boolean {
    return !this.stopped && this.aborted === undefined;
  }

  /** Whether its handler has settled, or will not be called. */
  get isOver(): boolean {
    return this.stopped;
  }

  /** Whether its run ended because its handler waits. What is left of that run is held up for good. */
  get isSuspended(): boolean {
    return this.suspended;
  }

  /** Ends the run of the handler, which waits and does not settle by itself. */
  suspend(request: SuspensionRequest | 'children'): void {
    if (!this.isLive || this.suspended) return;
    this.suspended = true;
    if (this.settled()) this.hooks.suspended(this, new Suspension(request));
  }

  /** Its handler has settled, or waits, whichever is first: false when the other was. */
  settled(): boolean {
    if (this.hasSettled) return false;
    this.hasSettled = true;
    return true;
  }

  /** The handler is called now; from here on the attempt's own end is watched. */
  start(): void {
    this.startedAt = this.clock.now();
    this.watchEnd();
  }

  /** The attempt ends at this time of the engine, as the engine said after the claim. */
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
    // What the handler waits for may be in the socket already.
    this.cancelTimer = afterAndIo(this.clock, endsAt - this.serverNow(), () => this.abort(code));
  }

  /** The handler has settled, or will not be called. */
  stop(): void {
    this.stopped = true;
    this.cancelTimer?.();
  }

  /** Tells the handler to stop; the first reason stays. */
  abort(code: TaskAbortCode, detail?: string): void {
    if (this.aborted !== undefined) return;
    this.aborted = new TaskAbort(code, detail);
    this.hooks.told(this);
    this.controller?.abort(this.aborted);
  }

  onLost(refusal: EngineError | undefined): void {
    this.refused(refusal);
  }

  /** The engine, or the worker's own clock when there is no refusal, says that the work is not this worker's any more. */
  refused(refusal: EngineError | undefined): TaskAbortCode | undefined {
    const now = this.serverNow();
    const timeouts = {
      attemptTimedOut: this.timedOut,
      deadlinePassed: (this.claimed.executionDeadlineAt ?? Infinity) <= now,
    };
    const code = refusal === undefined ? 'lease_lost' : abortCodeOf(refusal, timeouts);
    if (code === undefined) return undefined;
    // By its own clock a worker only suspects: if a result is there in time after all, the fence decides.
    if (refusal === undefined) this.leave(code);
    else this.takenAway(code);
    return code;
  }

  /** The engine, by whatever way, says that the work is not this worker's any more. */
  takenAway(code: TaskAbortCode, detail?: string): void {
    this.gone = true;
    this.leave(code, detail);
  }

  private leave(code: TaskAbortCode, detail?: string): void {
    this.abort(code, detail);
    if (this.left) return;
    this.left = true;
    this.hooks.lost(this, code);
  }

  /** Whether its attempt's time is over. */
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
        const at = 'at' in ending.until ? ending.until.at : this.serverNow() + ending.until.inMs;
        return { name: 'delayExecution', args: { executionId, fence, delayUntil: Math.max(0, Math.round(at)) } };
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
