/** listQueued: what waits for a worker in a lane of a partition, in the order in which it would be claimed. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, query } from '../core/operation.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { isQueued, isReclaimable } from '../execution/situation.js';
import { DEFAULTS, LIMITS } from '../limits.js';
import { queueScore } from '../schedule/queue.js';
import { listed, matches, summaryOf, type ListedExecution, type ListFilter, type SummariesPage } from './list.js';
import { cursorOf, pageBehind, positionCursor, positionFor, type Position } from './position.js';

/** Which of the work of a lane is meant; what is absent does not matter. */
export type QueuedFilter = Pick<ListFilter, 'namespace' | 'executionKind' | 'tags'> & { readonly laneId: string };

/** A part of the list. */
export interface QueuedPart {
  readonly executions: readonly ListedExecution[];
  /** The position behind which more may follow; absent at the end. */
  readonly next: Position | undefined;
}

/** Whether an execution stands in the list: it waits for its first owner or the next, and nothing keeps it out of its queue. */
export const isListedQueued = (execution: ReadonlyExecution, filter: QueuedFilter): boolean =>
  isQueued(execution) && !isReclaimable(execution.situation) && matches(filter, execution);

/** The list by definition. */
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
  args: z.object({
    partition: field.partitionKey,
    /** Priorities of different lanes are not compared, so the list is of one. */
    laneId: field.laneId,
    namespace: field.namespace.optional(),
    executionKind: field.executionKind.optional(),
    /** Executions that have all of these tags, with these values. */
    tags: field.tags.default({}),
    /** The list goes on behind this place; it may be of another partition, so that lists of several can be merged. */
    cursor: positionCursor.optional(),
    limit: field.integer(1, LIMITS.maxListPage).default(DEFAULTS.pageSize),
  }),
  rejects: [],
  partition: ({ partition }) => partition,
  /**
   * Higher priorities first, the older of equal ones first. Also of a paused lane. What is held or granted is not in the
   * order, nor is what a worker lost: `listExpiredLeases` shows that.
   */
  read(view, { cursor, limit, partition, ...filter }) {
    const { executions, next } = view.executions.queued(filter, positionFor(partition, cursor), limit);
    return accept<SummariesPage>({
      executions: executions.map(summaryOf),
      nextCursor: next === undefined ? undefined : cursorOf(next),
    });
  },
});
