/** A flow, as its users see it. */
import type { Duration } from '../../shared/duration.js';
import type { ResultOptions } from '../runs/run.js';
import type { FlowBuilder } from './nodes.js';

/**
 * Declares the nodes of a flow for an input, and returns what the flow gives: a node, or a value in which nodes stand. It is
 * called once for every run, and must give the same nodes for the same input.
 */
export type FlowDeclaration<Input, Declared> = (builder: FlowBuilder, input: Input) => Declared;

export interface FlowRunOptions {
  /**
   * A second run of this flow with the same id and input is the first one; with another input it is refused
   * (`run_id_conflict`). Known for as long as the flow is kept.
   */
  readonly id?: string | undefined;
  /** Keys like `team.name`, values of up to 1 024 bytes. */
  readonly tags?: Readonly<Record<string, string>> | undefined;
}

/**
 * `running`: something runs. `blocked`: nothing runs, and something waits for a time, a signal or its dependencies. `open`:
 * something could run. `completed`: all have ended, none badly. `failed`: all have ended, one at least badly.
 */
export type FlowState = 'open' | 'running' | 'blocked' | 'completed' | 'failed' | 'cancelled';

export interface FlowInfo {
  readonly id: string;
  readonly ownId: string | undefined;
  readonly flow: string;
  readonly state: FlowState;
  readonly tags: Readonly<Record<string, string>>;
  /** How many members are in each state; those that there are none of are left out. */
  readonly members: Readonly<Record<string, number>>;
  readonly createdAt: Date;
  readonly cancelledAt: Date | undefined;
  readonly cancelReason: string | undefined;
}

/** One member of a flow. */
export interface FlowChild {
  /** Its execution id: `app.get(id)` gives the run. */
  readonly id: string;
  readonly task: string;
  readonly state: string;
}

export interface FlowCancelOptions {
  readonly reason?: string | undefined;
  /** What becomes of members that run or wait for a signal: they are cancelled too, or may end by themselves. Default `cancel`. */
  readonly running?: 'cancel' | 'let_run' | undefined;
  /** Whether to wait until all that is cancelled has ended, and for how long at most. Default: not at all. */
  readonly wait?: boolean | Duration | undefined;
}

export interface FlowRunActions<Output> {
  /**
   * What its builder returned, with the results in it; without that, `undefined` when all members have ended.
   * @throws RunSkippedError, RunFailedError, RunCancelledError, RunExpiredError of a member whose result is missing;
   *   FlowFailedError for a flow that gives nothing and in which a member ended badly; ResultTimeoutError; AppClosedError; the
   *   signal's reason
   */
  result(options?: ResultOptions): Promise<Output>;
  /** Ends the flow and its members. False when it had been cancelled before. @throws RunNotFoundError */
  cancel(options?: FlowCancelOptions): Promise<boolean>;
  /** @throws RunNotFoundError */
  state(): Promise<FlowState>;
  /** @throws RunNotFoundError */
  info(): Promise<FlowInfo>;
  /** Its members, in the order in which they joined. */
  readonly children: AsyncIterable<FlowChild>;
}

/** A flow that the engine knows. */
export interface FlowRun<Output> extends FlowRunActions<Output> {
  readonly id: string;
  /** Whether an id led to a flow that existed before. */
  readonly deduplicated: boolean;
}

/** A flow that is being created. Everything about it can be asked for at once; `await` it to know that it is stored. */
export interface PendingFlowRun<Output> extends FlowRunActions<Output>, PromiseLike<FlowRun<Output>> {
  readonly id: Promise<string>;
  readonly deduplicated: Promise<boolean>;
}

type RunArguments<Input> = undefined extends Input
  ? [input?: Input, options?: FlowRunOptions]
  : [input: Input, options?: FlowRunOptions];

export interface Flow<Input, Output> {
  readonly name: string;
  /**
   * Creates the flow with all its members. None of them can begin before all are there.
   * @throws InvalidInputError, InvalidDefinitionError, EngineError, AppClosedError, by rejecting what is awaited
   */
  run(...args: RunArguments<Input>): PendingFlowRun<Output>;
  /**
   * A run of this flow, by its id or by the `id` that it was given.
   * @throws RunNotFoundError, by rejecting what is awaited
   */
  get(run: string | { readonly id: string }): PendingFlowRun<Output>;
}
