/** listExecutionSummaries: executions of a partition that match a filter, newest first, one row each. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, query } from '../operation.js';
import { compareBytes, memberOf } from '../ids.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import {
  BLOCK_REASONS,
  BLOCKS,
  isActiveSituation,
  isHeld,
  PUBLIC_STATES,
  SITUATIONS,
  type BlockReason,
  type PublicState,
} from '../execution/situation.js';
import { DEFAULTS, LIMITS } from '../limits.js';

/** The stored facts that a row needs. */
export type ListedExecution = Pick<
  ReadonlyExecution,
  | 'executionId'
  | 'namespace'
  | 'laneId'
  | 'executionKind'
  | 'situation'
  | 'priority'
  | 'createdAt'
  | 'lastTransitionAt'
  | 'totalAttemptCount'
  | 'failureCategory'
  | 'replayCount'
  | 'cancelledBy'
  | 'tags'
> & {
  readonly held: boolean;
  readonly workerInstanceId: string | undefined;
  readonly leaseId: string | undefined;
};

/** One row of a list. Times are ms since the epoch. */
export interface ExecutionSummary {
  readonly executionId: string;
  readonly namespace: string;
  readonly laneId: string;
  readonly executionKind: string;
  readonly publicState: PublicState;
  readonly priority: number;
  readonly createdAt: number;
  /** Last change of the state; for an ended execution, its end. */
  readonly lastTransitionAt: number;
  readonly totalAttemptCount: number;
  /** Category of the last failure; absent without one, or once a later attempt succeeded. */
  readonly failureCategory: string | undefined;
  /** The source of the cancellation, a `CancelSource`; absent when it was not cancelled. */
  readonly cancelledBy: string | undefined;
  /** Number of replays; `replayExecution` takes it as `expectedReplayCount`. */
  readonly replayCount: number;
  /** Whether an operator holds it. */
  readonly held: boolean;
  /** While `active`: the worker instance that owns it, or that lost it. */
  readonly workerInstanceId: string | undefined;
  /** The lease of that owner. */
  readonly leaseId: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
}

/** A filter; absent members match everything. */
export interface ListFilter {
  readonly namespace?: string | undefined;
  readonly laneId?: string | undefined;
  readonly executionKind?: string | undefined;
  readonly publicState?: PublicState | undefined;
  readonly blockedBy?: BlockReason | undefined;
  readonly failureCategory?: string | undefined;
  readonly cancelledBy?: string | undefined;
  readonly held?: true | undefined;
  readonly workerInstanceId?: string | undefined;
  /** All of these tags, with these values. */
  readonly tags: Readonly<Record<string, string>>;
}

/** One page. */
export interface ListedPart {
  readonly executions: readonly ListedExecution[];
  /** The id to continue after; absent at the end. */
  readonly next: string | undefined;
}

export interface SummariesPage {
  readonly executions: readonly ExecutionSummary[];
  /**
   * Present when more may follow: the `cursor` of the next page. A page looks at a bounded number of executions, so it can
   * be short, or empty, and still not be the last.
   */
  readonly nextCursor: string | undefined;
}

/** Whether an execution matches. */
export function matches(filter: ListFilter, execution: ReadonlyExecution): boolean {
  const { namespace, laneId, executionKind, publicState, blockedBy, failureCategory, cancelledBy } = filter;
  const { held, workerInstanceId, tags } = filter;
  return (
    (namespace === undefined || execution.namespace === namespace) &&
    (laneId === undefined || execution.laneId === laneId) &&
    (executionKind === undefined || execution.executionKind === executionKind) &&
    (publicState === undefined || SITUATIONS[execution.situation].publicState === publicState) &&
    (blockedBy === undefined || execution.situation === BLOCKS[blockedBy]) &&
    (failureCategory === undefined || execution.failureCategory === failureCategory) &&
    (cancelledBy === undefined || execution.cancelledBy === cancelledBy) &&
    (held === undefined || isHeld(execution)) &&
    (workerInstanceId === undefined || ownerOf(execution).workerInstanceId === workerInstanceId) &&
    Object.entries(tags).every(([key, value]) => execution.tags[key] === value)
  );
}

