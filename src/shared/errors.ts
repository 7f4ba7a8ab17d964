/**
 * Errors that the app throws. Refusals of the engine itself are `EngineError`. Each class has a `name` that survives
 * minification, a stable `code`, a `hint` that says what to do next, and says whether the same call can succeed later
 * (`retryable`).
 */
import { share } from '../util/brand.js';
import { isStoredFailure } from '../util/failure-text.js';
import { shown } from './shown.js';

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
  | 'replay_incomplete'
  | 'run_id_conflict'
  | 'run_dropped'
  | 'result_timeout'
  | 'result_unavailable'
  | 'invalid_task_input'
  | 'invalid_definition'
  | 'app_closed';

/** Base class of the errors of the app. */
export abstract class AppError extends Error {
  abstract override readonly name: string;
  /** Stable; part of the contract. */
  abstract readonly code: AppErrorCode;
  /** What to do next. */
  abstract readonly hint: string;
  /** Whether the same call can succeed later. */
  readonly retryable: boolean = false;
}

/** A run that ended without a result, or whose result is unavailable. */
export abstract class RunError extends AppError {
  constructor(
    /** The execution id; your own id if no run has it. */
    readonly executionId: string,
    /** Why it ended, as recorded by the engine. */
    readonly reason: string,
    ended: string,
    /** The name of its task; nothing where that is not known, as of a flow. */
    readonly task?: string | undefined,
    named = task === undefined ? executionId : `${executionId} (task "${task}")`,
  ) {
    super(`${named} ${ended}${reason === '' ? '' : `: ${reason}`}`);
  }
}

/** Categories of failures that come from what the run has stored. */
const FROM_STORE: ReadonlySet<string> = new Set([
  ...['step_changed', 'step_limit_exceeded', 'wait_timeout', 'invalid_signal'],
]);
const NEW_RUN = 'if it undid its steps, start a new run with another `id`.';

function failedHint(category: string, details: string): string {
  if (isStoredFailure(details) || FROM_STORE.has(category))
    return `What it failed with is stored: \`run.replay()\` finds it again unless the handler has changed. Fix the cause and repeat all steps, \`run.replay({ steps: 'discard' })\`; ${NEW_RUN}`;
  if (category === 'children_failed')
    return `Fix what the reason names, replay those of \`run.children\` that did not complete, then this run; ${NEW_RUN}`;
  return 'Fix what the reason names, then replay it: `run.replay()`. If it can pass by itself, `retry` in the definition of its task allows more attempts.';
}

/** What to know of a new run in place of one that has ended. */
const OTHER_ID = 'If you gave it an `id`, give another one: the same id is the same run.';

/** `run_failed`: the handler failed with no retry left, or the run lost its worker too often. */
export class RunFailedError extends RunError {
  override readonly name = 'RunFailedError';
  readonly code = 'run_failed';
  readonly hint: string;

  constructor(
    executionId: string,
    reason: string,
    /** What kind of failure it was: `handler_error`, `invalid_input_payload`, `max_reclaims_exceeded`, or the handler's own. */
    readonly category: string,
    /** The class of the error that the handler threw, if it was one. */
    readonly failureClass?: string | undefined,
    /** Classes, first frames of the stacks and inner errors, as text; empty when nothing is known. */
    readonly details = '',
    task?: string | undefined,
  ) {
    super(executionId, reason, 'failed', task);
    this.hint = failedHint(category, details);
  }
}

/** `run_cancelled`: it was cancelled. */
export class RunCancelledError extends RunError {
  override readonly name = 'RunCancelledError';
  readonly code = 'run_cancelled';
  readonly hint = `If the work is still wanted: \`run.replay()\`, or run the task again. ${OTHER_ID}`;

  constructor(executionId: string, reason: string, task?: string | undefined) {
    super(executionId, reason, 'was cancelled', task);
  }
}

