/**
 * The engine interface: commands in, outcomes out. Both backends implement it, and the app and the worker use nothing
 * else. Its methods are the operations and reads of the registry, named as in the contracts.
 *
 * The words of this project, here and everywhere:
 *
 * - task: a name, a handler, and its retry and timeout options; in the engine, the kind of an execution
 * - execution: one piece of work, with everything that is stored about it; to its caller it is a run
 * - attempt: one try of an execution; after a delay or a hand-back the same attempt continues
 * - worker: claims executions and runs their handlers, in one process
 * - slot: room for one running handler in a worker
 * - flow: a graph of executions, its members, in which results are inputs of others
 * - lane: a named queue of executions; a worker serves one or several
 * - capability: a word that a worker offers and an execution can require: gpu, eu
 * - priority: 0 to 9 000; within a lane, higher priorities start first
 * - partition: a part of the store in which every transition is atomic; an execution lives in one
 * - place: a partition of a lane
 * - lead: a dated hint that a place has work
 * - in flight: of claims: sent to a place, not answered yet
 * - focus: the two partitions of a lane that a worker looks at first
 * - yield: leaving a place to other workers that can serve it better
 * - claim: taking the best executions of a place in one step
 * - lease: the right to work on an execution for a limited time; renewed while the handler runs
 * - epoch: the number of an execution's lease; every acquisition raises it
 * - fence: lease id, epoch and attempt id: proof of ownership, sent with every call of an owner
 * - reclaim: claiming an execution whose lease expired: a new attempt begins
 * - hand-back: returning an unfinished execution; its attempt continues elsewhere
 * - situation: where an execution is in its life cycle; its state is the part that callers see
 * - policy: the retries, timeouts, retention and requirements of an execution, fixed at its creation
 * - idempotency key: creating an execution again under the same key returns the first one
 * - retention: how long an ended execution is kept before it is purged
 * - timer: the next time at which something is due for an execution
 * - wake: a notice that there may be work or room; it can be lost
 * - log: the events of a partition, in order
 * - outcome, refusal: the answer to a command: an expected result, or a code that says why nothing happened
 */
import type { EngineError } from '../../model/errors.js';
import type { BackendLabel } from '../../model/handle.js';
import type { AnswerOf, ArgsOf, Command, OperationName, OutcomeOf, QueryName } from '../../model/machine.js';
import type { PartitionConfig } from '../../model/partition.js';
import type { ListLanesPage } from '../../model/partition/reads.js';
import type { Capabilities } from './capabilities.js';
import type { ShutdownOptions, ShutdownReport } from './gate.js';
import type { DeploymentSettings, GivenSettings } from './settings.js';

/** The answer to one command of a batch. */
export type CommandResult<Name extends OperationName = OperationName> =
  | { readonly ok: true; readonly outcome: OutcomeOf<Name> }
  | { readonly ok: false; readonly error: EngineError };

/** The answers to a batch, in the order and with the types of its commands. */
export type CommandResults<Commands extends readonly Command[]> = {
  [I in keyof Commands]: CommandResult<Commands[I]['name']>;
};

/** Operations of an owner, which take a handle instead of the execution and its fence. */
export type OwnerOperation =
  | 'renewLease'
  | 'beginAttempt'
  | 'releaseLease'
  | 'updateProgress'
  | 'completeExecution'
  | 'failExecution'
  | 'cancelExecution'
  | 'delayExecution'
  | 'suspendExecution'
  | 'createPendingWaitpoint'
  | 'closeWaitpoint'
  | 'appendFrame'
  | 'reportUsage'
  | 'moveToWaitingChildren';

/** Reads of an owner, which also take a handle. */
export type OwnerQuery = 'observeSignals';

/** Arguments with a handle (see `handleOf`) instead of the execution and its fence. */
export type HandleArgs<Name extends OwnerOperation | OwnerQuery> = Omit<
  ArgsOf<Name>,
  'executionId' | 'fence' | 'leaseId' | 'leaseEpoch' | 'attemptId' | 'attemptIndex'
> & { readonly handle: string };

/** Every operation as a method. Expected outcomes are unions by `kind`; a refusal throws `EngineError`. */
export type OperationMethods = {
  [Name in OperationName]: (
    args: ArgsOf<Name> | (Name extends OwnerOperation ? HandleArgs<Name> : never),
  ) => Promise<OutcomeOf<Name>>;
};