/** Tags as members of the stored JSON, of which a record with these tags contains each. */
export const tagMembersOf = (tags: Readonly<Record<string, string>>): readonly string[] =>
  Object.entries(tags).map(([key, value]) => JSON.stringify({ [key]: value }).slice(1, -1));

/** The owner of an active execution, or the owner that lost it. */
const ownerOf = (execution: ReadonlyExecution): Pick<ListedExecution, 'workerInstanceId' | 'leaseId'> =>
  isActiveSituation(execution.situation)
    ? { workerInstanceId: execution.currentWorkerInstanceId, leaseId: execution.currentLeaseId }
    : { workerInstanceId: undefined, leaseId: undefined };

/** The facts of a row, from an execution. */
export const listed = (execution: ReadonlyExecution): ListedExecution => ({
  ...execution,
  held: isHeld(execution),
  ...ownerOf(execution),
});

/** The definition of the list. `before` is an id of any partition; the list continues after its UUID. */
export function listedByDefinition(
  executions: Iterable<ReadonlyExecution>,
  filter: ListFilter,
  before: string | undefined,
  limit: number,
): ListedPart {
  const bound = before === undefined ? undefined : memberOf(before);
  const matching = [...executions]
    .filter((it) => matches(filter, it) && (bound === undefined || memberOf(it.executionId) < bound))
    .sort((a, b) => compareBytes(b.executionId, a.executionId));
  const page = matching.slice(0, limit).map(listed);
  return { executions: page, next: matching.length > limit ? page.at(-1)?.executionId : undefined };
}

/** The row that callers see. */
export const summaryOf = ({ situation, ...facts }: ListedExecution): ExecutionSummary => ({
  executionId: facts.executionId,
  namespace: facts.namespace,
  laneId: facts.laneId,
  executionKind: facts.executionKind,
  publicState: SITUATIONS[situation].publicState,
  priority: facts.priority,
  createdAt: facts.createdAt,
  lastTransitionAt: facts.lastTransitionAt,
  totalAttemptCount: facts.totalAttemptCount,
  failureCategory: facts.failureCategory,
  cancelledBy: facts.cancelledBy,
  replayCount: facts.replayCount,
  held: facts.held,
  workerInstanceId: facts.workerInstanceId,
  leaseId: facts.leaseId,
  tags: facts.tags,
});

export const listExecutionSummaries = query({
  name: 'listExecutionSummaries',
  args: z.strictObject({
    partition: field.partitionKey,
    namespace: field.namespace.optional(),
    laneId: field.laneId.optional(),
    executionKind: field.executionKind.optional(),
    publicState: z.enum(PUBLIC_STATES).optional(),
    /** Only executions that a scheduler blocked for this reason. */
    blockedBy: z.enum(BLOCK_REASONS).optional(),
    /** Category of the last failure. */
    failureCategory: field.category.optional(),
    /** Only executions cancelled by this source: `operator_override`, `lease_holder`, `flow_cascade`, ... */
    cancelledBy: field.category.optional(),
    /** Only held executions. */
    held: z.literal(true).optional(),
    /** Only executions that this worker instance owns, or lost and that are not reclaimed yet. They are `active`. */
    workerInstanceId: field.workerInstanceId.optional(),
    /** Executions that have all of these tags, with these values. */
    tags: field.tags.default({}),
    /** The id to continue after. It may be of another partition, so that lists of several can be merged. */
    cursor: field.executionId.optional(),
    limit: field.integer(1, LIMITS.maxListPage).default(DEFAULTS.pageSize),
  }),
  rejects: [],
  partition: ({ partition }) => partition,
  /**
   * By id, highest first: ids that the library mints are in the order of their creation, so this is newest first.
   * Executions whose records cannot be read are left out; `listQuarantined` shows them.
   */
  read(view, { cursor, limit, partition: _, ...filter }) {
    const { executions, next } = view.executions.listed(filter, cursor, limit);
    return accept<SummariesPage>({ executions: executions.map(summaryOf), nextCursor: next });
  },
});
