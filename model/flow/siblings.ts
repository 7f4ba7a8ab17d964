/** The upstreams that a decided group, or a parent that ended badly, no longer needs. */
import { present } from '../core/present.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { isTerminal } from '../execution/situation.js';
import { shortIdOf } from '../short-id.js';
import type { View } from '../view.js';
import { cancellationOf, hasOrphaned, siblingReason } from './cancellation.js';
import type { Dependency } from './facts.js';
import type { Ahead, CountedContext, Step } from './tasks.js';
import { siblingId } from './view.js';

/** Whether a walk over the upstreams of an execution ends one: of its current round, or every child if it ended badly. */
export const isSibling = (execution: ReadonlyExecution, { edgeRound }: Pick<Dependency, 'edgeRound'>): boolean =>
  hasOrphaned(execution) ? edgeRound > 0 : edgeRound === execution.groupRound;

/** The upstreams that such a walk ends, in its order. */
export function siblingsOf(view: View, downstream: string, after: string, limit: number): readonly Step[] {
  const execution = view.executions.get(downstream);
  if (execution === undefined) return [];
  return Object.entries(execution.dependencies ?? {})
    .filter(([edgeId, edge]) => edgeId > after && isSibling(execution, edge))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .slice(0, limit)
    .map(([edgeId, { upstream }]) => ({
      cursor: shortIdOf(edgeId),
      edgeId,
      executionId: siblingId(downstream, upstream),
    }));
}

export function hasOnlyEdge(view: View, { executionId, edgeId }: Step): boolean {
  const outgoing = view.flows.outgoing(executionId, '', 2);
  return outgoing.length === 1 && outgoing[0]?.edgeId === edgeId;
}

/**
 * Cancels upstreams that a decided group no longer needs, up to the first one whose end means more than its edge to the
 * group. Most are like that, and one event resolves all these edges. Stops once `most` units are done. Returns their number.
 */
export function cancelTogether(context: CountedContext, ahead: Ahead, most: number): number {
  const { task, steps, isDecided } = ahead;
  const { now, retentionMs } = context;
  const group = context.view.executions.get(task.about);
  if (!isDecided || group === undefined || context.view.flows.get(task.flow) === undefined) return 0;
  const { at: first } = ahead;
  const { closings } = context;
  const units = (): number => ahead.at - first + context.closings - closings;
  const edges: { readonly edgeId: string }[] = [];
  for (let step = steps[first]; step !== undefined && units() < most; step = steps[++ahead.at]) {
    const sibling = context.view.executions.get(step.executionId);
    const edgeId = present(step.edgeId);
    if (sibling !== undefined && !isTerminal(sibling.situation)) {
      if (sibling.isParent || !hasOnlyEdge(context.view, step)) break;
      context.record(cancellationOf(sibling, siblingReason(group), now, retentionMs));
      if (group.dependencies?.[edgeId]?.edgeState === 'unsatisfied') edges.push({ edgeId });
    }
    task.cursor = step.cursor;
  }
  if (edges.length > 0) context.record({ type: 'dependencies_resolved', executionId: task.about, at: now, edges });
  return units();
}
