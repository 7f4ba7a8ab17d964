/**
 * Errors that the friendly layer throws at its users. Refusals of the engine itself are `EngineError`. Each class has
 * a stable `code`, a `name` that survives minifying, and a `hint` that says what to do next.
 */
export type AppErrorCode =
  | 'run_failed'
  | 'run_cancelled'
  | 'run_expired'
  | 'run_skipped'
  | 'flow_failed'
  | 'flow_cancelled'
  | 'run_not_found'
  | 'run_of_another_task'
  | 'run_state'
  | 'run_id_conflict'
  | 'run_dropped'
  | 'result_timeout'
  | 'result_unavailable'
  | 'invalid_task_input'
  | 'invalid_definition'
  | 'app_closed';

/** Base of the errors of the friendly layer. */
export abstract class AppError extends Error {
  abstract override readonly name: string;
  /** Stable; part of the contract. */
  abstract readonly code: AppErrorCode;
  /** What to do next. */
  abstract readonly hint: string;
}

/** A run that ended without a result, or whose result cannot be had. */
export abstract class RunError extends AppError {
  constructor(
    readonly executionId: string,
    /** Why it ended, as recorded by the engine. */
    readonly reason: string,
    ended: string,
  ) {
    super(`${executionId} ${ended}${reason === '' ? '' : `: ${reason}`}`);
  }
}

/** `run_failed`: the handler failed and no try was left, or its workers were lost too often. */
export class RunFailedError extends RunError {
  override readonly name = 'RunFailedError';
  readonly code = 'run_failed';
  readonly hint = 'Mend what the reason names and run the task again; `retry` in its definition allows more tries.';

  constructor(
    executionId: string,
    reason: string,
    /** What kind of failure it was: `handler_error`, `invalid_input_payload`, `max_reclaims_exceeded`, or the handler's own. */
    readonly category: string,
    /** The class of the error that the handler threw, if it was one. */
    readonly failureClass?: string | undefined,
    /** Classes, first frames of the stacks and inner errors, as text; empty when nothing is known. */
    readonly details = '',
  ) {
    super(executionId, reason, 'failed');
  }
}

/** `run_cancelled`: it was cancelled. */
export class RunCancelledError extends RunError {
  override readonly name = 'RunCancelledError';
  readonly code = 'run_cancelled';
  readonly hint = 'Run the task again if the work is still wanted.';

  constructor(executionId: string, reason: string) {
    super(executionId, reason, 'was cancelled');
  }
}

/** `run_expired`: its deadline passed, or its last attempt ran out of time. */
export class RunExpiredError extends RunError {
  override readonly name = 'RunExpiredError';
  readonly code = 'run_expired';
  readonly hint = 'Allow more time (`timeout`, `deadline`), or add workers if it waited too long.';

  constructor(executionId: string, reason: string) {
    super(executionId, reason, 'expired');
  }
}

/** `run_skipped`: it never began, for what it depends on in its flow can no longer be. */
export class RunSkippedError extends RunError {
  override readonly name = 'RunSkippedError';
  readonly code = 'run_skipped';
  readonly hint = 'Look for the member of its flow that failed: `children` of the flow lists them with their states.';

  constructor(executionId: string) {
    super(executionId, '', 'was skipped: what it depends on did not complete');
  }
}

/** `flow_failed`: all members of a flow that gives no value have ended, and not all of them well. */
export class FlowFailedError extends RunError {
  override readonly name = 'FlowFailedError';
  readonly code = 'flow_failed';
  readonly hint = 'Mend what the members name and run the flow again, or replay them: what failed first, first.';

  constructor(
    flowId: string,
    /** Members that ended badly, ten at most. */
    readonly members: readonly { readonly id: string; readonly task: string; readonly state: string }[],
  ) {
    super(flowId, members.map(({ task, state }) => `${task} ${state}`).join(', '), 'failed');
  }
}

/** `flow_cancelled`: the flow was cancelled before it gave anything. */
export class FlowCancelledError extends RunError {
  override readonly name = 'FlowCancelledError';
  readonly code = 'flow_cancelled';
  readonly hint = 'Run the flow again if the work is still wanted.';

  constructor(flowId: string, reason: string) {
    super(flowId, reason, 'was cancelled');
  }
}

/** `run_not_found`: there is no such execution, or it was forgotten after its retention. */
export class RunNotFoundError extends RunError {
  override readonly name = 'RunNotFoundError';
  readonly code = 'run_not_found';
  readonly hint = 'Check the id; keep results for longer with `retention` in the definition of the task.';

  /** @param executionId the execution, or the own id, that was looked for */
  constructor(executionId: string) {
    super(executionId, '', 'does not exist');
  }
}

/** Why something is not possible: the run runs, has ended, has not ended, or was replayed as often as its policy allows. */
export type RunStateProblem = 'running' | 'ended' | 'not_ended' | 'replayed_too_often';

const STATE_PROBLEMS: Readonly<Record<RunStateProblem, string>> = {
  running: 'runs, and only what waits can be changed so',
  ended: 'has ended',
  not_ended: 'has not ended, and only what has can be replayed',
  replayed_too_often: 'was replayed as often as its policy allows',
};

