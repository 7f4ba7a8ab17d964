/** The state of a group. Spec 08 section 5. */
import type { ReadonlyExecution } from '../execution/facts.js';
import { SITUATIONS, type Situation } from '../execution/situation.js';
import type { Bucket, ReadonlyFlow } from './facts.js';
import type { GroupPolicyArgs } from './graph.js';
import { isComplete } from './state.js';

type Group = Pick<
  ReadonlyExecution,
  'groupPolicy' | 'quorumK' | 'dependencyCount' | 'succeededCount' | 'failedCount' | 'skippedCount'
>;

/** Number of successes that a group needs. */
export function neededOf({
  groupPolicy,
  quorumK,
  dependencyCount,
}: Pick<Group, 'groupPolicy' | 'quorumK' | 'dependencyCount'>): number {
  if (groupPolicy === 'all_of') return dependencyCount;
  return groupPolicy === 'any_of' ? 1 : Math.max(1, quorumK);
}

/**
 * The state of a group with these counts. A group with fewer edges than it needs stays undecided while edges can be
 * added; `isFinal` says that none can be.
 */
export function verdictOf(group: Group, isFinal: boolean): 'pending' | 'satisfied' | 'impossible' {
  const { dependencyCount, succeededCount, failedCount, skippedCount } = group;
  if (dependencyCount === 0) return 'pending';
  const needed = neededOf(group);
  if (succeededCount >= needed) return 'satisfied';
  if (dependencyCount < needed) return isFinal ? 'impossible' : 'pending';
  return failedCount + skippedCount > dependencyCount - needed ? 'impossible' : 'pending';
}

/** The new decision about the group of a member; undefined while it is undecided, or if it was decided before. */
export function decisionOf(execution: ReadonlyExecution, flow: ReadonlyFlow): 'satisfied' | 'impossible' | undefined {
  if (flow.isBuilding || execution.groupState !== 'pending') return undefined;
  const verdict = verdictOf(execution, isComplete(flow));
  return verdict === 'pending' ? undefined : verdict;
}

/** How groups count the end of an execution. */
export function bucketOf(situation: Situation): Bucket {
  const { outcome } = SITUATIONS[situation];
  if (outcome === 'success') return 'succeeded';
  return outcome === 'skipped' ? 'skipped' : 'failed';
}

/** Whether the dependencies of an execution are undecided. */
export const awaitsOthers = ({ groupState, dependencyCount }: ReadonlyExecution): boolean =>
  groupState === 'pending' && dependencyCount > 0;

/** The counts of an execution's dependencies (spec 08 section 11). */
export interface EdgeGroupSnapshot {
  readonly downstreamExecutionId: string;
  /** As `setEdgeGroupPolicy` takes it. */
  readonly policy: GroupPolicyArgs;
  /** 0: dependencies from outside; from 1: the number of the group of spawned children. */
  readonly round: number;
  readonly totalDeps: number;
  readonly satisfiedCount: number;
  readonly failedCount: number;
  readonly skippedCount: number;
  /** Upstreams that have not ended. */
  readonly runningCount: number;
  /** How many more upstreams have to complete before it continues; 0 once it is decided. */
  readonly missingCount: number;
  readonly groupState: 'pending' | 'satisfied' | 'impossible';
  readonly satisfiedAt: number | undefined;
}

function policyOf({ groupPolicy: kind, onSatisfied: stored, quorumK: k }: ReadonlyExecution): GroupPolicyArgs {
  const onSatisfied = stored === 'let_run' ? stored : 'cancel_remaining';
  switch (kind) {
    case 'all_of':
      return { kind };
    case 'any_of':
      return { kind, onSatisfied };
    case 'quorum':
      return { kind, k, onSatisfied };
  }
}

/** Undefined when the execution has no dependencies. */
export function groupSnapshotOf(it: ReadonlyExecution): EdgeGroupSnapshot | undefined {
  if (it.groupState === 'none') return undefined;
  const resolved = it.succeededCount + it.failedCount + it.skippedCount;
  return {
    downstreamExecutionId: it.executionId,
    policy: policyOf(it),
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
