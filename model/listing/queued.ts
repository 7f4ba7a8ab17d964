/** listQueued: executions of one lane and partition that wait for a worker, in the order of claims. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, query } from '../operation.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { isQueued, isReclaimable } from '../execution/situation.js';
import { DEFAULTS, LIMITS } from '../limits.js';
import { queueScore } from '../schedule/queue.js';
import { listed, matches, summaryOf, type ListedExecution, type ListFilter, type SummariesPage } from './list.js';
import { cursorOf, pageBehind, positionCursor, positionFor, type Position } from './position.js';

/** A filter on the lane's queues; absent members match everything. */
export type QueuedFilter = Pick<ListFilter, 'namespace' | 'executionKind' | 'tags'> & { readonly laneId: string };

/** One page. */
export interface QueuedPart {
  readonly executions: readonly ListedExecution[];
  /** The position behind which more may follow; absent at the end. */
  readonly next: Position | undefined;
}

/** Whether an execution is in the list: it waits for its first owner or the next one, and is in its queue. */
export const isListedQueued = (execution: ReadonlyExecution, filter: QueuedFilter): boolean =>
  isQueued(execution) && !isReclaimable(execution.situation) && matches(filter, execution);

/** The definition of the list. */
export function queuedByDefinition(
  executions: Iterable<ReadonlyExecution>,
  filter: QueuedFilter,
  after: Position | undefined,
  limit: number,
): QueuedPart {
  const placed = [...executions]
    .filter((execution) => isListedQueued(execution, filter))
    .map((item) => ({ score: queueScore(item), executionId: item.executionId, item }));
  const { items, next } = pageBehind(placed, after, limit);
  return { executions: items.map(listed), next };
}

export const listQueued = query({
  name: 'listQueued',
  args: z.strictObject({
    partition: field.partitionKey,
    /** One lane, because priorities of different lanes are not compared. */
    laneId: field.laneId,
    namespace: field.namespace.optional(),
    executionKind: field.executionKind.optional(),
    /** Executions that have all of these tags, with these values. */
    tags: field.tags.default({}),
    /** The place to continue after. It may be of another partition, so that lists of several can be merged. */
    cursor: positionCursor.optional(),
    limit: field.integer(1, LIMITS.maxListPage).default(DEFAULTS.pageSize),
  }),
  rejects: [],
  partition: ({ partition }) => partition,
  /**
   * Higher priorities first, older executions first among equals; paused lanes too. Held, granted and lost executions
   * are left out: `listExpiredLeases` shows the lost ones.
   */
  read(view, { cursor, limit, partition, ...filter }) {
    const { executions, next } = view.executions.queued(filter, positionFor(partition, cursor), limit);
    return accept<SummariesPage>({
      executions: executions.map(summaryOf),
      nextCursor: next === undefined ? undefined : cursorOf(next),
    });
  },
});
