/**
 * createFlow: creates a flow with up to 500 members, their edges and their group policies, in one step, so that no
 * member can be claimed before all its dependencies are known. A larger flow is created as `building`: until it is
 * sealed, its members cannot be claimed and no group is decided. Spec 08 section 3.1, ruling 29.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, acceptAll, operation, reject } from '../operation.js';
import { echoed } from '../core/wire-form.js';
import { claimableWorkOf, familyForAny } from '../execution/create.js';
import { partitionOfExecution, uuidOfExecution } from '../ids.js';
import { LIMITS } from '../limits.js';
import { graph } from './graph.js';
import { edgesRefusal, growthOf, MEMBER_REJECTIONS, membersRefusal } from './members.js';

export const createFlow = operation({
  name: 'createFlow',
  args: z.strictObject({
    flowId: field.flowId,
    /** A label for users; never interpreted. */
    flowKind: field.label(LIMITS.maxFlowKindBytes),
    /** The namespace of the flow and of every member. */
    namespace: field.namespace,
    /** Creator of the members in this call. */
    creatorIdentity: field.requester,
    /** Members wait, and no group is decided, until the flow is sealed. */
    building: z.boolean().default(false),
    /** For a building flow: it is cancelled unless it is sealed within this time, ms. */
    buildTimeoutMs: field.buildTimeoutMs,
    /** It accepts no members and edges after this call. */
    closed: z.boolean().default(false),
    /** It is kept, and known by its id, for this long from its creation at least, ms. */
    dedupWindowMs: field.positiveDurationMs.optional(),
    tags: field.tags.default({}),
    graph,
  }),
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('created'), flowId: echoed(field.flowId), graphRevision: field.count }),
    /** The flow exists already; the rest of the request is not compared. */
    z.object({ kind: z.literal('already_satisfied'), flowId: echoed(field.flowId), graphRevision: field.count }),
  ]),
  rejects: ['flow_exists_differently', ...MEMBER_REJECTIONS, 'execution_not_in_flow'],
  ofSize: ['flow_limit_exceeded'],
  partition: ({ flowId }) => partitionOfExecution(flowId),
  wire: {
    shared: [],
    each: [
      'flowId',
      { given: ['flowKind', 'namespace'] },
      'creatorIdentity',
      { phase: ['building', 'closed', 'buildTimeoutMs', 'dedupWindowMs'] },
      'tags',
      'graph',
    ],
  },
  newMembers: ({ graph: { members } }) => members,
  needs: ({ graph: { members } }) => familyForAny(members),
  units: ({ graph: { members, edges } }) => members.length + edges.length + 1,
  memory: 'adds',
  order: 'first',
  createsWork({ building, graph: { members, edges } }) {
    if (building) return [];
    const waiting = new Set(edges.map(({ downstreamExecutionId }) => downstreamExecutionId));
    return members.filter(({ executionId }) => !waiting.has(executionId)).flatMap((member) => claimableWorkOf(member));
  },
  decide(view, args, { now }) {
    const { flowId, flowKind, namespace } = args;
    const flow = uuidOfExecution(flowId);
    const known = view.flows.get(flow);
    if (known !== undefined) {
      if (known.flowKind !== flowKind || known.namespace !== namespace) return reject('flow_exists_differently');
      return accept({ kind: 'already_satisfied', flowId, graphRevision: known.graphRevision });
    }
    const empty = { flow, namespace, isBuilding: args.building, nodeCount: 0, edgeCount: 0 };
    const refusal =
      membersRefusal(view, empty, args.graph.members, args.graph.edges.length) ?? edgesRefusal(view, flow, args.graph);
    if (refusal !== undefined) return refusal;
    const { events, inputs } = growthOf(view, empty, args.graph, args.creatorIdentity, now);
    const { members, edges, groups } = args.graph;
    const outcome = { kind: 'created', flowId, graphRevision: members.length + edges.length + groups.length } as const;
    const created = {
      type: 'flow_created',
      flow,
      at: now,
      flowKind,
      namespace,
      isBuilding: args.building,
      isClosed: args.closed,
      buildDeadlineAt: args.building ? now + args.buildTimeoutMs : undefined,
      keptUntil: args.dedupWindowMs === undefined ? undefined : now + args.dedupWindowMs,
      tags: args.tags,
    } as const;
    return { ...acceptAll(outcome, [created, ...events]), inputs, aftermath: { flow } };
  },
});
