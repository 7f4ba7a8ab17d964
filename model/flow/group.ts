/** What a group comes to. Spec 08 section 5. */
import type { ReadonlyExecution } from '../execution/facts.js';
import { SITUATIONS, type Situation } from '../execution/situation.js';
import type { Bucket, GroupPolicy, ReadonlyFlow } from './facts.js';

type Group = Pick<
  ReadonlyExecution,
  'groupPolicy' | 'quorumK' | 'dependencyCount' | 'succeededCount' | 'failedCount' | 'skippedCount'
>;

/** How many successes a group needs. */
function neededOf({ groupPolicy, quorumK, dependencyCount }: Group): number {
  if (groupPolicy === 'all_of') return dependencyCount;
  return groupPolicy === 'any_of' ? 1 : Math.max(1, quorumK);
}

/**
 * What a group of these counts is. With fewer edges than it needs it is undecided for as long as edges can come:
 * `isClosed` says that none will.
 */
export function verdictOf(group: Group, isClosed: boolean): 'pending' | 'satisfied' | 'impossible' {
  const { dependencyCount, succeededCount, failedCount, skippedCount } = group;
  if (dependencyCount === 0) return 'pending';
  const needed = neededOf(group);
  if (succeededCount >= needed) return 'satisfied';
  if (dependencyCount < needed) return isClosed ? 'impossible' : 'pending';
  return failedCount + skippedCount > dependencyCount - needed ? 'impossible' : 'pending';
}

/** What the group of a member comes to now: nothing while it is undecided, or was decided before. */
export function decisionOf(
  execution: ReadonlyExecution,
  { isBuilding, isClosed }: ReadonlyFlow,
): 'satisfied' | 'impossible' | undefined {
  if (isBuilding || execution.groupState !== 'pending') return undefined;
  const verdict = verdictOf(execution, isClosed);
  return verdict === 'pending' ? undefined : verdict;
}

/** How groups count an end. */
export function bucketOf(situation: Situation): Bucket {
  const { outcome } = SITUATIONS[situation];
  if (outcome === 'success') return 'succeeded';
  return outcome === 'skipped' ? 'skipped' : 'failed';
}

/** Whether what leads to an execution is undecided. */
export const awaitsOthers = ({ groupState, dependencyCount }: ReadonlyExecution): boolean =>
  groupState === 'pending' && dependencyCount > 0;

/** What an execution waits for, counted (spec 08 section 11). */
export interface EdgeGroupSnapshot {
  readonly policy: GroupPolicy;
  readonly k: number | undefined;
  readonly onSatisfied: 'cancel_remaining' | 'let_run' | undefined;
  /** 0 for what leads to it from outside; of children, which of the groups that it has spawned, from 1. */
  readonly round: number;
  readonly totalDeps: number;
  readonly satisfiedCount: number;
  readonly failedCount: number;
  readonly skippedCount: number;
  /** Upstreams that have not ended. */
  readonly runningCount: number;
  /** How many of those have to complete until it goes on; 0 once it was decided. */
  readonly missingCount: number;
  readonly groupState: 'pending' | 'satisfied' | 'impossible';
  readonly satisfiedAt: number | undefined;
}

/** Nothing when nothing leads to it. */
export function groupSnapshotOf(it: ReadonlyExecution): EdgeGroupSnapshot | undefined {
  if (it.groupState === 'none') return undefined;
  const resolved = it.succeededCount + it.failedCount + it.skippedCount;
  return {
    policy: it.groupPolicy,
    k: it.groupPolicy === 'quorum' ? it.quorumK : undefined,
    onSatisfied: it.onSatisfied === 'none' ? undefined : it.onSatisfied,
    round: it.groupRound,
    totalDeps: it.dependencyCount,
    satisfiedCount: it.succeededCount,
    failedCount: it.failedCount,
    skippedCount: it.skippedCount,
    runningCount: it.dependencyCount - resolved,
    missingCount: it.groupState === 'pending' ? Math.max(0, neededOf(it) - it.succeededCount) : 0,
    groupState: it.groupState,
    satisfiedAt: it.satisfiedAt,
  };
}
