/** Pages of lists over the indexes of a partition. A page looks at a bounded number of executions, so it can be short. */
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { executionIdIn, memberOf, partitionOfExecution } from '../../model/ids.js';
import { listed, matches, type ListedExecution, type ListedPart, type ListFilter } from '../../model/listing/list.js';
import type { Position } from '../../model/listing/position.js';
import { isListedQueued, type QueuedFilter, type QueuedPart } from '../../model/listing/queued.js';
import { FIRST_WAITING_SCORE, queueScore } from '../../model/schedule/queue.js';
import {
  suspendedRow,
  suspendedUntil,
  type SuspendedFilter,
  type SuspendedPart,
} from '../../model/suspension/listings.js';
import { merged, type OrderedIndex } from './ordered-index.js';
import type { Timers } from './timers.js';
import { inQueueOrder, type WorkQueues } from './work-queues.js';

/** Most executions checked for one page. */
const MAX_LOOKED_AT = 10_000;

/** The score of every entry in the index of ids. */
export const ID_ALONE = 0;

/** Rows of executions in descending order of ids, before an id. */
export function listedPage(
  ids: OrderedIndex<ReadonlyExecution>,
  filter: ListFilter,
  before: string | undefined,
  limit: number,
): ListedPart {
  const anyId = ids.first?.executionId;
  if (anyId === undefined) return { executions: [], next: undefined };
  // Ids of a partition are ordered by UUID; the bound may be an id of another partition.
  const bound = before && executionIdIn(partitionOfExecution(anyId), memberOf(before));
  const executions: ListedExecution[] = [];
  let [lookedAt, last] = [0, anyId];
  for (const execution of ids.backwards(ID_ALONE, bound)) {
    if (lookedAt++ === MAX_LOOKED_AT) return { executions, next: last };
    last = execution.executionId;
    if (!matches(filter, execution)) continue;
    if (executions.length === limit) return { executions, next: executions.at(-1)?.executionId };
    executions.push(listed(execution));
  }
  return { executions, next: undefined };
}

/** Suspended executions in the order of the ends of their suspensions, after a position. */
export const suspendedPage = (
  suspended: OrderedIndex<ReadonlyExecution>,
  filter: SuspendedFilter,
  after: Position | undefined,
  limit: number,
): SuspendedPart =>
  pageOf(
    suspended.behind(after?.score ?? -Infinity, after?.executionId ?? ''),
    (execution) => suspendedRow(execution, filter),
    suspendedUntil,
    after,
    limit,
  );

/** The waiting executions of a lane in the order of its queues, after a position. */
export function queuedPage(
  queues: WorkQueues,
  filter: QueuedFilter,
  after: Position | undefined,
  limit: number,
): QueuedPart {
  const { score, executionId } = after ?? { score: FIRST_WAITING_SCORE, executionId: '' };
  const sources = Array.from(queues.ofLane(filter.laneId), ({ work }) => work.behind(score, executionId));
  const rowOf = (execution: ReadonlyExecution): ListedExecution | undefined =>
    isListedQueued(execution, filter) ? listed(execution) : undefined;
  return pageOf(merged(sources, inQueueOrder), rowOf, queueScore, after, limit);
}

/** A page of rows in the order of a score, and the position after which the list continues. */
function pageOf<Row>(
  candidates: Iterable<ReadonlyExecution>,
  rowOf: (execution: ReadonlyExecution) => Row | undefined,
  scoreOf: (execution: ReadonlyExecution) => number,
  after: Position | undefined,
  limit: number,
): { readonly executions: readonly Row[]; readonly next: Position | undefined } {
  const executions: Row[] = [];
  let lookedAt = 0;
  let last = after;
  for (const execution of candidates) {
    if (lookedAt++ === MAX_LOOKED_AT) return { executions, next: last };
    const row = rowOf(execution);
    if (row !== undefined && executions.length === limit) return { executions, next: last };
    if (row !== undefined) executions.push(row);
    if (row !== undefined || executions.length < limit)
      last = { score: scoreOf(execution), executionId: execution.executionId };
  }
  return { executions, next: undefined };
}

/** Executions that may be lost at a time: those in the score bands of lost work, and running ones with a due timer. */
export function possiblyLost(timers: Timers, queues: WorkQueues, asOf: number): ReadonlyExecution[] {
  const due = timers.due(asOf, Infinity).flatMap(({ kind, entity }) => (kind === 'execution' ? [entity] : []));
  const unnoticed = due.filter(({ situation }) => situation === 'running');
  const noticed = [...queues.all()].flatMap(([, { work }]) => work.head(Infinity, FIRST_WAITING_SCORE - 1));
  return [...unnoticed, ...noticed];
}
