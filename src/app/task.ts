/** A task: what it takes, what it gives, how it is tried, and how to run it. */
import { laneId } from '../../model/core/fields.js';
import type { Command } from '../../model/machine.js';
import type { ExecutionPolicy } from '../../model/execution/policy.js';
import type { Handler } from '../worker/handler.js';
import type { Backoff } from './backoff.js';
import { durationMs, type Duration } from '../shared/duration.js';
import { knownOnly } from '../shared/known-only.js';
import type { PendingRun, Run } from './run.js';
import type { AnySchema } from '../shared/schema.js';

export interface RetryOptions {
  /** Tries after the first one, for attempts that fail. Default 3, at most 1 000. */
  readonly failures?: number;
  /** Tries after attempts whose worker was lost. Default 1 000. */
  readonly crashes?: number;
  /** Wait between tries. Default exponential from 1 s to 60 s. */
  readonly backoff?: Backoff;
}

/** How a task is run. */
export interface TaskSettings {
  /**
   * Queue in which its executions wait. Default the name of the task, so that tasks of different services do not get
   * into each other's way; `'default'` for a task whose name cannot be that of a lane (1 to 64 printable ASCII
   * characters without `{`, `}`, `:` and `,`). Give several tasks one lane when the same workers have all of them and
   * their priorities are to count among each other.
   */
  readonly lane?: string;
  /** Capabilities that a worker must have to get its executions. Default none. */
  readonly needs?: readonly string[];
  /** What follows a failure. Without it a failed attempt ends the run; lost workers are always made good. */
  readonly retry?: RetryOptions;
  readonly timeout?: {
    /** Longest time of one attempt; running over it counts as a failure that may be retried. */
    readonly attempt?: Duration;
    /** Longest time from creation to end, waiting included. */
    readonly total?: Duration;
  };
  /** Higher runs first, 0 to 9 000. Default 0. */
  readonly priority?: number;
  /** How long an ended run and its result are kept. Default: the backend's, 24 hours. */
  readonly retention?: Duration;
}

/** Schema, settings and all: the second argument of `app.task`. */
export interface TaskOptions<Input extends AnySchema | undefined, Output extends AnySchema | undefined>
  extends TaskSettings {
  /**
   * Checked when a run is created and again when it starts. The input travels as JSON in between (or as bytes, when it
   * is a `Uint8Array`), as it was given: a schema for a `Date` must take the text that JSON makes of it.
   */
  readonly input?: Input;
  /** Checked when the handler returns; what it makes of the value travels as JSON, or as bytes for a `Uint8Array`. */
  readonly output?: Output;
}

/** Choices of one run. */
export interface RunOptions {
  /**
   * A second run of this task with the same id is the first one. Kept for `idempotencyWindow`. At most 248 bytes less
   * those of the task's name.
   */
  readonly id?: string;
  /** The same, but shared by all tasks of the namespace; at most 252 bytes. Give one of the two. */
  readonly idempotencyKey?: string;
  /** How long the id or key is remembered. Default 24 hours. */
  readonly idempotencyWindow?: Duration;
  /** Wait before it may start. */
  readonly delay?: Duration;
  /** Higher runs first, 0 to 9 000. Default: the task's. */
  readonly priority?: number;
  /** Keys like `team.name`, values of up to 1 024 bytes. */
  readonly tags?: Readonly<Record<string, string>>;
  /** When it ends `expired` whatever it does: a time, or a duration from its creation. Default: the task's `timeout.total`. */
  readonly deadline?: Duration | Date;
}

/** Options of many runs: the same for all, or made for each. */
export type ManyRunOptions<Input> = RunOptions | ((input: Input, index: number) => RunOptions);

/** A task whatever its types. */
export interface TaskReference {
  /** The kind of its executions. */
  readonly name: string;
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
  /** A run of this task by its execution id. */
  get(executionId: string): PendingRun<Output>;
}

/** A task as the app keeps it. */
export interface TaskDefinition extends TaskReference {
  readonly input: AnySchema | undefined;
  readonly output: AnySchema | undefined;
  readonly handler: Handler<unknown, unknown>;
  readonly priority: number | undefined;
  readonly policy: PolicyInput | undefined;
}

const TASK_OPTIONS = {
  input: true,
  output: true,
  lane: true,
  needs: true,
  retry: true,
  timeout: true,
  priority: true,
  retention: true,
} as const;
const RETRY_OPTIONS = { failures: true, crashes: true, backoff: true } as const;
const TIMEOUT_OPTIONS = { attempt: true, total: true } as const;
const RUN_OPTIONS = {
  id: true,
  idempotencyKey: true,
  idempotencyWindow: true,
  delay: true,
  priority: true,
  tags: true,
  deadline: true,
} as const;

/** @throws InvalidDefinitionError for an option that is not known */
export function checkTaskOptions(taskName: string, options: TaskOptions<AnySchema, AnySchema>): void {
  const what = `Task "${taskName}"`;
  knownOnly<typeof options>(what, options, TASK_OPTIONS);
  const { retry, timeout } = options;
  if (retry !== undefined) knownOnly<RetryOptions>(`${what}, retry`, retry, RETRY_OPTIONS);
  if (timeout !== undefined)
    knownOnly<NonNullable<TaskSettings['timeout']>>(`${what}, timeout`, timeout, TIMEOUT_OPTIONS);
}

/** @throws InvalidDefinitionError for an option that is not known */
export function checkRunOptions(taskName: string, options: RunOptions): void {
  knownOnly<RunOptions>(`Run of task "${taskName}"`, options, RUN_OPTIONS);
}

/** The lane of a task that names none: its own. */
export function ownLane(taskName: string): string {
  return laneId.safeParse(taskName).success ? taskName : 'default';
}

type PolicyInput = NonNullable<Extract<Command, { name: 'createExecution' }>['args']['policy']>;

/** The engine's policy for these settings; nothing when they say nothing. */
export function policyOf({ retry, timeout, needs, retention }: TaskSettings): PolicyInput | undefined {
  const policy: { -readonly [Key in keyof ExecutionPolicy]?: PolicyInput[Key] } = {};
  if (retry !== undefined) {
    policy.retryPolicy = { maxRetries: retry.failures, backoff: retry.backoff };
    if (retry.crashes !== undefined) policy.maxReclaimCount = retry.crashes;
  }
  if (timeout !== undefined) {
    policy.timeoutPolicy = {
      attemptTimeoutMs: timeout.attempt === undefined ? undefined : durationMs(timeout.attempt),
      executionDeadlineMs: timeout.total === undefined ? undefined : durationMs(timeout.total),
    };
  }
  if (needs !== undefined && needs.length > 0) policy.routingRequirements = { requiredCapabilities: [...needs] };
  if (retention !== undefined) policy.streamPolicy = { retentionTtlMs: durationMs(retention) };
  return Object.keys(policy).length === 0 ? undefined : policy;
}

/** The policy of one run: the task's, with what the run says. */
export function policyOfRun(
  policy: PolicyInput | undefined,
  { idempotencyWindow, deadline }: RunOptions,
): PolicyInput | undefined {
  if (idempotencyWindow === undefined && (deadline === undefined || deadline instanceof Date)) return policy;
  return {
    ...policy,
    ...(idempotencyWindow === undefined ? {} : { dedupWindowMs: durationMs(idempotencyWindow) }),
    ...(deadline === undefined || deadline instanceof Date
      ? {}
      : { timeoutPolicy: { ...policy?.timeoutPolicy, executionDeadlineMs: Math.max(1, durationMs(deadline)) } }),
  };
}
