/** Lists of suspended executions of a partition, and of open waitpoints of an execution. Spec 06 section 14. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, query, reject } from '../operation.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { compareBytes, partitionOfExecution } from '../ids.js';
import { DEFAULTS, LIMITS } from '../limits.js';
import { cursorOf, pageBehind, positionCursor, positionFor, type Position } from '../listing/position.js';
import { FINGERPRINT_LENGTH, messageOf } from '../signing/token.js';
import { signalNamesOf } from './condition.js';
import { SUSPEND_REASONS, type SuspendReason, type TimeoutBehavior, type Waiting } from './facts.js';

/** A suspended execution. Times are ms since the epoch. */
export interface SuspendedExecution {
  readonly executionId: string;
  readonly namespace: string;
  readonly laneId: string;
  readonly executionKind: string;
  readonly suspensionId: string;
  readonly reason: SuspendReason;
  readonly suspendedAt: number;
  /** When the suspension times out; absent without a timeout. */
  readonly timeoutAt: number | undefined;
  readonly timeoutBehavior: TimeoutBehavior;
}

export interface SuspendedFilter {
  readonly reason?: SuspendReason | undefined;
  readonly namespace?: string | undefined;
  readonly laneId?: string | undefined;
}

/** A part of the list; `next`: the position after which more may follow. */
export interface SuspendedPart {
  readonly executions: readonly SuspendedExecution[];
  readonly next: Position | undefined;
}

/** The row of a suspended execution that matches the filter. */
export function suspendedRow(it: ReadonlyExecution, filter: SuspendedFilter): SuspendedExecution | undefined {
  const suspension = it.waiting?.suspension;
  if (it.situation !== 'suspended' || suspension === undefined) return undefined;
  const { reason, namespace, laneId } = filter;
  if (reason !== undefined && reason !== suspension.reasonCode) return undefined;
  if (namespace !== undefined && namespace !== it.namespace) return undefined;
  if (laneId !== undefined && laneId !== it.laneId) return undefined;
  return {
    ...{ executionId: it.executionId, namespace: it.namespace, laneId: it.laneId, executionKind: it.executionKind },
    suspensionId: suspension.suspensionId,
    reason: suspension.reasonCode,
    suspendedAt: suspension.suspendedAt,
    timeoutAt: suspension.timeoutAt,
    timeoutBehavior: suspension.timeoutBehavior,
  };
}

/** The sort key of a suspended execution: its timeout; executions without one come last. */
export const suspendedUntil = ({ waiting }: ReadonlyExecution): number =>
  waiting?.suspension?.timeoutAt ?? LIMITS.maxInteger;

/** The list by definition; ties are ordered by id. */
export function suspendedByDefinition(
  executions: Iterable<ReadonlyExecution>,
  filter: SuspendedFilter,
  after: Position | undefined,
  limit: number,
): SuspendedPart {
  const placed = [...executions].flatMap((execution) => {
    const item = suspendedRow(execution, filter);
    return item === undefined ? [] : [{ score: suspendedUntil(execution), executionId: item.executionId, item }];
  });
  const { items, next } = pageBehind(placed, after, limit);
  return { executions: items, next };
}

export interface SuspendedPage {
  readonly entries: readonly SuspendedExecution[];
  /**
   * The `cursor` of the next page; present when more may follow. A page can be short, or empty, and not be the last.
   */
  readonly nextCursor: string | undefined;
}

export const listSuspended = query({
  name: 'listSuspended',
  args: z.strictObject({
    partition: field.partitionKey,
    reason: field.wordOf(SUSPEND_REASONS).optional(),
    namespace: field.namespace.optional(),
    laneId: field.laneId.optional(),
    /**
     * The list continues after this position, which may be of another partition, so that lists of several can be
     * merged.
     */
    cursor: positionCursor.optional(),
    limit: field.integer(1, LIMITS.maxListPage).default(DEFAULTS.pageSize),
  }),
  rejects: [],
  partition: ({ partition }) => partition,
  /** Ordered by timeout, executions without one last; ties by id. */
  read(view, { cursor, limit, partition, ...filter }) {
    const { executions, next } = view.executions.suspended(filter, positionFor(partition, cursor), limit);
    return accept<SuspendedPage>({ entries: executions, nextCursor: next === undefined ? undefined : cursorOf(next) });
  },
});

/** A waitpoint to which signals can be sent, without its token. Times are ms since the epoch. */
export interface OpenWaitpoint {
  readonly executionId: string;
  readonly waitpointId: string;
  readonly waitpointKey: string;
  readonly state: 'pending' | 'active';
  /** Names of the signals that its condition accepts; empty: any, or its condition is not known yet. */
  readonly requiredSignalNames: readonly string[];
  readonly createdAt: number;
  /** When its suspension began; absent while no suspension uses it. */
  readonly activatedAt: number | undefined;
  readonly expiresAt: number | undefined;
  /** The current signing key, and the start of the token's digest under it; absent without a key. */
  readonly tokenKid: string | undefined;
  readonly tokenFingerprint: string | undefined;
}

export interface OpenWaitpointsPage {
  readonly entries: readonly OpenWaitpoint[];
  readonly nextCursor: string | undefined;
}

/** Ids of open waitpoints, ascending. */
function openIds({ suspension, pendingIds }: Waiting): string[] {
  const active = suspension !== undefined && suspension.closing === undefined ? suspension.waitpointIds : [];
  return [...active, ...pendingIds].sort(compareBytes);
}

export const listPendingWaitpoints = query({
  name: 'listPendingWaitpoints',
  args: z.strictObject({
    executionId: field.executionId,
    /** The `nextCursor` of the previous page. */
    after: field.plainUuid.optional(),
    limit: field.integer(1, LIMITS.maxPageSize).default(DEFAULTS.pageSize),
  }),
  rejects: ['execution_not_found'],
  partition: (args) => partitionOfExecution(args.executionId),
  /** Unused waitpoints and those of the open suspension, by id. */
  read(view, { executionId, after, limit }) {
    const execution = view.executions.get(executionId);
    if (execution === undefined) return reject('execution_not_found');
    const { waiting } = execution;
    const kid = view.signing.current()?.kid;
    const ids = waiting === undefined ? [] : openIds(waiting).filter((id) => after === undefined || id > after);
    const entries = ids.slice(0, limit).flatMap((waitpointId): OpenWaitpoint[] => {
      const it = waiting?.waitpoints[waitpointId];
      if (it === undefined) return [];
      const { waitpointKey, createdAt, expiresAt } = it;
      const isActive = it.waitpointState === 'active';
      const digest = kid && view.signing.digest(kid, messageOf({ waitpointId, ...it }));
      return [
        {
          ...{ executionId, waitpointId, waitpointKey, state: isActive ? 'active' : 'pending' },
          requiredSignalNames: isActive ? signalNamesOf(waiting?.suspension?.condition ?? '', waitpointKey) : [],
          createdAt,
          activatedAt: isActive ? (it.activatedAt ?? createdAt) : undefined,
          expiresAt,
          tokenKid: kid,
          tokenFingerprint: digest?.slice(0, FINGERPRINT_LENGTH),
        },
      ];
    });
    return accept<OpenWaitpointsPage>({ entries, nextCursor: ids.length > limit ? ids[limit - 1] : undefined });
  },
});