/** `run_expired`: its deadline passed, or its last attempt timed out. */
export class RunExpiredError extends RunError {
  override readonly name = 'RunExpiredError';
  readonly code = 'run_expired';
  readonly hint = 'Allow more time (`timeout`, `deadline`), or add workers if it waited too long.';

  constructor(executionId: string, reason: string, task?: string | undefined) {
    super(executionId, reason, 'expired', task);
  }
}

/** `run_skipped`: it never started, because something that it depends on in its flow did not complete. */
export class RunSkippedError extends RunError {
  override readonly name = 'RunSkippedError';
  readonly code = 'run_skipped';
  readonly hint =
    'Repair what the members failed with, replay them, and then this one; `children` of the flow lists all members.';

  constructor(
    executionId: string,
    task?: string | undefined,
    /** The members of its flow that kept it from running, at most ten. */
    readonly members: readonly FailedMember[] = [],
  ) {
    super(executionId, describeMembers(members), 'was skipped: what it depends on did not complete', task);
  }
}

/** A member of a flow that did not complete. */
export interface FailedMember {
  /** Its execution id: `app.get(id)` gives the run. */
  readonly id: string;
  /** Its id again if its record is damaged. */
  readonly task: string;
  /** `failed`, `expired` or `cancelled`; `unreadable` if its record is damaged, so that it may have ended well. */
  readonly state: string;
  /** What it failed with, or why it expired or was cancelled, at most 500 bytes. */
  readonly message: string;
  /** The category of its failure; absent unless it failed. */
  readonly category: string | undefined;
}

/** Members that did not complete, in a sentence. */
export const describeMembers = (members: readonly FailedMember[]): string =>
  members
    .map(({ task, state, message, category }) => {
      const why = [message, category === undefined ? '' : `(${category})`].filter((part) => part !== '').join(' ');
      return `${task} ${state}${why === '' ? '' : `: ${why}`}`;
    })
    .join('; ');

/** `flow_failed`: all members of a flow without a value have ended, and not all of them completed. */
export class FlowFailedError extends RunError {
  override readonly name = 'FlowFailedError';
  readonly code = 'flow_failed';
  readonly hint =
    'Fix what the failed members name and run the flow again, or replay them, the earliest failure first.';

  constructor(
    flowId: string,
    /** Members that did not complete, at most ten. */
    readonly members: readonly FailedMember[],
  ) {
    super(flowId, describeMembers(members), 'failed');
  }
}

/** `flow_cancelled`: the flow was cancelled before it had a result. */
export class FlowCancelledError extends RunError {
  override readonly name = 'FlowCancelledError';
  readonly code = 'flow_cancelled';
  readonly hint = `Run the flow again if the work is still wanted. ${OTHER_ID}`;

  constructor(flowId: string, reason: string) {
    super(flowId, reason, 'was cancelled');
  }
}

/** `run_not_found`: there is no such execution, it was purged after its retention, or no run has the own id. */
export class RunNotFoundError extends RunError {
  override readonly name = 'RunNotFoundError';
  readonly code = 'run_not_found';

  /** @param executionId the execution id, or your own id, that was looked up */
  constructor(
    executionId: string,
    readonly hint = 'Check the id; `retention` in the definition of the task keeps results longer.',
    task?: string | undefined,
    named?: string | undefined,
  ) {
    super(executionId, '', 'does not exist', task, named);
  }
}

/** An own id that leads to no run: the run itself can still be there. */
export const ownIdNotFound = (task: string, id: string): RunNotFoundError =>
  new RunNotFoundError(
    id,
    'Check the id. It is known as long as its run is kept: a longer `retention` or `idempotencyWindow` keeps runs longer.',
    task,
    `The run of task "${task}" with id "${id}"`,
  );

/**
 * Why the call is not allowed. `running`, `suspended`, `ended`, `not_ended`: the state of the run. `replayed_too_often`:
 * its policy allows no further replay. The others are about a member of a flow. `dependencies_failed`: what it depends on
 * has not completed. `flow_unsettled`: its flow is still acting on an end, or is still being created. `flow_cancelled`: its
 * flow was cancelled, or is being removed.
 */
