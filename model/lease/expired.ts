/**
 * listExpiredLeases: executions that their owner lost and that are not reclaimed yet. For supervisors. Spec 05 section
 * 6.4.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, query } from '../operation.js';
import { isActive, isQueued, isReclaimable, type Situation } from '../execution/situation.js';
import type { ActiveExecution, ReadonlyExecution } from '../execution/facts.js';
import type { LeaseSummary } from '../execution/projections.js';
import { DEFAULTS, LIMITS } from '../limits.js';
import { cursorOf, pageBehind, positionCursor, positionFor, type Position } from '../listing/position.js';
import { nextTimerAt } from '../schedule/timers.js';

/** The stored facts that a row needs. */
export type LostExecution = Pick<
  ActiveExecution,
  | 'executionId'
  | 'namespace'
  | 'laneId'
  | 'dueAt'
  | 'currentLeaseId'
  | 'currentLeaseEpoch'
  | 'currentWorkerId'
  | 'currentWorkerInstanceId'
  | 'totalAttemptCount'
> & { readonly situation: Situation; readonly lostAt: number };

/** One lease that ended without its owner. Times are ms since the epoch. */
export interface ExpiredLease extends Omit<LeaseSummary, 'lastHeartbeatAt'> {
  readonly executionId: string;
  readonly namespace: string;
  readonly laneId: string;
  readonly reason: 'expired' | 'revoked';
  /** When the loss was recorded, or from when it can be. The list is in this order. */
  readonly lostAt: number;
}

export interface ExpiredLeasesPage {
  readonly leases: readonly ExpiredLease[];
  /** Present when more may follow: the `cursor` of the next page. A page can be short, or empty, and not be the last. */
  readonly nextCursor: string | undefined;
}

/** A part of the list. */
export interface LostPart {
  readonly executions: readonly LostExecution[];
  /** The position behind which more may follow; absent at the end. */
  readonly next: Position | undefined;
}

/** Since when the execution has been lost and reclaimable, if that is by a given time. */
function lostAtOf(execution: ReadonlyExecution, asOf: number): number | undefined {
  if (!isActive(execution) || execution.heldAt !== undefined) return undefined;
  if (isReclaimable(execution.situation)) {
    const { lastTransitionAt } = execution;
    return isQueued(execution) && lastTransitionAt <= asOf ? lastTransitionAt : undefined;
  }
  return execution.dueAt <= asOf ? nextTimerAt(execution) : undefined;
}

/** The definition of the list. */
export function lostByDefinition(
  executions: Iterable<ReadonlyExecution>,
  namespace: string | undefined,
  asOf: number,
  after: Position | undefined,
  limit: number,
): LostPart {
  const placed = [...executions].flatMap((execution) => {
    const score = lostAtOf(execution, asOf);
    if (score === undefined || (namespace !== undefined && execution.namespace !== namespace)) return [];
    const { executionId } = execution;
    return [{ score, executionId, item: { ...(execution as ActiveExecution), lostAt: score } }];
  });
  const { items, next } = pageBehind(placed, after, limit);
  return { executions: items, next };
}

const leaseOf = (execution: LostExecution): ExpiredLease => ({
  executionId: execution.executionId,
  namespace: execution.namespace,
  laneId: execution.laneId,
  leaseId: execution.currentLeaseId,
  leaseEpoch: execution.currentLeaseEpoch,
  workerId: execution.currentWorkerId,
  workerInstanceId: execution.currentWorkerInstanceId,
  attemptIndex: execution.totalAttemptCount - 1,
  expiresAt: execution.dueAt,
  reason: execution.situation === 'lease_revoked' ? 'revoked' : 'expired',
  lostAt: execution.lostAt,
});

export const listExpiredLeases = query({
  name: 'listExpiredLeases',
  args: z.strictObject({
    partition: field.partitionKey,
    /** Leases lost by this time, ms since the epoch. Default and maximum: now, by the clock of the store. */
    asOf: field.timestampMs.optional(),
    namespace: field.namespace.optional(),
    /** The place to continue after. It may be of another partition, so that lists of several can be merged. */
    cursor: positionCursor.optional(),
    limit: field.integer(1, LIMITS.maxListPage).default(DEFAULTS.pageSize),
  }),
  rejects: [],
  partition: ({ partition }) => partition,
  /**
   * Longest lost first: leases that lapsed, recorded or not, and revoked ones. Held and granted executions are left
   * out.
   */
  read(view, { asOf, namespace, cursor, limit, partition }, { now }) {
    const part = view.executions.lost(namespace, Math.min(asOf ?? now, now), positionFor(partition, cursor), limit);
    return accept<ExpiredLeasesPage>({
      leases: part.executions.map(leaseOf),
      nextCursor: part.next === undefined ? undefined : cursorOf(part.next),
    });
  },
});
