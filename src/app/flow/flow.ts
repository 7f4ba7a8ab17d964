/** A flow, as its users see it. */
import type { PublicState } from '../../../model/execution/situation.js';
import type { Explanation } from '../../engine/explain.js';
import type { ReplayReport } from '../../engine/replay-many.js';
import type { Duration } from '../../shared/duration.js';
import type { FailedMember } from '../../shared/errors.js';
import type { ReplayOptions } from '../operating/dead-letters.js';
import type { ResultOptions } from '../runs/run.js';
import type { Called, Tags } from '../runs/tags.js';
import type { RunUsage } from '../runs/usage.js';
import type { BudgetRef } from '../../worker/budgets/spending.js';
import type { FlowBuilder } from './nodes.js';

/**
 * Declares the nodes of a flow for an input, and returns its result: a node, or a value that contains nodes. It is
 * called once for every run, and must declare the same nodes for the same input.
 */
export type FlowDeclaration<Input, Declared> = (builder: FlowBuilder, input: Input) => Declared;

export interface FlowRunOptions {
  /**
   * Your own id. A second run of this flow with the same id and input returns the first; with another input it is
   * refused (`run_id_conflict`). Remembered for as long as the flow is kept: until it has ended, and the longest
   * `retention` of its tasks and its `idempotencyWindow` are over.
   */
  readonly id?: string | undefined;
  /** How long a flow with an `id` is kept at least, from its creation. Default 24 hours. */
  readonly idempotencyWindow?: Duration | undefined;
  /** Keys like `team.name`, values of up to 1 024 bytes. */
  readonly tags?: Tags | undefined;
  /**
   * When the first nodes may start: a duration from the creation of the flow, or a time (a `Date`). Nodes whose own
   * `delay` is a duration start later by as much.
   */
  readonly delay?: Duration | Date | undefined;
  /** For nodes that have none: higher runs first, 0 to 9 000. Default: that of each task. */
  readonly priority?: number | undefined;
  /**
   * When all members that have not ended end as `expired`: a duration from the creation of the flow, or a time (a
   * `Date`, or ms since the epoch). A member whose task has a shorter `timeout.total` ends by that.
   */
  readonly deadline?: Duration | Date | undefined;
}

/**
 * `running`: a member is running. `waiting`: none is running, and one waits for a worker. `blocked`: all that have not
 * ended wait for a time, a signal, a quota or other members. `completed`: every member has completed, was skipped, or
 * was not needed: it lost a race (`f.any`, `f.quorum`), it only led to one that did, or it was a child of a handler that
 * completed. `failed`: all have ended, and at least one other member failed, expired or was cancelled.
 */
export type FlowState = 'waiting' | 'running' | 'blocked' | 'completed' | 'failed' | 'cancelled';

/** Everything about a flow. Times are ms since the epoch. */
export interface FlowInfo extends Called {
  /** The flow id. */
  readonly id: string;
  /** The name of its declaration. */
  readonly flow: string;
  /** Where it is, see `FlowState`. */
  readonly state: FlowState;
  /** How many members are in each state; states without members are left out. */
  readonly members: Readonly<Record<string, number>>;
  /** When it was created. */
  readonly createdAt: number;
  /** When it was cancelled; absent if it was not. */
  readonly cancelledAt: number | undefined;
  /** Why it was cancelled; absent if it was not. */
  readonly cancelReason: string | undefined;
}

/** One member of a flow, or child of a handler. */
export interface FlowChild {
  /** Its execution id: `app.get(id)` gives the run. */
  readonly id: string;
  readonly task: string;
  readonly state: PublicState;
  /**
   * The error message if it failed, the reason if it expired or was cancelled, the members that kept it from running if
   * it was skipped; otherwise empty.
   */
  readonly message: string;
  /** The category of its failure; absent unless it failed. */
  readonly category: string | undefined;
}

/** Why a flow does not progress. */
export interface FlowExplanation {
  readonly state: FlowState;
  /** Names the obstacles of the first members that could run, or says how the flow ended. */
  readonly sentence: string;
  /**
   * Members that have not ended and wait for no other member, each with its own explanation, at most ten. While a flow
   * is being built, all its members wait for that.
   */
  readonly members: readonly (Explanation & { readonly id: string; readonly task: string })[];
  /** How many more such members there are. */
  readonly more: number;
  /** How many members wait for others of the flow. */
  readonly waiting: number;
  /**
   * Members that failed, expired or were cancelled, at most ten, with their messages. Members that were not needed (see
   * `FlowState`), or that were cancelled with the flow, are left out. Members with damaged records come last, with the
   * state `unreadable`.
   */
  readonly failed: readonly FailedMember[];
}

