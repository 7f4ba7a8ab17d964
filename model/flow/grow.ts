/**
 * growFlow: adds a part of a graph to an existing flow in one step: members, their edges and their group policies. A
 * flow that is too large for one call is created `building`, grown part by part, and sealed. Spec 08 section 3, ruling
 * 29.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, acceptAll, operation, reject } from '../operation.js';
import { echoed } from '../core/wire-form.js';
import { familyForAny } from '../execution/create.js';
import { partitionOfExecution, uuidOfExecution } from '../ids.js';
import { graph } from './graph.js';
import { edgesRefusal, growthOf, MEMBER_REJECTIONS, membersRefusal, reopening } from './members.js';

export const growFlow = operation({
  name: 'growFlow',
  args: z
    .strictObject({
      flowId: field.flowId,
      /** Creator of the members in this call. */
      creatorIdentity: field.requester,
      graph,
    })
    .refine(({ graph: { members } }) => members.length > 0, { error: 'must have a member at least', path: ['graph'] })
    .refine(
      ({ flowId, graph: { members } }) =>
        members.every(({ executionId }) => partitionOfExecution(executionId) === partitionOfExecution(flowId)),
      { error: 'must be in the partition of the flow', path: ['graph'] },
    ),
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('grown'), flowId: echoed(field.flowId), graphRevision: field.count }),
    /** The first of these members exists, which implies that all do. */
    z.object({ kind: z.literal('already_satisfied'), flowId: echoed(field.flowId), graphRevision: field.count }),
  ]),
  rejects: [
    'flow_not_found',
    'flow_already_terminal',
    'flow_closed',
    ...MEMBER_REJECTIONS,
    'execution_not_in_flow',
    'dependency_already_exists',
  ],
  ofSize: ['flow_limit_exceeded'],
  partition: ({ flowId }) => partitionOfExecution(flowId),
  wire: { shared: [], each: ['flowId', 'creatorIdentity', 'graph'] },
  newMembers: ({ graph: { members } }) => members,
  needs: ({ graph: { members } }) => familyForAny(members),
  units: ({ graph: { members, edges } }) => members.length + edges.length + 1,
  memory: 'adds',
  decide(view, { flowId, creatorIdentity, graph: part }, { now }) {
    const flow = uuidOfExecution(flowId);
    const known = view.flows.get(flow);
    if (known === undefined) return reject('flow_not_found');
    const [first] = part.members;
    if (view.executions.get(first?.executionId ?? '')?.flow === flow)
      return accept({ kind: 'already_satisfied', flowId, graphRevision: known.graphRevision });
    if (known.flowState === 'cancelled' || known.isPurging) return reject('flow_already_terminal');
    if (known.isClosed) return reject('flow_closed');
    const refusal = membersRefusal(view, known, part.members, part.edges.length) ?? edgesRefusal(view, flow, part);
    if (refusal !== undefined) return refusal;
    if (part.edges.some(({ edgeId }) => view.flows.downstreamOf(flow, edgeId) !== undefined))
      return reject('dependency_already_exists');
    const { events, inputs, newEdges } = growthOf(view, known, part, creatorIdentity, now);
    const { members, edges, groups } = part;
    const graphRevision = known.graphRevision + members.length + edges.length + groups.length;
    return {
      ...acceptAll({ kind: 'grown', flowId, graphRevision } as const, [...reopening(known, now), ...events]),
      inputs,
      aftermath: { flow, newEdges },
    };
  },
});