/** Every read as a method. */
export type QueryMethods = {
  [Name in QueryName]: (
    args: ArgsOf<Name> | (Name extends OwnerQuery ? HandleArgs<Name> : never),
  ) => Promise<AnswerOf<Name>>;
};

/** A hint that something may have become possible. Wakes can be lost, so their listeners must also poll. */
export type Wake =
  | {
      readonly kind: 'work';
      /** A lane of this partition has new work, */
      readonly laneId: string;
      readonly partition: string;
      /** for workers with these capabilities, ascending. */
      readonly requiredCapabilities: readonly string[];
      /** Kind of the first work in its queue. */
      readonly executionKind: string;
      /** Its priority; a higher one is claimed first. */
      readonly priority: number;
      /**
       * Number of unclaimed executions that this process is about to create. A claim that the listener makes
       * synchronously joins their call and finds them. Absent if the work exists already.
       */
      readonly arriving?: number;
    }
  | {
      /** The same for metered work, which claimers with admissions for its meter set can claim. */
      readonly kind: 'metered';
      readonly laneId: string;
      readonly partition: string;
      readonly requiredCapabilities: readonly string[];
      readonly executionKind: string;
      readonly priority: number;
      readonly meters: string;
    }
  | {
      /** A quota policy has room for a claimer that it refused: this worker instance, for `wanted` admissions. */
      readonly kind: 'room_for';
      readonly laneId: string;
      readonly partition: string;
      readonly meters: string;
      readonly workerInstanceId: string;
      readonly wanted: number;
    }
  /** A budget that was exhausted has room again. */
  | { readonly kind: 'budget_room'; readonly partition: string; readonly budgetId: string }
  /** A partition has something due earlier than before. */
  | { readonly kind: 'timer'; readonly partition: string; readonly at: number }
  /** The subscription was renewed: wakes may have been lost, and anything may have changed. */
  | { readonly kind: 'resync' };

/** A notice of a partition while it is watched (`watchLog`, `watchEnds`). It can be lost. */
export type Announcement =
  /** Its log has new entries. */
  | { readonly kind: 'appended'; readonly partition: string }
  /** Executions ended. */
  | { readonly kind: 'ended'; readonly partition: string; readonly executionIds: readonly string[] }
  /** The subscription was renewed: notices in between are lost. */
  | { readonly kind: 'resync' };
export type AnnouncementKind = 'appended' | 'ended';

/** A notice about the streams of an execution while it is watched (`watchStream`). It can be lost. */
export type StreamNotice =
  /** A stream has new frames, or an attempt ended. */
  | { readonly kind: 'frames'; readonly executionId: string }
  /** The subscription was renewed: notices in between are lost. */
  | { readonly kind: 'resync' };
export type AnnouncementListener = (announcement: Announcement) => void;

/** An index that disagreed with the records, and was repaired. */
export interface VerifyFinding {
  /** Name of the index, as in its key after the partition: `timers`, `queue:mail`, `counts:mail`; or `cancelled flows`, `idempotency keys`, `step values`, `suspensions`. */
  readonly index: string;
  /** The key had another type and was rebuilt; or entries were missing, wrong or superfluous. */
  readonly problem: 'wrong_type' | 'entries';
  readonly count: number;
}

/** The result of `verifyPartition`. */
export interface VerifyReport {
  /** Number of executions checked. */
  readonly executions: number;
  /** The repaired indexes; empty if all were correct. */
  readonly findings: readonly VerifyFinding[];
  /** Entities with unreadable records, which are in quarantine now. */
  readonly setAside: readonly string[];
  /** Whether the counts were compared; false if the partition was too busy. */
  readonly countsVerified: boolean;
}