/** `run_state`: the run is in a state in which this is not possible. Nothing happened. */
export class RunStateError extends RunError {
  override readonly name = 'RunStateError';
  readonly code = 'run_state';
  readonly hint = 'Look at `state()`: what waits can be held and made urgent, what has ended can be replayed.';

  constructor(
    executionId: string,
    readonly problem: RunStateProblem,
  ) {
    super(executionId, '', STATE_PROBLEMS[problem]);
  }
}

/** `run_of_another_task`: the id names a run of another task. Its result has another type. */
export class RunOfAnotherTaskError extends RunError {
  override readonly name = 'RunOfAnotherTaskError';
  readonly code = 'run_of_another_task';
  readonly hint = 'Ask the task that the message names, or `app.get(id)`, which takes a run of any task.';

  constructor(
    executionId: string,
    readonly task: string,
    readonly askedTask: string,
  ) {
    super(executionId, '', `is a run of task "${task}", not of task "${askedTask}"`);
  }
}

/** `run_id_conflict`: the id, or the idempotency key, belongs to a run with another input. Nothing was created. */
export class RunIdConflictError extends RunError {
  override readonly name = 'RunIdConflictError';
  readonly code = 'run_id_conflict';
  readonly hint =
    'Use another id for another input. The same id means the same run; `task.get({ id })` gives the one that exists.';

  constructor(
    /** The execution that has the id. */
    executionId: string,
    readonly task: string,
    option: 'id' | 'idempotencyKey',
  ) {
    super(executionId, '', `has this ${option} already, with another input (task "${task}")`);
  }
}

/**
 * `run_dropped`: the quota of the task is full, and it says `whenFull: 'drop'`: the run was not created. Of many, the
 * others were.
 */
export class RunDroppedError<R = unknown> extends AppError {
  override readonly name = 'RunDroppedError';
  readonly code = 'run_dropped';
  readonly hint =
    "Leave it, or try again when there is room (`app.quotas.of(task, input)` says when). Without `whenFull: 'drop'` it waits.";

  constructor(
    readonly task: string,
    /** Runs in the order in which they were asked for; nothing in the place of each that was dropped. */
    readonly runs: readonly (R | undefined)[],
  ) {
    const dropped = runs.filter((run) => run === undefined).length;
    const what = runs.length === 1 ? 'the run' : `${dropped} of ${runs.length} runs`;
    super(`The quota of task "${task}" is full: ${what} was not created`.replace(/ runs was/, ' runs were'));
  }
}

/** `result_unavailable`: the run completed, and its result was lost or cannot be read. */
export class ResultUnavailableError extends RunError {
  override readonly name = 'ResultUnavailableError';
  readonly code = 'result_unavailable';
  readonly hint =
    'The work was done and its result is gone: look for it where the handler put its effects, or run the task again under another id.';

  constructor(executionId: string, reason: string) {
    super(executionId, reason, 'completed, and its result cannot be had');
  }
}

/** `result_timeout`: the result was not there in the time that the caller gave. The run goes on. */
export class ResultTimeoutError extends AppError {
  override readonly name = 'ResultTimeoutError';
  readonly code = 'result_timeout';
  readonly hint: string;

  constructor(
    readonly executionId: string,
    readonly timeoutMs: number,
    /** The fault with which the store answered last, if it could not be asked; it is the `cause` too. */
    trouble?: unknown,
  ) {
    super(
      `${executionId} has no result after ${timeoutMs} ms` +
        (trouble === undefined ? '' : '; the store could not be asked, see the cause'),
      trouble === undefined ? undefined : { cause: trouble },
    );
    this.hint =
      trouble === undefined
        ? 'Ask again later: the run goes on. If nothing moves, check that a worker serves its lane.'
        : 'Ask again when the store answers: the run goes on if its worker can reach it.';
  }
}

/** `invalid_task_input`: the input does not match the schema of the task, or cannot travel; nothing was created. */
export class InvalidInputError extends AppError {
  override readonly name = 'InvalidInputError';
  readonly code = 'invalid_task_input';

  constructor(
    readonly task: string,
    readonly problem: string,
    readonly hint = 'Pass what the `input` schema of the task describes.',
  ) {
    super(`Input of task "${task}": ${problem}`);
  }
}

/** `invalid_definition`: an app, a task, a run, a worker or a call of theirs asks for something that cannot be meant. */
export class InvalidDefinitionError extends AppError {
  override readonly name = 'InvalidDefinitionError';
  readonly code = 'invalid_definition';

  constructor(
    message: string,
    readonly hint = 'Correct what the message names.',
  ) {
    super(message);
  }
}

/** `app_closed`: the app was closed before the call, or while it waited. */
export class AppClosedError extends AppError {
  override readonly name = 'AppClosedError';
  readonly code = 'app_closed';
  readonly hint = 'Close the app last.';

  constructor() {
    super('The app is closed');
  }
}
