/** Lists over all partitions: executions newest first or in the order of claims, lost leases, flows by id. */
import { partitionsOf } from '../../model/families.js';
import type { FlowSnapshot } from '../../model/flow/reads.js';
import type { ExpiredLease } from '../../model/lease/expired.js';
import type { ExecutionSummary } from '../../model/listing/list.js';
import { comparePositions } from '../../model/listing/position.js';
import type { ArgsOf } from '../../model/machine.js';
import { waitingScore } from '../../model/schedule/queue.js';
import type { Backend } from '../backend/backend.js';
import { mergedLists, type ReadPage } from './merged.js';

/** A filter on executions. */
export type ListQuery = Omit<ArgsOf<'listExecutionSummaries'>, 'partition' | 'cursor' | 'limit'>;
/** A filter on the waiting work of a lane. */
export type QueuedQuery = Omit<ArgsOf<'listQueued'>, 'partition' | 'cursor' | 'limit'>;

/** Makes a read, for example with retries. */
export type CallRead = <T>(read: () => Promise<T>) => Promise<T>;
const atOnce: CallRead = (read) => read();

const UUID_LENGTH = 36;
/** The key that lists over partitions are ordered by. */
const orderOf = ({ executionId }: { readonly executionId: string }): string => executionId.slice(-UUID_LENGTH);

/** One list per partition. */
const everywhere = <Row>(backend: Backend, listOf: (partition: string) => ReadPage<Row>): readonly ReadPage<Row>[] =>
  partitionsOf('flow', backend.partitions).map(listOf);

/**
 * Executions that match one of the queries, newest first. Executions that do not change during the read are listed
 * once; changing ones may be missed. `after`: the id to continue after.
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

/** The waiting work of a lane in all partitions, in the order of claims. */
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

/** Lost leases of all partitions, longest lost first. */
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

/** Flows of all partitions, by id. `after`: the id to continue after. */
export function flowsById(
  backend: Backend,
  {
    status,
    after,
    call = atOnce,
  }: Pick<ArgsOf<'listFlows'>, 'status'> & { readonly after?: string | undefined; readonly call?: CallRead },
): AsyncGenerator<FlowSnapshot, void, undefined> {
  const lists = everywhere<FlowSnapshot & { readonly executionId: string }>(backend, (partition) => async (page) => {
    const { flows, nextCursor } = await call(() => backend.listFlows({ ...page, status, partition }));
    return { rows: flows.map((flow) => ({ ...flow, executionId: flow.flowId })), nextCursor };
  });
  return mergedLists(lists, (a, b) => orderOf(a) < orderOf(b), after);
}
