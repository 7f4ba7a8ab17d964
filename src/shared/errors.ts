/**
 * Errors that the friendly layer throws at its users. Refusals of the engine itself are `EngineError`. Each class has
 * a stable `code` and a `hint` that says what to do next.
 */
export type AppErrorCode =
  | 'run_failed'
  | 'run_cancelled'
  | 'run_expired'
  | 'run_not_found'
  | 'result_timeout'
  | 'invalid_task_input'
  | 'invalid_definition'
  | 'app_closed';

/** Base of the errors of the friendly layer. */
export abstract class AppError extends Error {
  /** Stable; part of the contract. */
  abstract readonly code: AppErrorCode;
  /** What to do next. */
  abstract readonly hint: string;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** A run that ended without a result. */
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
  readonly code = 'run_failed';
  readonly hint = 'Mend what the reason names and run the task again; `retry` in its definition allows more tries.';

  constructor(
    executionId: string,
    reason: string,
    /** What kind of failure it was: `handler_error`, `invalid_input_payload`, `max_reclaims_exceeded`, or the handler's own. */
    readonly category: string,
  ) {
    super(executionId, reason, 'failed');
  }
}

/** `run_cancelled`: somebody cancelled it. */
export class RunCancelledError extends RunError {
  readonly code = 'run_cancelled';
  readonly hint = 'Run the task again if the work is still wanted.';

  constructor(executionId: string, reason: string) {
    super(executionId, reason, 'was cancelled');
  }
}

/** `run_expired`: its deadline passed, or its last attempt ran out of time. */
export class RunExpiredError extends RunError {
  readonly code = 'run_expired';
  readonly hint = 'Allow more time (`timeout`, `deadline`), or add workers if it waited too long.';

  constructor(executionId: string, reason: string) {
    super(executionId, reason, 'expired');
  }
}

/** `run_not_found`: there is no such execution, or it was forgotten after its retention. */
export class RunNotFoundError extends RunError {
  readonly code = 'run_not_found';
  readonly hint = 'Check the id; keep results for longer with `retention` in the definition of the task.';

  constructor(executionId: string) {
    super(executionId, '', 'does not exist');
  }
}

/** `result_timeout`: the result was not there in the time that the caller gave. The run goes on. */
export class ResultTimeoutError extends AppError {
  readonly code = 'result_timeout';
  readonly hint = 'Ask again later: the run goes on. If nothing moves, check that a worker serves its lane.';

  constructor(
    readonly executionId: string,
    readonly timeoutMs: number,
  ) {
    super(`${executionId} has no result after ${timeoutMs} ms`);
  }
}

/** `invalid_task_input`: the input does not match the schema of the task; nothing was created. */
export class InvalidInputError extends AppError {
  readonly code = 'invalid_task_input';
  readonly hint = 'Pass what the `input` schema of the task describes.';

  constructor(
    readonly task: string,
    readonly problem: string,
  ) {
    super(`Input of task "${task}": ${problem}`);
  }
}

/** `invalid_definition`: an app, a task, a run or a worker is defined in a way that cannot work. */
export class InvalidDefinitionError extends AppError {
  readonly code = 'invalid_definition';
  readonly hint = 'Correct the definition that the message names.';
}

/** `app_closed`: the app was closed before the call, or while it waited. */
export class AppClosedError extends AppError {
  readonly code = 'app_closed';
  readonly hint = 'Close the app last.';

  constructor() {
    super('The app is closed');
  }
}
