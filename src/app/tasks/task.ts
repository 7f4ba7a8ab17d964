/** A task: its input, its output, its retries, and how to run it. */
import type { Duration } from '../../shared/duration.js';
import type { AnySchema } from '../../shared/schema.js';
import type { IfSendable } from '../../shared/travel.js';
import type { Handler } from '../../worker/handler/handler.js';
import type { NoSignals, SignalSchemas } from '../../worker/waits/wait-for.js';
import type { Backoff } from './backoff.js';
import type { PolicyInput } from './policy.js';
import type { QuotaDefinition, QuotaInput, TaskQuota } from '../metering/quota.js';
import type { PendingRun, Run } from '../runs/run.js';
import type { TaskBudget, TaskBudgetDefinition, TaskBudgets } from '../metering/task-budget.js';
import type { Tags } from '../runs/tags.js';

export interface RetryOptions {
  /** Retries after attempts that fail. Default 3, at most 1 000. */
  readonly failures?: number | undefined;
  /**
   * Retries after attempts whose worker was lost. Default 1 000. The first follows at once, later ones after a wait that
   * grows from 1 s to 60 s.
   */
  readonly crashes?: number | undefined;
  /** Wait before each retry. Default exponential from 1 s to 60 s. */
  readonly backoff?: Backoff | undefined;
}

/** How a task is run. */
export interface TaskSettings {
  /**
   * The queue in which runs of the task wait. Default: the name of the task, so tasks of different services do not
   * interfere. Share a lane between tasks that the same workers serve and whose priorities should be compared. Any text
   * of up to 64 bytes, where `{ } : , %` and characters outside ASCII count as three bytes each: `mail:send` is a good
   * name.
   */
  readonly lane?: string | undefined;
  /** Capabilities that a worker must offer to get its runs: `['gpu']`. Default none. */
  readonly needs?: readonly string[] | undefined;
  /**
   * Retries after failures. Without it a failed attempt ends the run; attempts whose worker was lost are always
   * repeated.
   */
  readonly retry?: RetryOptions | undefined;
  /** Limits in time. Default none. */
  readonly timeout?:
    | {
        /** Limit for one attempt; an attempt that exceeds it counts as failed and can be retried. */
        readonly attempt?: Duration | undefined;
        /** Limit from creation to end, waiting included. */
        readonly total?: Duration | undefined;
      }
    | undefined;
  /** Higher runs first, 0 to 9 000. Default 0. */
  readonly priority?: number | undefined;
  /**
   * How long an ended run and its result are kept. Default: that of the backend, 24 hours. A flow and its members, and a
   * run and its children, are kept together: for the longest of their retentions.
   */
  readonly retention?: Duration | undefined;
}

/** Schemas and settings of a task: the second argument of `app.task`. */
export interface TaskOptions<
  Input extends AnySchema | undefined,
  Output extends AnySchema | undefined,
  Signals extends SignalSchemas = SignalSchemas,
> extends TaskSettings {
  /**
   * Schema of the input, applied when a run is created and again when it starts. In between the input is stored
   * unparsed, as JSON, or as bytes for a `Uint8Array`: a schema for a `Date` must accept the string that JSON makes of
   * it.
   */
  readonly input?: Input | undefined;
  /**
   * Schema of the result, applied when the handler returns; the parsed value is stored as JSON, or as bytes for a
   * `Uint8Array`.
   */
  readonly output?: Output | undefined;
  /**
   * Limits how many runs workers hold at once, or how many start in a time window; with `per`, for each key by itself.
   * Up to four quotas, all of which must have room. Runs over a limit wait in their lane, where no worker polls for
   * them.
   */
  readonly quota?: TaskQuota<NoInfer<QuotaInput<Input>>> | readonly TaskQuota<NoInfer<QuotaInput<Input>>>[] | undefined;
  /**
   * Budgets of its runs: while one is exhausted, new runs wait (or are refused, `whenExhausted`). Running handlers are
   * never stopped. A budget per tenant: `({ tenant }) => app.budget(`tokens:${tenant}`, { ... })`.
   */
  readonly budget?: TaskBudgets<NoInfer<QuotaInput<Input>>> | TaskBudget<NoInfer<QuotaInput<Input>>> | undefined;
  /**
   * Schemas of signal payloads by signal name: `run.signal` checks a payload before it sends. `waitFor` gives the
   * payload as it was sent, with the type that the schema takes; the handler gives a schema of its own to `waitFor` to
   * have it parsed.
   */
  readonly signals?: Signals | undefined;
}

