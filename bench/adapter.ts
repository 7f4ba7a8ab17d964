/**
 * What an engine must offer to be measured. An adapter is thin: it calls the engine as an
 * application would and does no work that the engine would not do for its users.
 */

/** Where the server under test listens. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  /** The same as a connection string, `valkey://host:port` or `redis://host:port`. */
  readonly url: string;
}

/** One payload in both shapes, converted once and outside the clock. */
export interface Payload {
  readonly bytes: Buffer;
  readonly text: string;
}

/** One piece of work to submit. */
export interface Submission {
  readonly payload: Payload;
  /** Capabilities that a worker must have to be handed this work. Default: none. */
  readonly requires?: readonly string[];
}

/** Work in a worker's hand. Adapters extend it with what they need to complete it. */
export interface BenchTask {
  /** The payload as the engine delivered it: scenarios check that it really arrived. */
  readonly payload: Uint8Array | string;
}

/** What every engine offers. */
export interface Engine {
  /** Name in tables. */
  readonly name: string;
  /** Called after FLUSHALL: brings the engine back to a usable, empty state. */
  reset(): Promise<void>;
  /** Closes every connection of the engine. */
  close(): Promise<void>;
  /** Resolves when the work is stored. Many calls may be in flight at once. */
  submit(submission: Submission): Promise<void>;
  /** Stores several pieces of work in as few round trips as the engine can. */
  submitMany(submissions: readonly Submission[]): Promise<void>;
}

/** Choices of one claim. */
export interface ClaimOptions {
  /** Capabilities of the claiming worker. Default: none. */
  readonly capabilities?: readonly string[];
}

/** An engine driven by plain calls: the harness is the worker. Workers are numbered from 0. */
export interface CallEngine extends Engine {
  /** Opens and warms what `workers` workers need, so that no connection is made inside the clock. */
  connect(workers: number): Promise<void>;
  /** The next piece of work under a lease, or null when there is none for this worker. */
  claim(worker: number, options?: ClaimOptions): Promise<BenchTask | null>;
  /** Resolves when the completion is acknowledged. */
  complete(task: BenchTask, worker: number): Promise<void>;
}

/** Complete and claim the next in one round trip. */
export interface FusedEngine extends CallEngine {
  completeAndClaim(task: BenchTask, worker: number): Promise<BenchTask | null>;
}

/** Claim ahead and complete in batches. */
export interface BatchEngine extends CallEngine {
  /** Up to `count` tasks in one round trip; an empty array when there are none. */
  claimMany(worker: number, count: number): Promise<readonly BenchTask[]>;
  completeMany(tasks: readonly BenchTask[], worker: number): Promise<void>;
}

/** How to build a worker. */
export interface WorkerOptions {
  /** Tasks in hand at once. */
  readonly slots: number;
  /** Tasks claimed and completed per round trip. Default: one, no claim-ahead. */
  readonly batch?: number;
  /** What the worker can do. Default: nothing in particular. */
  readonly capabilities?: readonly string[];
  /** The handler: called with every task before it is completed. */
  onTask(task: BenchTask): void;
  /** Called when the server has acknowledged `count` completions. */
  onCompleted(count: number): void;
}

/** A worker that is connected and warm but has claimed nothing yet. */
export interface BenchWorker {
  /** Starts claiming; returns at once. */
  start(): void;
  /** Stops claiming, finishes what is in hand and closes the worker. */
  stop(): Promise<void>;
}

/** An engine that brings a worker of its own. */
export interface WorkerEngine extends Engine {
  createWorker(options: WorkerOptions): Promise<BenchWorker>;
}

/** Workers that wait for work that never comes. */
export interface IdleEngine extends Engine {
  /** `count` idle worker slots, started the way the engine recommends. */
  idleWorkers(count: number): Promise<{ stop(): Promise<void> }>;
}

/** This project's engine: every form of work, and the hooks that only it needs. */
export interface SubjectEngine extends FusedEngine, BatchEngine, WorkerEngine, IdleEngine {
  /** Trims the event logs to nothing, so that memory per execution can be told from the log. */
  trimLog(): Promise<void>;
}

/** What `bench/engines/flowfabric.ts` exports. */
export interface SubjectModule {
  /** Connects to the server; the library of server functions is loaded when this resolves. */
  createFlowFabricEngine(address: ServerAddress): Promise<SubjectEngine>;
  /** The same machine on the in-memory backend, new and empty. */
  createMemoryEngine(): Promise<CallEngine>;
}
