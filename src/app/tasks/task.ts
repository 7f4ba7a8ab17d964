/** A task: what it takes, what it gives, how it is tried, and how to run it. */
import type { Duration } from '../../shared/duration.js';
import type { AnySchema } from '../../shared/schema.js';
import type { IfSendable } from '../../shared/travel.js';
import type { Handler } from '../../worker/handler.js';
import type { Backoff } from './backoff.js';
import type { PolicyInput } from './policy.js';
import type { QuotaDefinition, QuotaInput, TaskQuota } from '../metering/quota.js';
import type { PendingRun, Run } from '../runs/run.js';
import type { TaskBudget, TaskBudgetDefinition, TaskBudgets } from '../metering/task-budget.js';

export interface RetryOptions {
  /** Tries after the first one, for attempts that fail. Default 3, at most 1 000. */
  readonly failures?: number | undefined;
  /** Tries after attempts whose worker was lost. Default 1 000. */
  readonly crashes?: number | undefined;
  /** Wait between tries. Default exponential from 1 s to 60 s. */
  readonly backoff?: Backoff | undefined;
}

/** How a task is run. */
export interface TaskSettings {
  /**
   * Queue in which its executions wait. Default the name of the task, so that tasks of different services do not get
   * into each other's way. Give several tasks one lane when the same workers have all of them and their priorities are
   * to count among each other. Any text of up to 64 bytes, where `{ } : , %` and characters outside ASCII count as three
   * bytes each: `mail:send` is a good name.
   */
  readonly lane?: string | undefined;
  /** Capabilities that a worker must have to get its executions: `['gpu']`. Default none. */
  readonly needs?: readonly string[] | undefined;
  /** What follows a failure. Without it a failed attempt ends the run; lost workers are always made good. */
  readonly retry?: RetryOptions | undefined;
  readonly timeout?:
    | {
        /** Longest time of one attempt; running over it counts as a failure that may be retried. */
        readonly attempt?: Duration | undefined;
        /** Longest time from creation to end, waiting included. */
        readonly total?: Duration | undefined;
      }
    | undefined;
  /** Higher runs first, 0 to 9 000. Default 0. */
  readonly priority?: number | undefined;
  /** How long an ended run and its result are kept. Default: the backend's, 24 hours. */
  readonly retention?: Duration | undefined;
}

/** Schema, settings and all: the second argument of `app.task`. */
export interface TaskOptions<Input extends AnySchema | undefined, Output extends AnySchema | undefined>
  extends TaskSettings {
  /**
   * Checked when a run is created and again when it starts. The input travels as JSON in between (or as bytes, when it
   * is a `Uint8Array`), as it was given: a schema for a `Date` must take the text that JSON makes of it.
   */
  readonly input?: Input | undefined;
  /** Checked when the handler returns; what it makes of the value travels as JSON, or as bytes for a `Uint8Array`. */
  readonly output?: Output | undefined;
  /**
   * How many runs may be in the hands of workers at once, or start in any window of time; for each key by itself with
   * `per`. Up to four limits, all of which must have room. What is over a limit waits, and costs nothing while it does.
   */
  readonly quota?: TaskQuota<NoInfer<QuotaInput<Input>>> | readonly TaskQuota<NoInfer<QuotaInput<Input>>>[] | undefined;
  /**
   * Budgets that its runs need: while one is exhausted, a run waits (or is refused, `whenExhausted`). What runs is never
   * stopped. A budget per tenant: `({ tenant }) => app.budget(`tokens:${tenant}`, { ... })`.
   */
  readonly budget?: TaskBudgets<NoInfer<QuotaInput<Input>>> | TaskBudget<NoInfer<QuotaInput<Input>>> | undefined;
  /**
   * What comes with the signals of a run, by their names: `run.signal` checks it before it sends. The handler says what it
   * takes in `waitFor`.
   */
  readonly signals?: Readonly<Record<string, AnySchema>> | undefined;
}