/** Options of one run. */
export interface RunOptions {
  /**
   * Your own id. A second run of this task with the same id and input returns the first; with another input it is
   * refused (`run_id_conflict`). Remembered for as long as the run is kept: until it has ended and both its `retention`
   * and its `idempotencyWindow` are over. At most 248 bytes less those of the task's name.
   */
  readonly id?: string | undefined;
  /** Like `id`, but shared by all tasks of the namespace; at most 252 bytes. Give one of the two. */
  readonly idempotencyKey?: string | undefined;
  /**
   * How long the run, and with it the id or key, is kept at least, from its creation. Choose it longer than callers may
   * repeat a call after the run has ended. Default 24 hours.
   */
  readonly idempotencyWindow?: Duration | undefined;
  /** When the run may start: a duration from its creation, or a time (a `Date`). Default at once. */
  readonly delay?: Duration | Date | undefined;
  /** Higher runs first, 0 to 9 000. Default: the task's. */
  readonly priority?: number | undefined;
  /** Keys like `team.name`, values of up to 1 024 bytes. Keys that begin with `flowfabric.` are reserved. */
  readonly tags?: Tags | undefined;
  /**
   * When the run ends as `expired`, whatever its state: a duration from its creation, or a time (a `Date`, or ms since
   * the epoch). A run whose time has passed ends at once, and its handler is not called. Default: the task's
   * `timeout.total`.
   */
  readonly deadline?: Duration | Date | undefined;
  /**
   * Put the run on hold in the step that creates it: no worker starts it before `run.release()`. A second run with the
   * same id does not change the hold of the first. Default false.
   */
  readonly hold?: boolean | undefined;
}

/** Options of many runs: the same for all, or a function of each input. */
export type ManyRunOptions<Input> = RunOptions | ((input: Input, index: number) => RunOptions);

/** A run by your own id. */
export interface OwnId {
  readonly id: string;
}

/** A task of any type. */
export interface TaskReference {
  /** The kind of its executions. */
  readonly name: string;
  /** The queue in which its runs wait. */
  readonly lane: string;
}

/** The input can be left out if it may be `undefined`. */
export type RunArguments<Input> = undefined extends Input
  ? [input?: Input, options?: RunOptions]
  : [input: Input, options?: RunOptions];

/** `Signals` are the schemas of its `signals`: runs take those names alone, with these payloads. */
export interface Task<Input, Output, Signals extends SignalSchemas = NoSignals> extends TaskReference {
  /**
   * Creates a run of this task in one round trip. Use the returned run at once, or await it to know that it is stored.
   * @throws InvalidInputError, EngineError, AppClosedError: the awaited promise rejects
   */
  run(...args: RunArguments<Input>): PendingRun<Output, Signals>;
  /**
   * Creates many runs, partition by partition at once. Those of a partition are created in calls of up to 250 runs, one
   * after the other, each with the whole time limit of a call. Resolves once all are stored, with the runs in the order
   * of the inputs. After an error some may be stored: give ids to make the call repeatable.
   */
  runMany(inputs: readonly Input[], options?: ManyRunOptions<Input>): Promise<Run<Output, Signals>[]>;
  /**
   * A run of this task, by its execution id or by your own `id`: the run that another `run` with this id would return.
   * Nothing is read until you await something of it.
   * @throws RunNotFoundError, RunOfAnotherTaskError: the awaited promise rejects
   */
  get(run: string | OwnId): PendingRun<Output, Signals>;
}

/** A task without a handler, for processes that only create runs. */
export interface UnhandledTask<Input, Output, Parsed, Out, Signals extends SignalSchemas = NoSignals>
  extends Task<Input, Output, Signals> {
  /**
   * Adds the handler, in a process that runs the task, before its worker starts.
   * @throws InvalidDefinitionError when the task already has one
   */
  handle(handler: Handler<Input, Out, Parsed, Signals> & IfSendable<Out>): Task<Input, Output, Signals>;
}

/**
 * The context that a task gives its handler, for one that is a method or in a module of its own.
 * @example mail.handle((context) => mailer.send(context)); // with send({ input }: ContextOf<typeof mail>)
 */
export type ContextOf<Of extends { handle(handler: never): unknown }> = Parameters<Parameters<Of['handle']>[0]>[0];

/** A task as the app keeps it. */
export interface TaskDefinition {
  readonly name: string;
  /** The lane as users name it, and its id in the engine. */
  readonly lane: string;
  readonly laneId: string;
  readonly input: AnySchema | undefined;
  readonly output: AnySchema | undefined;
  readonly signals: SignalSchemas | undefined;
  /** Absent in processes that only create runs. */
  handler: Handler<unknown, unknown> | undefined;
  /** The place in the user's code that gave the handler. */
  definedAt: (() => string | undefined) | undefined;
  readonly priority: number | undefined;
  readonly policy: PolicyInput | undefined;
  readonly quotas: readonly QuotaDefinition[];
  readonly budget: TaskBudgetDefinition | undefined;
}
