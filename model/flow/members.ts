/** How members and edges join a flow: refusals and events. */
import { reject, type Rejected } from '../operation.js';
import type { Event, EventNamed } from '../events.js';
import { creationOf } from '../execution/create.js';
import { isTerminal } from '../execution/situation.js';
import { LIMITS } from '../limits.js';
import type { View } from '../view.js';
import type { NewEdge } from './consequences.js';
import type { ReadonlyFlow } from './facts.js';
import { hasFinished } from './state.js';
import { edgesByDownstream, policyFacts, stagedEdgeOf, type Graph } from './graph.js';

/** The facts of a flow that its growth depends on. */
type Growing = Pick<ReadonlyFlow, 'flow' | 'namespace' | 'isBuilding' | 'nodeCount' | 'edgeCount'>;

export const MEMBER_REJECTIONS = ['invalid_input', 'lane_draining', 'flow_limit_exceeded'] as const;
type MemberRefusal = Rejected<(typeof MEMBER_REJECTIONS)[number]>;

/** Why members with this many edges cannot join a flow, if so. */
export function membersRefusal(
  view: View,
  flow: Growing,
  members: Graph['members'],
  edgeCount: number,
): MemberRefusal | undefined {
  if (flow.nodeCount + members.length > LIMITS.maxFlowMembers)
    return reject('flow_limit_exceeded', { limit: 'maxFlowMembers' });
  if (flow.edgeCount + edgeCount > LIMITS.maxFlowEdges) return reject('flow_limit_exceeded', { limit: 'maxFlowEdges' });
  for (const { executionId, laneId } of members) {
    if (view.executions.get(executionId) !== undefined)
      return reject('invalid_input', { field: 'graph.members', reason: 'execution_exists' });
    if (view.schedule.lane(laneId)?.laneState === 'draining') return reject('lane_draining', { laneId });
  }
  return undefined;
}

/** Why an edge is refused: its upstream is not in the flow. */
export function edgesRefusal(view: View, flow: string, graph: Graph): Rejected<'execution_not_in_flow'> | undefined {
  const own = new Set(graph.members.map(({ executionId }) => executionId));
  const stray = [...edgesByDownstream(graph).values()]
    .flat()
    .find(({ upstreamExecutionId: id }) => !own.has(id) && view.executions.get(id)?.flow !== flow)?.upstreamExecutionId;
  return stray === undefined ? undefined : reject('execution_not_in_flow', { executionId: stray });
}

/** The result of adding a part of a graph: events, inputs, and edges whose upstreams have already ended. */
export interface Growth {
  readonly events: readonly Event[];
  readonly inputs: readonly (readonly [executionId: string, input: Uint8Array])[];
  readonly newEdges: readonly NewEdge[];
}

/** The events by which a part of a graph joins a flow: for each member its creation, its policy, its edges. */
export function growthOf(
  view: View,
  { flow, namespace, isBuilding, nodeCount }: Growing,
  { members, edges, groups }: Graph,
  creatorIdentity: string,
  now: number,
): Growth {
  const leading = edgesByDownstream({ members, edges });
  const policies = new Map(groups.map(({ downstreamExecutionId, policy }) => [downstreamExecutionId, policy]));
  const events = members.flatMap((member, index): Event[] => {
    const { executionId } = member;
    const policy = policies.get(executionId);
    const own = leading.get(executionId);
    const joining = { flow, rank: nodeCount + index, awaitsSeal: isBuilding };
    return [
      creationOf({ ...member, namespace, creatorIdentity }, now, joining),
      ...(policy === undefined
        ? []
        : [{ type: 'edge_group_policy_set' as const, executionId, at: now, flow, ...policyFacts(policy) }]),
      ...(own === undefined
        ? []
        : [stagingOf({ executionId, edges: own, flow, at: now, isBackward: false, isChild: false, edgeRound: 0 })]),
    ];
  });
  return {
    events,
    inputs: members.map(({ executionId, inputPayload }) => [executionId, inputPayload] as const),
    newEdges: [...leading.values()]
      .flat()
      .filter((edge) => hasEnded(view, edge.upstreamExecutionId))
      .map(newEdgeOf),
  };
}

const hasEnded = (view: View, executionId: string): boolean => {
  const execution = view.executions.get(executionId);
  return execution !== undefined && isTerminal(execution.situation);
};

export interface Edge {
  readonly edgeId: string;
  readonly upstreamExecutionId: string;
  readonly downstreamExecutionId: string;
  readonly dataPassingRef?: string | undefined;
}

export const newEdgeOf = ({ edgeId, upstreamExecutionId, downstreamExecutionId }: Edge): NewEdge => ({
  edgeId,
  upstream: upstreamExecutionId,
  downstream: downstreamExecutionId,
});

/** The event that creates edges to one execution. */
export function stagingOf({
  edges,
  ...facts
}: Omit<EventNamed<'dependencies_staged'>, 'type' | 'edges'> & {
  readonly edges: readonly Pick<Edge, 'edgeId' | 'upstreamExecutionId' | 'dataPassingRef'>[];
}): EventNamed<'dependencies_staged'> {
  return {
    type: 'dependencies_staged',
    ...facts,
    edges: edges.map(stagedEdgeOf),
  };
}

/** Reopens a finished flow, which postpones the purge of its members. */
export const reopening = (flow: ReadonlyFlow, now: number): readonly Event[] =>
  hasFinished(flow) ? [{ type: 'flow_reopened', flow: flow.flow, at: now }] : [];
