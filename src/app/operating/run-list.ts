/** Lists of runs: translates filters of the app for the engine, and rows of the engine for the app. */
import type { ExecutionSummary } from '../../../model/listing/list.js';
import { PUBLIC_STATES, type PublicState } from '../../../model/execution/situation.js';
import { isExecutionId } from '../../../model/ids.js';
import { category, executionKind, tags, workerInstanceId } from '../../../model/core/fields.js';
import type { ListQuery, QueuedQuery } from '../../engine/lists.js';
import { checkField, needField, refuse } from '../../shared/checks.js';
import { knownOnly } from '../../shared/known-only.js';
import { laneIdOf, laneNameOf } from '../../shared/lane-names.js';
import type { TaskReference } from '../tasks/task.js';
import { nameOfTask } from '../tasks/task-checks.js';
import { calledBy, type Called, type Tags } from '../runs/tags.js';

/** Selects runs; an absent member matches all. */
export interface RunFilter {
  /** Only runs in this state. */
  readonly state?: PublicState | undefined;
  /** The name of the lane. */
  readonly lane?: string | undefined;
  /** A task, or its name. */
  readonly task?: TaskReference | string | undefined;
  /** The kind of execution, which is the engine's name of a task. Give `task` or `kind`, not both. */
  readonly kind?: string | undefined;
  /** Tags with their values, all of which a run must have. */
  readonly tag?: Tags | undefined;
  /** The category of the last failure: `handler_error`, `timeout`, or one that the handler chose. */
  readonly failure?: string | undefined;
  /** Only runs that this source cancelled: `operator_override`, `lease_holder`, `flow_cascade`, `system_timeout`. */
  readonly cancelledBy?: string | undefined;
  /** Only runs that an operator holds. */
  readonly held?: true | undefined;
  /** The id of a worker: only runs that it holds, or that it lost and no other worker has taken over. */
  readonly worker?: string | undefined;
  /** An execution id after which the list continues. */
  readonly after?: string | undefined;
}

/** The options of `app.runs`. */
export interface RunQuery extends RunFilter {
  /**
   * `newest` first (default), or by `priority`: the runs that wait for a worker in a lane, in the order in which they
   * will start. `priority` requires a `lane`, since priorities hold within a lane, and allows `task`, `kind` and `tag`. Held,
   * blocked and granted runs are left out.
   */
  readonly order?: 'newest' | 'priority' | undefined;
}

const FILTER = {
  state: true,
  lane: true,
  task: true,
  kind: true,
  tag: true,
  failure: true,
  cancelledBy: true,
  held: true,
  worker: true,
  after: true,
} as const;

/** Filters that a list of waiting runs does not support. */
const NOT_QUEUED = ['failure', 'cancelledBy', 'held', 'worker', 'after'] as const;

/**
 * The engine's filter for the runs that wait in a lane, in their order.
 * @throws InvalidDefinitionError for an invalid filter
 */
export function queuedQueryOf(where: string, namespace: string, { order: _, ...filter }: RunQuery): QueuedQuery {
  const { laneId, executionKind, tags, publicState } = queryOf(where, namespace, filter);
  if (laneId === undefined) throw refuse(where, 'lane', 'the name of a lane: priorities hold within one', filter.lane);
  if (publicState !== undefined && publicState !== 'waiting')
    throw refuse(where, 'state', 'left out or "waiting": nothing else is in the order of priorities', publicState);
  for (const name of NOT_QUEUED)
    if (filter[name] !== undefined)
      throw refuse(where, name, 'left out: a list by priority has no such filter', filter[name]);
  return { laneId, namespace, executionKind, tags };
}

/** Whether the list is by priority. @throws InvalidDefinitionError for an invalid order */
export function isByPriority(where: string, query: RunQuery): boolean {
  knownOnly<RunQuery>(where, query, { ...FILTER, order: true });
  const { order = 'newest' } = query;
  if (order !== 'newest' && order !== 'priority') throw refuse(where, 'order', '"newest" or "priority"', order);
  return order === 'priority';
}

/** One run of a list. Times are ms since the epoch. */
export interface RunRow extends Called {
  /** The execution id: `app.get(id)` is the run. */
  readonly id: string;
  /** The name of its task. */
  readonly task: string;
  /** The lane, as named by its task. */
  readonly lane: string;
  /** Its state, as `run.state()` gives it. */
  readonly state: PublicState;
  /** Higher starts first within the lane; 0 to 9 000. */
  readonly priority: number;
  /** When it was created. */
  readonly createdAt: number;
  /** When its state last changed; for an ended run, when it ended. */
  readonly changedAt: number;
  /** Attempts begun so far, the current one included. */
  readonly attempts: number;
  /** How often it was replayed after it had ended. */
  readonly replays: number;
  /** The category of its last failure; absent if there was none, or a later attempt succeeded. */
  readonly failure: string | undefined;
  /** The source of the cancellation; absent if it was not cancelled. */
  readonly cancelledBy: string | undefined;
  /** Whether an operator holds it back. */
  readonly held: boolean;
  /** While it is `active`: the id of the worker that holds it, or lost it. */
  readonly worker: string | undefined;
}

/** The engine's filter. @throws InvalidDefinitionError for an invalid filter */
export function queryOf(where: string, namespace: string, filter: RunFilter): ListQuery {
  knownOnly<RunFilter>(where, filter, FILTER);
  const { state, lane, tag = {}, failure, cancelledBy, held, worker, after } = filter;
  const kind = kindOf(where, filter);
  if (after !== undefined && (typeof after !== 'string' || !isExecutionId(after)))
    throw refuse(where, 'after', 'the id of a run', after);
  if (state !== undefined && !PUBLIC_STATES.includes(state))
    throw refuse(where, 'state', `one of ${PUBLIC_STATES.join(', ')}`, state);
  checkField(where, 'worker', workerInstanceId, worker);
  checkField(where, 'tag', tags, tag);
  checkField(where, 'failure', category, failure);
  checkField(where, 'cancelledBy', category, cancelledBy);
  if (held !== undefined && held !== true) throw refuse(where, 'held', 'true, or left out', held);
  return {
    namespace,
    laneId: lane === undefined ? undefined : laneIdOf(lane, where),
    executionKind: kind,
    publicState: state,
    failureCategory: failure,
    cancelledBy,
    held,
    workerInstanceId: worker,
    tags: { ...tag },
  };
}

/** The kind of a task that a filter names. @throws InvalidDefinitionError */
export function kindOf(
  where: string,
  { task, kind }: { readonly task?: TaskReference | string | undefined; readonly kind?: string | undefined },
): string | undefined {
  checkField(where, 'kind', executionKind, kind);
  if (task === undefined) return kind;
  const name = typeof task === 'string' ? task : nameOfTask(task);
  if (typeof name !== 'string') throw refuse(where, 'task', 'a task, or the name of one', task);
  needField(where, 'task', executionKind, name);
  if (kind !== undefined) throw refuse(where, 'kind', 'left out beside `task`', kind);
  return name;
}

export const runRowOf = (summary: ExecutionSummary): RunRow => ({
  id: summary.executionId,
  ...calledBy(summary.tags),
  task: summary.executionKind,
  lane: laneNameOf(summary.laneId),
  state: summary.publicState,
  priority: summary.priority,
  createdAt: summary.createdAt,
  changedAt: summary.lastTransitionAt,
  attempts: summary.totalAttemptCount,
  replays: summary.replayCount,
  failure: summary.failureCategory,
  cancelledBy: summary.cancelledBy,
  held: summary.held,
  worker: summary.workerInstanceId,
});
