/** `child`: a run of a task that does a part of a handler's work. */
import { isBytes } from '../../../model/core/bytes.js';
import { refuse } from '../../shared/checks.js';
import { knownOnly } from '../../shared/known-only.js';
import type { Duration } from '../../shared/duration.js';
import { Child, type ChildRowOf } from '../../worker/children/child.js';
import { memberRow } from './member-row.js';
import { keptOptions } from './policy.js';
import type { TaskRegistry } from './registry.js';
import { copied } from '../../util/copied.js';
import { tried } from '../../util/thrown.js';
import { requestedRun } from '../runs/requested-run.js';
import type { RunSurroundings } from '../runs/run.js';
import type { Task } from './task.js';
import { budgetsReady } from '../metering/task-budget.js';
import { nameOfTask, taskNamed } from './task-checks.js';
import type { Tags } from '../runs/tags.js';

export interface ChildOptions {
  /** When the child ends as `expired`: a duration from its creation, or a time. Default: the task's `timeout.total`. */
  readonly deadline?: Duration | Date | undefined;
  /** When it may start: a duration from its creation, or a time. */
  readonly delay?: Duration | Date | undefined;
  /** Higher runs first, 0 to 9 000. Default: the task's. */
  readonly priority?: number | undefined;
  /** Keys like `team.name`, values of up to 1 024 bytes. */
  readonly tags?: Tags | undefined;
}

type ChildArguments<Input> = undefined extends Input
  ? [input?: Input, options?: ChildOptions]
  : [input: Input, options?: ChildOptions];

const OPTIONS = { deadline: true, delay: true, priority: true, tags: true } as const;

/**
 * Describes a run of the task for `children` in a handler's context, which creates it. It has the input of this call.
 * @throws InvalidDefinitionError for an unknown option
 * @example const [first, second] = await children.all([child(fetch, { url }), child(count, { text })]);
 */
export function child<Input, Output>(
  task: Task<Input, Output>,
  ...[input, options = {}]: ChildArguments<Input>
): Child<Output> {
  if (typeof nameOfTask(task) !== 'string') throw refuse('child()', 'task', 'a task of the app', task);
  knownOnly<ChildOptions>(`Child of ${taskNamed(task.name)}`, options, OPTIONS);
  return new Child(task.name, keptInput(input), keptOptions(options));
}

/**
 * The input as it is at the call: not encoded, because each further run of the handler would encode inputs of children
 * that exist. One that cannot be copied is refused when it is encoded.
 */
const keptInput = (input: unknown): unknown =>
  isBytes(input) ? Uint8Array.from(input) : (tried(() => copied(input)) ?? input);

/** The data from which the rows of children are made. */
export interface ChildSurroundings extends Pick<RunSurroundings, 'backend' | 'clock'> {
  readonly tasks: TaskRegistry;
  readonly namespace: string;
}

/** How the children of an app's handlers become rows. */
export function childRowsOf({ tasks, namespace, backend, clock }: ChildSurroundings): ChildRowOf {
  return async ({ task, input, options }, now) => {
    const requested = await requestedRun(tasks.named(task), input, options as ChildOptions);
    const { budgets } = requested.meters;
    // Children wait for their budgets, as members of flows do.
    if (budgets.length > 0) await budgetsReady({ backend, clock }, budgets, false);
    return memberRow(requested, { namespace, now });
  };
}
