/** The public interface of a worker. */
import type { Duration } from '../shared/duration.js';
import type { TaskAbortCode } from './attempt/abort.js';

/** How an attempt ended, in `finished` events. */
export type FinishedOutcome =
  | 'completed'
  | 'failed'
  | 'retry_scheduled'
  | 'delayed'
  | 'suspended'
  | 'released'
  /** Its run was cancelled. */
  | 'cancelled'
  /** The attempt's timeout or the run's deadline passed. */
  | 'timed_out'
  /** Its lease ran out or was taken away. */
  | 'lost';

export interface WorkerEvents {
  /** The worker has claimed an execution. */
  claimed: { readonly executionId: string; readonly task: string; readonly laneId: string; readonly attempt: number };
  /** The attempt is over and recorded, or its run was taken from the worker. */
  finished: {
    readonly executionId: string;
    readonly task: string;
    readonly outcome: FinishedOutcome;
    readonly durationMs: number;
    /** The error that the handler threw, or that its input or result caused; for `failed` and `retry_scheduled`. */
    readonly error?: unknown | undefined;
  };
  /** The worker lost the lease; its handler was aborted. */
  leaseLost: { readonly executionId: string; readonly task: string; readonly reason: TaskAbortCode };
  /**
   * The end of an attempt could not be reported in time, and the worker gave up: the lease lapses, and the work is
   * attempted again.
   */
  reportGivenUp: {
    readonly executionId: string;
    readonly task: string;
    readonly ending: 'complete' | 'fail' | 'delay' | 'suspend' | 'await_children' | 'release';
    /** How long the worker tried, ms. */
    readonly afterMs: number;
    readonly error: unknown;
  };
  /** A handler has not ended within `abortGrace` after it was aborted; it lost its slot and is still running. */
  handlerStuck: {
    readonly executionId: string;
    readonly task: string;
    readonly reason: TaskAbortCode;
    /** How many stuck handlers there are now. */
    readonly stuck: number;
    /** Whether the worker still claims work: it stops with more stuck handlers than slots. */
    readonly claiming: boolean;
  };
  /** The event loop was blocked for about two thirds of a lease or longer: leases may have been lost. */
  loopBlocked: {
    /** At least how long, ms. */
    readonly forMs: number;
    /** The task that blocked it, if that is certain; otherwise the candidates: all tasks whose handlers were running. */
    readonly tasks: readonly string[];
    /**
     * Whether the task is certain. A handler that blocks before its first `await` is known at once; later blocks are
     * traced only after a stretch of a third of a lease or longer, because tracing makes every `await` dearer.
     */
    readonly isCertain: boolean;
  };
  /** A call failed, and is retried where that makes sense; or a claim has quarantined damaged records. */
  error: { readonly error: unknown };
  /** The worker holds no work and knows of none. */
  idle: Record<string, never>;
}

const EVENTS: Readonly<Record<keyof WorkerEvents, true>> = {
  claimed: true,
  finished: true,
  leaseLost: true,
  reportGivenUp: true,
  handlerStuck: true,
  loopBlocked: true,
  error: true,
  idle: true,
};
export const WORKER_EVENTS: readonly string[] = Object.keys(EVENTS);

export interface WorkerStats {
  /** Whether it takes work, only finishes its work in hand, or has ended. */
  readonly state: 'running' | 'draining' | 'closed';
  /**
   * State of the claim loop: `idle`, `asking`, `full`, `backing_off` or `stopped`; `resting` if too many handlers are
   * stuck.
   */
  readonly claiming: string;
  /** Running handlers. */
  readonly running: number;
  /** Handlers that did not end after they were aborted, and lost their slots. */
  readonly stuck: number;
  /** Claimed executions that wait for a slot, or for an input that was too long for the claim. */
  readonly ahead: number;
  /** Handlers that it runs at once. */
  readonly slots: number;
  /** Executions claimed since it started. */
  readonly claimed: number;
  /** Runs completed since it started. */
  readonly completed: number;
  /** Failed attempts, with or without a retry. */
  readonly failed: number;
  /** Attempts that parked themselves with `delay`. */
  readonly delayed: number;
  /** Attempts that were suspended by a wait. */
  readonly suspended: number;
  /** Executions handed back, for others to continue. */
  readonly released: number;
  /** Attempts whose runs were cancelled. */
  readonly cancelled: number;
  /** Attempts that were ended by their timeout or by the deadline of their runs. */
  readonly timedOut: number;
  /** Attempts whose lease ran out or was taken away. */
  readonly lost: number;
  /** Calls with claims and endings; renewals are not counted. Concurrent ones share a call. */
  readonly calls: number;
  /** Age of the longest-running handler, ms; 0 if none runs. */
  readonly oldestMs: number;
}

export interface Worker {
  /** Unique to this worker, minted when it starts. */
  readonly workerInstanceId: string;
  stats(): WorkerStats;
  /** Calls the listener for every event of this type; the returned function removes it. */
  on<Type extends keyof WorkerEvents>(type: Type, listener: (event: WorkerEvents[Type]) => void): () => void;
  /**
   * Stops the worker cleanly: it claims no more, hands back work claimed ahead at once, and gives running handlers
   * `timeout` (default: the worker's `drainTimeout`) to finish. What still runs a tenth before its end (at most 2 s) is
   * aborted (`shutdown`), and at its end it is handed back, whether it has stopped or not. Only a store that does not
   * answer delays that, by 10 s at most. A second call with a shorter timeout shortens the wait.
   */
  drain(options?: { readonly timeout?: Duration | undefined }): Promise<void>;
  /** The same as `drain()`. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
