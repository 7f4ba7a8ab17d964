/** What users see of a worker. */
import type { Duration } from '../shared/duration.js';
import type { TaskAbortCode } from './abort.js';

/** How an attempt ended, as `finished` says it. */
export type FinishedOutcome =
  | 'completed'
  | 'failed'
  | 'retry_scheduled'
  | 'delayed'
  | 'suspended'
  | 'released'
  | 'lost';

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
    readonly error?: unknown | undefined;
  };
  /** The work is not this worker's any more; its handler was told. */
  leaseLost: { readonly executionId: string; readonly task: string; readonly reason: TaskAbortCode };
  /** How an attempt ended could not be reported in time, and was given up: its lease lapses, and it is tried again. */
  reportGivenUp: {
    readonly executionId: string;
    readonly task: string;
    readonly ending: 'complete' | 'fail' | 'delay' | 'suspend' | 'await_children' | 'release';
    /** How long it was tried, ms. */
    readonly afterMs: number;
    readonly error: unknown;
  };
  /** A handler has not settled in the grace after it was told to stop; it lost its slot and still runs. */
  handlerStuck: {
    readonly executionId: string;
    readonly task: string;
    readonly reason: TaskAbortCode;
    /** How many of them there are now. */
    readonly stuck: number;
    /** Whether the worker still claims work: not with more of them than it has slots. */
    readonly claiming: boolean;
  };
  /** The event loop stood still for about two thirds of a lease or longer: leases may have been lost by it. */
  loopBlocked: {
    /** For at least so long, ms. */
    readonly forMs: number;
    /** The task that held it, where that is known; else all whose handlers ran. */
    readonly tasks: readonly string[];
  };
  /** A call failed; it is tried again where that makes sense. */
  error: { readonly error: unknown };
  /** Nothing in hand, and nothing says that there is work. */
  idle: Record<string, never>;
}

export interface WorkerStats {
  readonly state: 'running' | 'draining' | 'closed';
  /**
   * What the claim loop is at: `idle`, `asking`, `full`, `backing_off` or `stopped`; `resting` when too many handlers
   * are stuck.
   */
  readonly claiming: string;
  /** Handlers that run. */
  readonly running: number;
  /** Handlers that did not settle when they were told to stop, and lost their slots. */
  readonly stuck: number;
  /** Executions claimed ahead that wait for a slot. */
  readonly ahead: number;
  readonly slots: number;
  readonly claimed: number;
  readonly completed: number;
  /** Attempts that failed, whether another try follows or not. */
  readonly failed: number;
  readonly delayed: number;
  /** Runs of handlers that ended because they wait. */
  readonly suspended: number;
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
  drain(options?: { readonly timeout?: Duration | undefined }): Promise<void>;
  /** The same as `drain()`. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