export interface Backend extends OperationMethods, QueryMethods {
  /** The kind of backend; part of every handle that it issues. */
  readonly label: BackendLabel;
  /**
   * What this backend can do, as data: supported calls, reserved arguments, durability, and what the mode of the server
   * and the rights of its user allow.
   * @example if (!backend.capabilities().supports.verifyPartition) console.log('the user may not list keys');
   */
  capabilities(): Capabilities;
  /** How the deployment is partitioned, as stored at its first boot. */
  readonly partitions: PartitionConfig;
  /** The shared settings of the deployment, as known to this process: it learns of a change with its next call. */
  readonly settings: DeploymentSettings;
  /**
   * Changes settings for all processes of the deployment, including running ones, and returns all settings. Omitted
   * ones are unchanged. Repeating a change brings partitions up to date that it did not reach.
   * @throws EngineError `invalid_input`, and the errors of calls
   * @example await backend.configureDeployment({ retentionMs: 3 * 86_400_000 });
   */
  configureDeployment(changes: GivenSettings): Promise<DeploymentSettings>;
  /**
   * The partitions in which something can be due, as far as this process knows: all partitions of executions and flows,
   * those of families that the deployment uses (budgets, quota policies), and the worker partitions of namespaces that
   * this process writes to. The same array until there are more.
   */
  partitionsInUse(): readonly string[];
  /**
   * Runs commands of one partition in order, each with its own answer. A single command is one atomic step. So is a
   * batch of at most 250 units of work (executions and edges that it creates, claims or changes), 1 MiB of payloads and
   * 256 KiB of other arguments. On a server, a larger batch runs in several atomic steps, one after the other, so that
   * no call occupies the server for long. If one of them fails, its commands and those behind it are answered with its
   * fault. Commands of other callers can share a step, and run in between.
   * @throws EngineError `invalid_input`, before anything runs, if a command is malformed, or the batch is empty, too
   *   long, or spans partitions
   */
  execute<const Commands extends readonly Command[]>(commands: Commands): Promise<CommandResults<Commands>>;
  /** Lanes that have had work, ascending, strictly after the cursor. */
  listLanes(page?: { cursor?: string; limit?: number }): Promise<ListLanesPage>;
  /**
   * Rebuilds the indexes of a partition from its records, after damage: queues, timers, slots, lists, counts. It runs
   * in steps of a few milliseconds while other work continues; after an interruption, run it again. A lost log cannot
   * be rebuilt; its readers get an error. On a server it needs the right to `SCAN`.
   * @throws EngineError `server_refused` without that right
   */
  verifyPartition(args: { readonly partition: string }): Promise<VerifyReport>;
  /** Resolves when the store answers. */
  ping(): Promise<void>;
  /** The clock of the store, ms since the epoch. */
  serverTime(): Promise<number>;
  /**
   * Calls the listener for work of these lanes, and for timers; resolves when the subscription is established. If that
   * fails, the listener is not called. With capabilities, it is only called for work that needs no others. Work that
   * this process creates is first offered to its own listeners, those with the fewest capabilities first, until all of
   * it is claimed.
   */
  onWake(
    lanes: readonly string[],
    listener: (wake: Wake) => void,
    capabilities?: readonly string[],
  ): Promise<() => void>;
  /**
   * Calls the listener for the announcements of partitions, including those that other callers watch; resolves when the
   * subscription is established.
   */
  onAnnouncement(kind: AnnouncementKind, listener: AnnouncementListener): Promise<() => void>;
  /**
   * Calls the listener when streams of an execution have new frames, or an attempt of it ended, while a caller watches
   * it (`watchStream`); resolves when the subscription is established.
   * @throws EngineError `invalid_input`
   */
  onFrames(executionId: string, listener: (notice: StreamNotice) => void): Promise<() => void>;
  /**
   * Calls the listener for faults that an operator should fix while the backend works, such as an eviction policy that
   * became unsafe, or another library. Each is reported once until it is over. Damaged records that a call has
   * quarantined, and its answer does not name, are reported too, and so are partitions that were repaired
   * (`PartitionMended`), and the loss and the return of the connection (`ConnectionNotice`; `isLost` says which). Absent
   * if the backend has no such faults.
   */
  onNotice?(listener: (notice: EngineError) => void): () => void;
  /**
   * Prepares for the end of the process, after its workers have drained: every later call throws `backend_closed`,
   * listeners are called once more and then end, and calls in flight get their answers, or the time is over. A store in
   * files is on the disk then. `close` follows, and is quick.
   * @throws EngineError `invalid_input`; `storage_failed`: the store cannot be put on the disk
   * @example await backend.shutdownPrepare({ graceMs: 5_000 });
   */
  shutdownPrepare(options?: ShutdownOptions): Promise<ShutdownReport>;
  /**
   * Ends all connections; every later call throws `backend_closed`.
   * @throws EngineError `storage_failed`, `storage_full`: the last changes of a store in files may not be on the disk
   */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
