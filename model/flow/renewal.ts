/**
 * The dependencies of a member that is replayed: upstreams that made its group impossible may have been replayed since,
 * and so may children of the older groups of a parent.
 * The Lua twin is in `lua/execution/replay.lua`. Spec 08 section 10.
 */
import type { Event } from '../events.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { isTerminal } from '../execution/situation.js';
import type { View } from '../view.js';
import type { NewEdge } from './consequences.js';
import type { Dependency, ReadonlyFlow } from './facts.js';
import { bucketOf, verdictOf } from './group.js';
import { siblingId } from './view.js';

export interface Renewal {
  /** Edges that are reopened. */
  readonly reopened: readonly NewEdge[];
  /** Reopened edges whose upstreams have completed meanwhile. */
  readonly resolvable: readonly NewEdge[];
  /** The state of the group after the renewal. */
  readonly groupState: ReadonlyExecution['groupState'];
}

/** An impossible edge whose upstream runs again, or has completed since. */
interface Revived {
  readonly edge: NewEdge;
  readonly bucket: Dependency['bucket'];
  readonly isCounted: boolean;
  readonly hasCompleted: boolean;
}

/** The groups of a member after a fresh look at its upstreams. */
export function renewalOf(view: View, execution: ReadonlyExecution, { isClosed }: ReadonlyFlow): Renewal {
  const { groupState } = execution;
  const all = revivedOf(view, execution);
  if (groupState !== 'impossible') return { ...edgesOf(all), groupState };
  const verdict = verdictOf(withRevived(execution, all), isClosed);
  // A group that is still impossible is not changed: a parent continues with the results that it has.
  const changed = verdict === 'impossible' ? all.filter(({ isCounted }) => !isCounted) : all;
  return { ...edgesOf(changed), groupState: verdict };
}

const edgesOf = (revived: readonly Revived[]) => ({
  reopened: revived.map(({ edge }) => edge),
  resolvable: revived.filter(({ hasCompleted }) => hasCompleted).map(({ edge }) => edge),
});

/** The edges of an impossible group, and of older groups of children, which their parent decides. */
function revivedOf(view: View, execution: ReadonlyExecution): readonly Revived[] {
  const { executionId: downstream, dependencies = {}, groupRound, groupState } = execution;
  return Object.entries(dependencies)
    .filter(([, { edgeState, edgeRound }]) => {
      if (edgeState !== 'impossible') return false;
      return edgeRound === groupRound ? groupState === 'impossible' : edgeRound > 0;
    })
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([edgeId, { upstream: uuid, bucket, edgeRound }]): Revived[] => {
      const upstream = siblingId(downstream, uuid);
      const situation = view.executions.get(upstream)?.situation;
      if (situation === undefined) return [];
      const hasCompleted = isTerminal(situation) && bucketOf(situation) === 'succeeded';
      if (isTerminal(situation) && !hasCompleted) return [];
      return [{ edge: { edgeId, upstream, downstream }, bucket, isCounted: edgeRound === groupRound, hasCompleted }];
    });
}

function withRevived(execution: ReadonlyExecution, revived: readonly Revived[]): ReadonlyExecution {
  const counted = revived.filter(({ isCounted }) => isCounted);
  const countOf = (bucket: Dependency['bucket']): number => counted.filter((it) => it.bucket === bucket).length;
  return {
    ...execution,
    succeededCount: execution.succeededCount + counted.filter(({ hasCompleted }) => hasCompleted).length,
    failedCount: execution.failedCount - countOf('failed'),
    skippedCount: execution.skippedCount - countOf('skipped'),
  };
}

export const reopeningOf = ({ edgeId, downstream }: NewEdge, at: number): Event => ({
  type: 'dependency_reopened',
  executionId: downstream,
  at,
  edgeId,
});
