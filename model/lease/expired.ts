/** listExpiredLeases: work whose owner lost it, and that nobody has taken over. For supervisors. Spec 05 section 6.4. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, query } from '../core/operation.js';
import { isActive, isQueued, isReclaimable } from '../execution/situation.js';
import type { ActiveExecution, ReadonlyExecution } from '../execution/facts.js';
import type { LeaseSummary } from '../execution/projections.js';
import { DEFAULTS, LIMITS } from '../limits.js';
import { cursorOf, pageBehind, positionCursor, positionFor, type Position } from '../listing/position.js';
import { nextTimerAt } from '../schedule/timers.js';

/** What a row is made of. */
export type LostExecution = Pick<
  ActiveExecution,
  | 'executionId'
  | 'namespace'
  | 'laneId'
  | 'situation'
  | 'dueAt'
  | 'currentLeaseId'
  | 'currentLeaseEpoch'
  | 'currentWorkerId'
  | 'currentWorkerInstanceId'
  | 'totalAttemptCount'
> & { readonly lostAt: number };

/** One lease that ended without its owner. Times are ms since the epoch. */
export interface ExpiredLease extends Omit<LeaseSummary, 'lastHeartbeatAt'> {
  readonly executionId: string;
  readonly namespace: string;
  readonly laneId: string;
  readonly reason: 'expired' | 'revoked';
  /** When that was noticed; before it is, when it can be. What the list is in the order of. */
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

/** Since when an execution has no owner, if it has lost it by a time and can be taken over. */
function lostAtOf(execution: ReadonlyExecution, asOf: number): number | undefined {
  if (!isActive(execution) || execution.heldAt !== undefined) return undefined;
  if (isReclaimable(execution.situation)) {
    const { lastTransitionAt } = execution;
    return isQueued(execution) && lastTransitionAt <= asOf ? lastTransitionAt : undefined;
  }
  return execution.dueAt <= asOf ? nextTimerAt(execution) : undefined;
}

/** The list by definition. */
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
  args: z.object({
    partition: field.partitionKey,
    /** Leases that are lost by this time, ms since the epoch. Default, and at most: now, by the clock of the store. */
    asOf: field.timestampMs.optional(),
    namespace: field.namespace.optional(),
    /** The list goes on behind this place; it may be of another partition, so that lists of several can be merged. */
    cursor: positionCursor.optional(),
    limit: field.integer(1, LIMITS.maxListPage).default(DEFAULTS.pageSize),
  }),
  rejects: [],
  partition: ({ partition }) => partition,
  /**
   * What was lost first comes first: leases that lapsed, noticed or not, and those that were revoked. What is held, or
   * granted to a worker already, is left out.
   */
  read(view, { asOf, namespace, cursor, limit, partition }, { now }) {
    const part = view.executions.lost(namespace, Math.min(asOf ?? now, now), positionFor(partition, cursor), limit);
    return accept<ExpiredLeasesPage>({
      leases: part.executions.map(leaseOf),
      nextCursor: part.next === undefined ? undefined : cursorOf(part.next),
    });
  },
});