export type RunStateProblem =
  | 'running'
  | 'suspended'
  | 'ended'
  | 'not_ended'
  | 'replayed_too_often'
  | 'dependencies_failed'
  | 'flow_unsettled'
  | 'flow_cancelled';

/** Problems that can pass by themselves, so that the same call can succeed later. The run can also end instead. */
const PASSING: ReadonlySet<RunStateProblem> = new Set(['running', 'suspended', 'not_ended', 'flow_unsettled']);

const STATE_PROBLEMS: Readonly<Record<RunStateProblem, readonly [message: string, hint: string]>> = {
  running: [
    'is running; only a run that waits can be changed like this',
    'Repeat it if the run waits again, as after a failed attempt.',
  ],
  suspended: [
    'is suspended, in a wait of its handler; only a run that waits for a worker can be changed like this',
    'Change it when the wait is over. A signal (`run.signal()`) ends only a wait for signals.',
  ],
  ended: [
    'has ended',
    'Read how it ended (`run.info()`). `run.replay()` runs it again, if its policy and its flow allow that.',
  ],
  not_ended: [
    'has not ended; only a run that has ended can be replayed',
    'Wait for its end (`run.result()`), or cancel it first (`run.cancel()`).',
  ],
  replayed_too_often: [
    'was already replayed as often as its policy allows',
    'Run the task again: without an id, or with another one.',
  ],
  dependencies_failed: [
    'cannot run again, because what it depends on has not completed',
    'Replay what it depends on first, and then this run: `run.explain()` lists the steps.',
  ],
  flow_unsettled: [
    'cannot run again yet, because its flow is still acting on an end or is still being created',
    'Try again: mostly this takes milliseconds.',
  ],
  flow_cancelled: [
    'belongs to a flow that was cancelled or is being removed, so it cannot be replayed',
    'Run the flow again if the work is still wanted.',
  ],
};

/** `run_state`: the state of the run does not allow this call. Nothing was changed. */
export class RunStateError extends RunError {
  override readonly name = 'RunStateError';
  readonly code = 'run_state';
  override readonly retryable: boolean;
  readonly hint: string;

  constructor(
    executionId: string,
    readonly problem: RunStateProblem,
  ) {
    super(executionId, '', STATE_PROBLEMS[problem][0]);
    this.hint = STATE_PROBLEMS[problem][1];
    this.retryable = PASSING.has(problem);
  }
}

/**
 * `replay_incomplete`: the run was replayed, but members of its flow that were skipped because of it were not, or not
 * all of them.
 */
export class ReplayIncompleteError extends RunError {
  override readonly name = 'ReplayIncompleteError';
  readonly code = 'replay_incomplete';
  readonly hint = 'Repeat the call, or replay the `members`: either continues with what is still skipped.';

  constructor(
    executionId: string,
    /** Members that stay skipped, or behind which members do, at most ten. */
    readonly members: readonly string[],
    reason: string,
    override readonly retryable: boolean,
  ) {
    super(executionId, reason, `was replayed, but what was skipped because of it was not (${members.join(', ')})`);
  }
}

/** `run_of_another_task`: the id belongs to a run of another task, whose result has another type. */
export class RunOfAnotherTaskError extends RunError {
  override readonly name = 'RunOfAnotherTaskError';
  readonly code = 'run_of_another_task';
  readonly hint = 'Use `get` of the task that the message names, or `app.get(id)`, which finds a run of any task.';

