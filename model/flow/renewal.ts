/**
 * What a member depends on, when it is to run again: what made its group impossible may have been replayed since. The Lua
 * twin is in `lua/execution/replay.lua`. Spec 08 section 10.
 */
import type { Event } from '../events.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { isTerminal } from '../execution/situation.js';
import type { View } from '../view.js';
import type { Meeting } from './cascade.js';
import type { ReadonlyFlow } from './facts.js';
import { bucketOf, verdictOf } from './group.js';
import { besideOf } from './view.js';

export interface Renewal {
  /** Edges that are open again. */
  readonly reopened: readonly Meeting[];
  /** Those of them whose upstreams have completed meanwhile. */
  readonly met: readonly Meeting[];
  /** What the group comes to then. */
  readonly verdict: 'pending' | 'satisfied' | 'impossible';
}

/** The group of a member as it would be if it were asked anew. */
export function renewalOf(view: View, execution: ReadonlyExecution, { isClosed }: ReadonlyFlow): Renewal {
  const { executionId: downstream, dependencies = {}, groupRound } = execution;
  const counts = { failed: 0, skipped: 0 };
  const reopened: Meeting[] = [];
  const met: Meeting[] = [];
  const impossible = Object.entries(dependencies)
    .filter(([, edge]) => edge.edgeRound === groupRound && edge.edgeState === 'impossible')
    .sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [edgeId, { upstream: uuid, bucket }] of impossible) {
    const upstream = besideOf(downstream, uuid);
    const situation = view.executions.get(upstream)?.situation;
    const hasEnded = situation === undefined || isTerminal(situation);
    const hasCompleted = situation !== undefined && hasEnded && bucketOf(situation) === 'succeeded';
    if (hasEnded && !hasCompleted) continue;
    counts[bucket as keyof typeof counts] += 1;
    reopened.push({ edgeId, upstream, downstream });
    if (hasCompleted) met.push({ edgeId, upstream, downstream });
  }
  const group = {
    ...execution,
    succeededCount: execution.succeededCount + met.length,
    failedCount: execution.failedCount - counts.failed,
    skippedCount: execution.skippedCount - counts.skipped,
  };
  const verdict = verdictOf(group, isClosed);
  // What is impossible all the same stays so, with its edges as they are: a parent goes on with what it knows.
  return verdict === 'impossible' ? { reopened: [], met: [], verdict } : { reopened, met, verdict };
}

export const reopeningOf = ({ edgeId, downstream }: Meeting, at: number): Event => ({
  type: 'dependency_reopened',
  executionId: downstream,
  at,
  edgeId,
});
