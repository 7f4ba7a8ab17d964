/** The error of runs that the quota of their task has no room for. */
import { AppError } from '../../shared/errors.js';
import { share } from '../../util/brand.js';
import type { Run } from './run.js';

/**
 * `run_dropped`: the quota of the task is full and has `whenFull: 'drop'`, so the run was not created. Of several runs,
 * only the executions that did not fit were dropped.
 */
export class RunDroppedError<Output = unknown> extends AppError {
  override readonly name = 'RunDroppedError';
  readonly code = 'run_dropped';
  override readonly retryable = true;
  readonly hint =
    "Try again when there is room (`app.quotas.of(task, input)` says when), or leave out `whenFull: 'drop'` to let it wait.";

  constructor(
    readonly task: string,
    /** The runs in the order of the inputs; `undefined` for each that was dropped. */
    readonly runs: readonly (Run<Output> | undefined)[],
  ) {
    const dropped = runs.filter((run) => run === undefined).length;
    const what = runs.length === 1 ? 'the run' : `${dropped} of ${runs.length} runs`;
    super(`The quota of task "${task}" is full: ${what} was not created`.replace(/ runs was/, ' runs were'));
  }
}

share({ RunDroppedError });