/** Choices of one run. */
export interface RunOptions {
  /**
   * A second run of this task with the same id and input is the first one; with another input it is refused
   * (`run_id_conflict`). Kept for `idempotencyWindow`. At most 248 bytes less those of the task's name.
   */
  readonly id?: string | undefined;
  /** The same, but shared by all tasks of the namespace; at most 252 bytes. Give one of the two. */
  readonly idempotencyKey?: string | undefined;
  /** How long the id or key is remembered. Default 24 hours. */
  readonly idempotencyWindow?: Duration | undefined;
  /** Wait before it may start. */
  readonly delay?: Duration | undefined;
  /** Higher runs first, 0 to 9 000. Default: the task's. */
  readonly priority?: number | undefined;
  /** Keys like `team.name`, values of up to 1 024 bytes. Keys that begin with `flowfabric.` are the library's own. */
  readonly tags?: Readonly<Record<string, string>> | undefined;
  /**
   * When it ends `expired` whatever it does: a duration from its creation, or a time (a `Date`, or ms since the epoch).
   * Default: the task's `timeout.total`.
   */
  readonly deadline?: Duration | Date | undefined;
}

/** Options of many runs: the same for all, or made for each. */
export type ManyRunOptions<Input> = RunOptions | ((input: Input, index: number) => RunOptions);

/** A run by the id that its caller gave it. */
export interface OwnId {
  readonly id: string;
}

/** A task whatever its types. */
export interface TaskReference {
  /** The kind of its executions. */
  readonly name: string;
  /** The queue in which its executions wait. */
  readonly lane: string;
}

/** Input may be left out where `undefined` is one. */
export type RunArguments<Input> = undefined extends Input
  ? [input?: Input, options?: RunOptions]
  : [input: Input, options?: RunOptions];

export interface Task<Input, Output> extends TaskReference {
  /**
   * Creates a run of this task: one round trip. The answer can be used at once, or awaited to know that it is stored.
   * @throws InvalidInputError, EngineError, AppClosedError, by rejecting what is awaited
   */
  run(...args: RunArguments<Input>): PendingRun<Output>;
  /**
   * Creates many runs, in one round trip per partition and 500 runs. Resolves when all are stored, in the order of
   * the inputs. After an error some of them may be stored: with ids, the same call can be repeated.
   */
  runMany(inputs: readonly Input[], options?: ManyRunOptions<Input>): Promise<Run<Output>[]>;
  /**
   * A run of this task, by its execution id or by the `id` that it was given; of those, the one that a further run with
   * this id would be. Nothing is asked before something of it is awaited.
   * @throws RunNotFoundError, RunOfAnotherTaskError, by rejecting what is awaited
   */
  get(run: string | OwnId): PendingRun<Output>;
}

/** A task that was defined without a handler, for processes that only create runs. */
export interface UnhandledTask<Input, Output, Parsed, Out> extends Task<Input, Output> {
  /**
   * Gives the task its handler, in a process that is to run it; before the worker starts.
   * @throws InvalidDefinitionError when it has one already
   */
  handle(handler: Handler<Input, Out, Parsed> & IfSendable<Out>): Task<Input, Output>;
}

/** A task as the app keeps it. */
export interface TaskDefinition {
  readonly name: string;
  /** The lane as users name it, and its id in the engine. */
  readonly lane: string;
  readonly laneId: string;
  readonly input: AnySchema | undefined;
  readonly output: AnySchema | undefined;
  readonly signals: Readonly<Record<string, AnySchema>> | undefined;
  /** Absent in processes that only create runs. */
  handler: Handler<unknown, unknown> | undefined;
  readonly priority: number | undefined;
  readonly policy: PolicyInput | undefined;
  readonly quotas: readonly QuotaDefinition[];
  readonly budget: TaskBudgetDefinition | undefined;
}
