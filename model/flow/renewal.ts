/**
 * The dependencies of a member that is replayed: upstreams that made its group impossible may have been replayed since.
 * The Lua twin is in `lua/execution/replay.lua`. Spec 08 section 10.
 */
import type { Event } from '../events.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { isTerminal } from '../execution/situation.js';
import type { View } from '../view.js';
import type { NewEdge } from './cascade.js';
import type { ReadonlyFlow } from './facts.js';
import { bucketOf, verdictOf } from './group.js';
import { siblingId } from './view.js';

export interface Renewal {
  /** Edges that are reopened. */
  readonly reopened: readonly NewEdge[];
  /** Reopened edges whose upstreams have completed meanwhile. */
  readonly resolvable: readonly NewEdge[];
  /** The state of the group after the renewal. */
  readonly verdict: 'pending' | 'satisfied' | 'impossible';
}

/** The group of a member after a fresh look at its upstreams. */
export function renewalOf(view: View, execution: ReadonlyExecution, { isClosed }: ReadonlyFlow): Renewal {
  const { executionId: downstream, dependencies = {}, groupRound } = execution;
  const counts = { failed: 0, skipped: 0 };
  const reopened: NewEdge[] = [];
  const resolvable: NewEdge[] = [];
  const impossible = Object.entries(dependencies)
    .filter(([, edge]) => edge.edgeRound === groupRound && edge.edgeState === 'impossible')
    .sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [edgeId, { upstream: uuid, bucket }] of impossible) {
    const upstream = siblingId(downstream, uuid);
    const situation = view.executions.get(upstream)?.situation;
    const hasEnded = situation === undefined || isTerminal(situation);
    const hasCompleted = situation !== undefined && hasEnded && bucketOf(situation) === 'succeeded';
    if (hasEnded && !hasCompleted) continue;
    counts[bucket as keyof typeof counts] += 1;
    reopened.push({ edgeId, upstream, downstream });
    if (hasCompleted) resolvable.push({ edgeId, upstream, downstream });
  }
  const group = {
    ...execution,
    succeededCount: execution.succeededCount + resolvable.length,
    failedCount: execution.failedCount - counts.failed,
    skippedCount: execution.skippedCount - counts.skipped,
  };
  const verdict = verdictOf(group, isClosed);
  // A group that is still impossible is not changed: a parent continues with the results that it has.
  return verdict === 'impossible' ? { reopened: [], resolvable: [], verdict } : { reopened, resolvable, verdict };
}

export const reopeningOf = ({ edgeId, downstream }: NewEdge, at: number): Event => ({
  type: 'dependency_reopened',
  executionId: downstream,
  at,
  edgeId,
});
