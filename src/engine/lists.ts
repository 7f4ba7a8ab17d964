/** Lists of executions over all partitions: the newest first, or what waits in a lane in the order of claims. */
import { partitionsOf } from '../../model/families.js';
import type { ExpiredLease } from '../../model/lease/expired.js';
import type { ExecutionSummary } from '../../model/listing/list.js';
import { comparePositions } from '../../model/listing/position.js';
import type { ArgsOf } from '../../model/machine.js';
import { waitingScore } from '../../model/schedule/queue.js';
import type { Backend } from '../backend.js';
import { mergedLists, type ReadPage } from './merged.js';

/** What executions of a list have in common. */
export type ListQuery = Omit<ArgsOf<'listExecutionSummaries'>, 'partition' | 'cursor' | 'limit'>;
/** Which work of a lane is meant. */
export type QueuedQuery = Omit<ArgsOf<'listQueued'>, 'partition' | 'cursor' | 'limit'>;

/** How calls are made, when not at once. */
export type CallRead = <T>(read: () => Promise<T>) => Promise<T>;
const atOnce: CallRead = (read) => read();

const UUID_LENGTH = 36;
/** What a list over partitions is in the order of. */
const orderOf = ({ executionId }: ExecutionSummary): string => executionId.slice(-UUID_LENGTH);

/** A list of each partition. */
const everywhere = <Row>(backend: Backend, listOf: (partition: string) => ReadPage<Row>): readonly ReadPage<Row>[] =>
  partitionsOf('flow', backend.partitions).map(listOf);

/**
 * Executions that match one of the queries, newest first. What stays as it is while the list is read is told once; what
 * changes meanwhile is told or not. `after`: an id; the list goes on behind it.
 */
export function newestFirst(
  backend: Backend,
  queries: readonly ListQuery[],
  { after, call = atOnce }: { readonly after?: string | undefined; readonly call?: CallRead },
): AsyncGenerator<ExecutionSummary, void, undefined> {
  const lists = queries.flatMap((query) =>
    everywhere<ExecutionSummary>(backend, (partition) => async (page) => {
      const { executions, nextCursor } = await call(() =>
        backend.listExecutionSummaries({ ...query, ...page, partition }),
      );
      return { rows: executions, nextCursor };
    }),
  );
  return mergedLists(lists, (a, b) => orderOf(a) > orderOf(b), after);
}

/** What waits in a lane of all partitions, in the order in which claims take it. */
export function nextFirst(
  backend: Backend,
  query: QueuedQuery,
  { call = atOnce }: { readonly call?: CallRead } = {},
): AsyncGenerator<ExecutionSummary, void, undefined> {
  const lists = everywhere<ExecutionSummary>(backend, (partition) => async (page) => {
    const { executions, nextCursor } = await call(() => backend.listQueued({ ...query, ...page, partition }));
    return { rows: executions, nextCursor };
  });
  const placeOf = (row: ExecutionSummary) => ({ score: waitingScore(row), executionId: row.executionId });
  return mergedLists(lists, (a, b) => comparePositions(placeOf(a), placeOf(b)) < 0);
}

/** Leases of all partitions that ended without their owners, the one that was lost first first. */
export function expiredLeases(
  backend: Backend,
  filter: { readonly asOf?: number | undefined; readonly namespace?: string | undefined } = {},
): AsyncGenerator<ExpiredLease, void, undefined> {
  const lists = everywhere<ExpiredLease>(backend, (partition) => async (page) => {
    const { leases, nextCursor } = await backend.listExpiredLeases({ ...filter, ...page, partition });
    return { rows: leases, nextCursor };
  });
  const placeOf = (row: ExpiredLease) => ({ score: row.lostAt, executionId: row.executionId });
  return mergedLists(lists, (a, b) => comparePositions(placeOf(a), placeOf(b)) < 0);
}