export interface FlowCancelOptions {
  /** The reason, for the log and for the members that it ends. Default empty. */
  readonly reason?: string | undefined;
  /** Whether members that are running or waiting for a signal are cancelled too, or may finish. Default `cancel`. */
  readonly running?: 'cancel' | 'let_run' | undefined;
  /**
   * Whether to wait until the cancelled members have ended, for five minutes at most; a duration limits the wait further.
   * Default false.
   */
  readonly wait?: boolean | Duration | undefined;
}

export interface FlowRunActions<Output> {
  /**
   * Waits for the value that the declaration returned, with results in place of nodes; for a flow without a value,
   * `undefined` once all members have ended.
   * @throws RunSkippedError, RunFailedError, RunCancelledError, RunExpiredError of a member whose result is missing;
   *   FlowFailedError for a flow without a value in which a member did not complete; FlowCancelledError if the flow was
   *   cancelled before; ResultTimeoutError; AppClosedError; the signal's reason
   */
  result(options?: ResultOptions): Promise<Output>;
  /**
   * Cancels the flow and its members. False if it had already been cancelled, or had ended. A text is the reason, as
   * with a run.
   * @throws RunNotFoundError
   */
  cancel(options?: FlowCancelOptions | string): Promise<boolean>;
  /**
   * Replays the members that made it fail, and with them what was skipped or cancelled because of them, as
   * `deadLetters.replay` does. Members that a person cancelled stay as they are: replay them by their ids.
   * @throws RunStateError `flow_cancelled`; RunNotFoundError; InvalidDefinitionError; the signal's reason
   * @example await run.replay({ reason: 'the bank is open', requestedBy: 'ann' });
   */
  replay(options?: ReplayOptions): Promise<ReplayReport>;
  /** @throws RunNotFoundError */
  state(): Promise<FlowState>;
  /** @throws RunNotFoundError */
  info(): Promise<FlowInfo>;
  /**
   * Why the flow does not progress: the obstacles of its members that could run, as in `run.explain()`.
   * @throws RunNotFoundError
   * @example console.log((await run.explain()).sentence);
   */
  explain(): Promise<FlowExplanation>;
  /**
   * The bill of the flow: the usage of all attempts of its members so far, by budget and dimension, for the budgets of
   * their tasks and for the given ones. Resets do not change it. Each call computes the sum.
   * @throws RunNotFoundError; EngineError `budget_not_found`
   * @example const [{ used }] = await run.usage(tokens);
   */
  usage(...budgets: readonly BudgetRef[]): Promise<readonly RunUsage[]>;
  /** Its members, in the order in which they joined, without members with damaged records; `explain` names these. */
  readonly children: AsyncIterable<FlowChild>;
}

/** A flow that the engine knows. */
export interface FlowRun<Output> extends FlowRunActions<Output> {
  readonly id: string;
  /** Whether the id matched an existing flow. */
  readonly deduplicated: boolean;
}

/**
 * A flow that is being created: a promise of the flow, with all methods of the flow, which can be used at once. `await`
 * it to know that it is stored.
 */
export interface PendingFlowRun<Output> extends FlowRunActions<Output>, Promise<FlowRun<Output>> {
  readonly id: Promise<string>;
  readonly deduplicated: Promise<boolean>;
}

type RunArguments<Input> = undefined extends Input
  ? [input?: Input, options?: FlowRunOptions]
  : [input: Input, options?: FlowRunOptions];

export interface Flow<Input, Output> {
  readonly name: string;
  /**
   * Creates the flow with all its members. None of them can start before all are stored.
   * @throws InvalidInputError, InvalidDefinitionError, EngineError, AppClosedError: the awaited promise rejects
   */
  run(...args: RunArguments<Input>): PendingFlowRun<Output>;
  /**
   * A run of this flow, by its id or by your own `id`.
   * @throws RunNotFoundError: the awaited promise rejects
   */
  get(run: string | { readonly id: string }): PendingFlowRun<Output>;
}
