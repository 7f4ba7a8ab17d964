/**
 * Whether a member is owed a cancellation that a walk has not come to yet: its flow was cancelled, or a group that it leads
 * to needs it no more. Nobody writes that down for each member: it follows from the flow, and is asked before a claim
 * would start it, or a scheduler would give it away (ruling 29).
 */
import type { ReadonlyExecution } from '../execution/facts.js';
import { LIMITS } from '../limits.js';
import type { View } from '../view.js';
import { owesCancel, siblingReason, walkIdOf } from './cascade.js';

/** Why an outside scheduler gets no grant, and no claim, of such a member. */
export const CANCEL_OWED = 'cancel_owed';

/** The words in which it will be cancelled; nothing when it is owed none. */
export function owedCancel(view: View, execution: ReadonlyExecution): string | undefined {
  if (execution.flow === undefined) return undefined;
  const flow = view.flows.get(execution.flow);
  if (flow === undefined) return undefined;
  if (owesCancel(flow, execution)) return flow.cancelReason;
  if (flow.owingGroups === 0) return undefined;
  const leading = view.flows.outgoing(execution.executionId, '', LIMITS.maxFlowEdges);
  const owing = leading.find(({ downstream }) => isOwing(view, flow.flow, downstream));
  if (owing === undefined) return undefined;
  return siblingReason(view.executions.get(owing.downstream));
}

const isOwing = (view: View, flow: string, downstream: string): boolean =>
  view.flows.walk(walkIdOf({ kind: 'siblings', flow, about: downstream, cursor: '' })) !== undefined;
