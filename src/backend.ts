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
import type { EngineError } from '../model/errors.js';
import type { BackendLabel } from '../model/handle.js';
import type { AnswerOf, ArgsOf, Command, OperationName, OutcomeOf, QueryName } from '../model/machine.js';
import type { PartitionConfig } from '../model/partition.js';
import type { Capabilities } from './capabilities.js';
import type { DeploymentSettings, GivenSettings } from './settings.js';

/** The answer to one command of a batch. */
export type CommandResult<Name extends OperationName = OperationName> =
  | { readonly ok: true; readonly outcome: OutcomeOf<Name> }
  | { readonly ok: false; readonly error: EngineError };

/** The answers to a batch, in the order and with the types of its commands. */
export type CommandResults<Commands extends readonly Command[]> = {
  [I in keyof Commands]: CommandResult<Commands[I]['name']>;
};

/** Operations of an owner, which take a handle in the place of the execution and its fence. */
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
  | 'closeWaitpoint';

/** Reads of an owner, which take a handle likewise. */
export type OwnerQuery = 'observeSignals';

/** Arguments with a handle (see `handleOf`) in the place of the execution and its fence. */
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

/** Says that something may have become possible. It can be lost; whoever waits for it must also poll. */
export type Wake =
  | {
      readonly kind: 'work';
      /** A lane of this partition has work that it had not before, */
      readonly laneId: string;
      readonly partition: string;
      /** for workers that have these capabilities, ascending. */
      readonly requiredCapabilities: readonly string[];
      /** Kind of the work that is now first of its queue. */
      readonly executionKind: string;
      /** Its priority: higher is served first. */
      readonly priority: number;
      /**
       * This process is about to create so many executions, and nobody has claimed them. A claim that the listener makes
       * before it returns travels with them and finds them. Absent when the work is there already.
       */
      readonly arriving?: number;
    }
  | {
      /** The same for metered work: claimers that have admissions for its meter set take it. */
      readonly kind: 'metered';
      readonly laneId: string;
      readonly partition: string;
      readonly requiredCapabilities: readonly string[];
      readonly executionKind: string;
      readonly priority: number;
      readonly meters: string;
    }
  | {
      /** A quota policy has room for a claimer that it refused: for this worker instance, and so many admissions. */
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
  /** The subscription was made anew: wakes may have been lost, and anything may have changed. */
  | { readonly kind: 'resync' };

/** What a partition says of itself, once a caller has asked for it by `watchLog` or `watchEnds`. It can be lost. */
export type Announcement =
  /** Its log has an entry more. */
  | { readonly kind: 'appended'; readonly partition: string }
  /** Executions ended. */
  | { readonly kind: 'ended'; readonly partition: string; readonly executionIds: readonly string[] }
  /** The subscription was made anew: what was announced meanwhile is lost. */
  | { readonly kind: 'resync' };
export type AnnouncementKind = 'appended' | 'ended';

/** What an execution says of its streams while it is watched (`watchStream`). It can be lost. */
export type StreamNotice =
  /** A stream has a frame more, or an attempt ended. */
  | { readonly kind: 'frames'; readonly executionId: string }
  /** The subscription was made anew: what was announced meanwhile is lost. */
  | { readonly kind: 'resync' };
export type AnnouncementListener = (announcement: Announcement) => void;

export interface ListLanesPage {
  readonly lanes: readonly string[];
  readonly nextCursor: string | undefined;
}

/** An index that did not agree with the records, and was mended. */
export interface VerifyFinding {
  /** Name of the index, as the server has it after the partition: `timers`, `queue:mail`, `counts:mail`. */
  readonly index: string;
  /** Of another type, so that it was deleted and made anew; or with entries that were missing, wrong or too many. */
  readonly problem: 'wrong_type' | 'entries';
  readonly count: number;
}

/** What `verifyPartition` found. */
export interface VerifyReport {
  /** Executions that were looked at. */
  readonly executions: number;
  /** What was mended; empty when all agreed. */
  readonly findings: readonly VerifyFinding[];
  /** Entities whose records could not be read: they are in quarantine now. */
  readonly setAside: readonly string[];
  /** Whether the counts were compared; false when the partition was too busy for it. */
  readonly countsVerified: boolean;
}

export interface Backend extends OperationMethods, QueryMethods {
  /** Which kind of backend this is; part of every handle it issues. */
  readonly label: BackendLabel;
  /**
   * What this backend can do, as data: the calls that it carries out, arguments that are reserved, what answered calls
   * survive, and what the mode of the server and the rights of its user allow.
   * @example if (!backend.capabilities().supports.verifyPartition) console.log('the user may not list keys');
   */
  capabilities(): Capabilities;
  /** How the deployment is partitioned, as stored at its first boot. */
  readonly partitions: PartitionConfig;
  /** What all processes of the deployment share, as this one knows it: a process learns of a change with its next call. */
  readonly settings: DeploymentSettings;
  /**
   * Changes settings for all processes of the deployment, running ones included, and answers them. What stays out stays as
   * it is; the same change again changes nothing, and brings partitions that were not reached up to date.
   * @throws EngineError `invalid_input`, and what calls throw
   * @example await backend.configureDeployment({ retentionMs: 3 * 86_400_000 });
   */
  configureDeployment(changes: GivenSettings): Promise<DeploymentSettings>;
  /**
   * The partitions in which something can be due, as far as this process knows: all of executions and flows, those of
   * families that the deployment uses (budgets, quota policies), and of workers those of the namespaces that this process
   * writes to. The same array until there are more.
   */
  partitionsInUse(): readonly string[];
  /**
   * Carries out commands of one partition in order, each with its own answer, in one atomic step and one round
   * trip. Commands that others send at the same moment can share the step, and run between these. @throws EngineError `invalid_input` before anything ran when a command is malformed, the batch is empty,
   * too long, or spans partitions.
   */
  execute<const Commands extends readonly Command[]>(commands: Commands): Promise<CommandResults<Commands>>;
  /** Lanes that ever had work, ascending, strictly after the cursor. */
  listLanes(page?: { cursor?: string; limit?: number }): Promise<ListLanesPage>;
  /**
   * Rebuilds the indexes of a partition from its records, after damage: queues, timers, slots, lists, counts. It goes
   * step by step, each a few milliseconds, while work goes on; ended halfway, it can be begun again. A lost log cannot be
   * made again: its readers are told. On a server it needs the right to `SCAN` (`aclOf({ verify: true })`).
   * @throws EngineError `server_refused` without that right
   */
  verifyPartition(args: { readonly partition: string }): Promise<VerifyReport>;
  /** Resolves when the store answers. */
  ping(): Promise<void>;
  /** The clock of the store, ms since the epoch. */
  serverTime(): Promise<number>;
  /**
   * Calls the listener for work of these lanes, and for timers; resolves when the subscription stands. When it fails, the
   * listener is not called any more. With capabilities, only for work that needs no more than these. Work that this process creates is offered to its own listeners first:
   * to those with the fewest capabilities before the others, until claims for all of it are made.
   */
  onWake(
    lanes: readonly string[],
    listener: (wake: Wake) => void,
    capabilities?: readonly string[],
  ): Promise<() => void>;
  /**
   * Calls the listener for what partitions announce, those that other callers asked included; resolves when the
   * subscription stands.
   */
  onAnnouncement(kind: AnnouncementKind, listener: AnnouncementListener): Promise<() => void>;
  /**
   * Calls the listener when the streams of an execution have more, or an attempt of it ended, while a caller watches it
   * (`watchStream`); resolves when the subscription stands.
   * @throws EngineError `invalid_input`
   */
  onFrames(executionId: string, listener: (notice: StreamNotice) => void): Promise<() => void>;
  /**
   * Calls the listener for faults that an operator should mend while the backend works: an eviction policy that became
   * unsafe, a library of another kind. Each is told once until it is over. Absent where there is nothing of the kind.
   */
  onNotice?(listener: (notice: EngineError) => void): () => void;
  /** Ends all connections; every later call throws `backend_closed`. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
