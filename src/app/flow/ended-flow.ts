/** The events by which an app announces ends of flows. */
import type { FailedMember } from '../../shared/errors.js';
import { calledBy, type Called } from '../runs/tags.js';
import { failedOf, isLive, stateBy, type Listed } from './listed-members.js';
import { isOfApp } from './stored.js';

/** A flow whose members have all ended. */
export interface EndedFlow extends Called {
  /** The flow id: `flow.get(id)` is its run. */
  readonly id: string;
  /** The name of its declaration. */
  readonly flow: string;
  /** Ms since the epoch. */
  readonly at: number;
}

/** The events of flows and what their listeners receive. */
export interface FlowEvents {
  flowCompleted: EndedFlow;
  /** `members`: the needed members that failed, expired or were cancelled, at most ten. */
  flowFailed: EndedFlow & { readonly members: readonly FailedMember[] };
  /** The flow was cancelled, and all its members have ended. */
  flowCancelled: EndedFlow & { readonly reason: string };
}

export type FlowEnd = {
  [Name in keyof FlowEvents]: { readonly name: Name; readonly event: FlowEvents[Name] };
}[keyof FlowEvents];

/**
 * The end of a flow that an event of the log reports as finished. Undefined for the flow of a handler's children, for a
 * flow of another namespace, and if a member runs again or the flow has been purged since.
 */
export async function flowEndOf(listed: Listed, namespace: string, at: number): Promise<FlowEnd | undefined> {
  const { backend, flowId, call } = listed;
  const flow = await call(() => backend.describeFlow({ flowId }));
  if (flow?.namespace !== namespace || !isOfApp(flow.tags) || isLive(flow)) return undefined;
  const ended: EndedFlow = { id: flowId, ...calledBy(flow.tags), flow: flow.flowKind, at };
  if (flow.publicFlowState === 'cancelled')
    return { name: 'flowCancelled', event: { ...ended, reason: flow.cancelReason ?? '' } };
  const members = await failedOf(listed, flow);
  if (stateBy(flow, members.length) === 'completed') return { name: 'flowCompleted', event: ended };
  return { name: 'flowFailed', event: { ...ended, members } };
}
