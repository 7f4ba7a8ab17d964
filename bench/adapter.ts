/**
 * The interface of an engine that is measured. An adapter is thin: it calls the engine as an
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

/** How to build a worker. */
export interface WorkerOptions {
  /** Tasks in hand at once. */
  readonly slots: number;
  /** Tasks claimed and completed per round trip. Default: one, no claim-ahead. */
  readonly batch?: number | undefined;
  /** What the worker can do. Default: nothing in particular. */
  readonly capabilities?: readonly string[];
  /** The handler: called with every task before it is completed. */
  onTask(task: BenchTask): void;
  /** Called when the server has acknowledged the completion of one task. */
  onCompleted(): void;
}

/** A worker whose connections are open, as far as the engine allows, and that has claimed nothing yet. */
export interface BenchWorker {
  /** Starts claiming; returns at once. */
  start(): void;
  /** Stops claiming, finishes the work in hand and closes the worker. */
  stop(): Promise<void>;
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
  createWorker(options: WorkerOptions): Promise<BenchWorker>;
  /** Submits one piece of work and resolves when its submitter knows that it succeeded. Absent: not offered. */
  submitAndWait?(submission: Submission): Promise<void>;
}

/** Workers that wait for work that never comes. */
export interface IdleEngine extends Engine {
  /** `count` idle worker slots, started the way the engine recommends. */
  idleWorkers(count: number): Promise<{ stop(): Promise<void> }>;
}

/** This project's engine: its worker like any other, and its calls without a worker around them. */
export interface SubjectEngine extends IdleEngine {
  /** Up to `count` tasks of one partition in one round trip; an empty array when there are none. */
  claim(count: number): Promise<readonly BenchTask[]>;
  /** Completes tasks that one claim gave, in one round trip. */
  complete(tasks: readonly BenchTask[]): Promise<void>;
  /** Completes one task and claims the next in one round trip. */
  completeAndClaim(task: BenchTask): Promise<BenchTask | null>;
  /** An idle worker of one slot that serves so many lanes. Gives the claims it has sent so far. */
  idleLanes(count: number): Promise<{ claims(): number; stop(): Promise<void> }>;
}