  constructor(
    executionId: string,
    override readonly task: string,
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
    'Use another id for another input. The same id means the same run; `task.get({ id })` gives the existing run.';

  constructor(
    /** The execution that already has the id. */
    executionId: string,
    override readonly task: string,
    { id, idempotencyKey }: { readonly id?: string | undefined; readonly idempotencyKey?: string | undefined },
  ) {
    const own = id === undefined ? `idempotencyKey ${shown(idempotencyKey)}` : `id ${shown(id)}`;
    super(executionId, '', `already has the ${own}, with another input (task "${task}")`);
  }
}

/** `result_unavailable`: the run completed, but its result was lost or cannot be read. */
export class ResultUnavailableError extends RunError {
  override readonly name = 'ResultUnavailableError';
  readonly code = 'result_unavailable';
  readonly hint =
    'The work was done but its result is gone: look at the effects of the handler, or run the task again under another id.';

  constructor(executionId: string, reason: string) {
    super(executionId, reason, 'completed, but its result is unavailable');
  }
}

/** `result_timeout`: there was no result within the caller's timeout, or none can come in a test. The run continues. */
export class ResultTimeoutError extends AppError {
  override readonly name = 'ResultTimeoutError';
  readonly code = 'result_timeout';
  override readonly retryable = true;
  readonly hint: string;
  /** Whether a test waits while its clock stands still. */
  readonly isStandstill: boolean;

  constructor(
    readonly executionId: string,
    readonly timeoutMs: number,
    /** The last error of the store, if it was unreachable; it is the `cause` too. */
    fault?: unknown,
    /** Why a test will not get one, and what to do. */
    standstill?: { readonly why: string; readonly hint: string },
  ) {
    const why = fault === undefined ? '' : '; the store was unreachable, see the cause';
    super(
      `${executionId} has no result after ${timeoutMs} ms${standstill === undefined ? why : `: ${standstill.why}`}`,
      fault === undefined ? undefined : { cause: fault },
    );
    const hint =
      fault === undefined
        ? 'Ask again later: the run continues. If nothing happens, `run.explain()` says why.'
        : 'Ask again when the store is reachable: the run continues if its worker can reach it.';
    this.hint = standstill?.hint ?? hint;
    this.isStandstill = standstill !== undefined;
  }
}

/**
 * `invalid_task_input`: the input does not match the schema of the task, or cannot be serialised, and nothing was created;
 * or the payload of a signal does not match its schema, or cannot be serialised, and nothing was sent.
 */
export class InvalidInputError extends AppError {
  override readonly name = 'InvalidInputError';
  readonly code = 'invalid_task_input';
  /** The name of the signal whose payload is meant; nothing when it is the input. */
  readonly signal: string | undefined;

  constructor(
    /** The name of the task, or of the flow; empty for a signal to a run whose task is not known. */
    readonly task: string,
    readonly problem: string,
    readonly hint = 'Pass an input that matches the `input` schema of the task.',
    { signal, flow = false }: { readonly signal?: string | undefined; readonly flow?: boolean } = {},
  ) {
    const what =
      signal === undefined ? `Input of ${flow ? 'flow' : 'task'} "${task}"` : `Payload of signal "${signal}"`;
    super(`${what}: ${problem}`);
    this.signal = signal;
  }
}

/** `invalid_definition`: an option or argument of an app, a task, a run or a worker is invalid. */
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

/** `app_closed`: the app was closed before or during the call. */
export class AppClosedError extends AppError {
  override readonly name = 'AppClosedError';
  readonly code = 'app_closed';
  readonly hint: string;

  /** @param signal that ended the process, where the app was closed by `handleSignals` */
  constructor(signal?: string) {
    super(signal === undefined ? 'The app is closed' : `The app was closed by ${signal}`);
    this.hint =
      signal === undefined
        ? 'Close the app last.'
        : 'Catch this where you wait: the run continues in another process, or when this one starts again.';
  }
}

share({
  AppClosedError,
  AppError,
  FlowCancelledError,
  FlowFailedError,
  InvalidDefinitionError,
  InvalidInputError,
  ReplayIncompleteError,
  ResultTimeoutError,
  ResultUnavailableError,
  RunCancelledError,
  RunError,
  RunExpiredError,
  RunFailedError,
  RunIdConflictError,
  RunNotFoundError,
  RunOfAnotherTaskError,
  RunSkippedError,
  RunStateError,
});
