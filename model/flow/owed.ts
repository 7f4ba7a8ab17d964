/**
 * Whether a member is to be cancelled by a walk that has not reached it yet: its flow was cancelled, or its group no
 * longer needs it. This is not stored for each member; it follows from the flow, and is checked before a claim starts
 * the member or a scheduler grants it (ruling 29).
 */
import type { ReadonlyExecution } from '../execution/facts.js';
import { LIMITS } from '../limits.js';
import type { View } from '../view.js';
import { edgeOf, walkIdOf } from './tasks.js';
import { owesCancel, siblingReason } from './cancellation.js';
import { isSibling } from './siblings.js';
import type { Outgoing } from './view.js';

/** The reason why an outside scheduler gets no grant or claim for such a member. */
export const CANCEL_OWED = 'cancel_owed';

/** The reason with which it will be cancelled; undefined when it is not to be cancelled. */
export function owedCancel(view: View, execution: ReadonlyExecution): string | undefined {
  if (execution.flow === undefined) return undefined;
  const flow = view.flows.get(execution.flow);
  if (flow === undefined) return undefined;
  if (owesCancel(flow, execution)) return flow.cancelReason;
  if (flow.owingGroups === 0) return undefined;
  const leading = view.flows.outgoing(execution.executionId, '', LIMITS.maxFlowEdges);
  const owing = leading.find((edge) => isOwing(view, flow.flow, edge));
  if (owing === undefined) return undefined;
  return siblingReason(view.executions.get(owing.downstream));
}

/**
 * Whether a walk over the upstreams of a group has yet to end the one of an edge. A member that it has passed was
 * replayed since; upstreams of other rounds go on.
 */
function isOwing(view: View, flow: string, { edgeId, downstream }: Outgoing): boolean {
  const walk = view.flows.walk(walkIdOf({ kind: 'siblings', flow, about: downstream, cursor: '' }));
  if (walk === undefined || edgeId <= edgeOf(walk.cursor)) return false;
  const group = view.executions.get(downstream);
  const edge = group?.dependencies?.[edgeId];
  return group !== undefined && edge !== undefined && isSibling(group, edge);
}
