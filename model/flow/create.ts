/**
 * createFlow: makes a flow, and with it up to 500 members, what they wait for, and how much of it they need, in one step:
 * none of them can be claimed before all that it waits for is known. A larger one is made while it is `building`: its
 * members cannot be claimed, and nothing is decided, before it is sealed. Spec 08 section 3.1, ruling 29.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, acceptAll, operation, reject } from '../core/operation.js';
import { echoed } from '../core/wire-form.js';
import { offerOf } from '../execution/create.js';
import { partitionOfExecution, uuidOfExecution } from '../ids.js';
import { LIMITS } from '../limits.js';
import { graph } from './graph.js';
import { edgesRefusal, growthOf, MEMBER_REJECTIONS, membersRefusal } from './members.js';

export const createFlow = operation({
  name: 'createFlow',
  args: z.object({
    flowId: field.flowId,
    /** What it is, for its users; never interpreted. */
    flowKind: field.label(LIMITS.maxFlowKindBytes),
    /** Of the flow, and of every member. */
    namespace: field.namespace,
    /** Who makes the members that come with it. */
    creatorIdentity: field.requester,
    /** Members wait, and nothing is decided, until the flow is sealed. */
    building: z.boolean().default(false),
    /** Of a flow that is built: it is cancelled unless it is sealed within this time, ms. */
    buildTimeoutMs: field.buildTimeoutMs,
    /** It takes no members and edges but those that come with it. */
    closed: z.boolean().default(false),
    tags: field.tags.default({}),
    graph,
  }),
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('created'), flowId: echoed(field.flowId), graphRevision: field.count }),
    /** It was there before; whatever the call brings besides is not looked at. */
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
      { phase: ['building', 'closed', 'buildTimeoutMs'] },
      'tags',
      'graph',
    ],
  },
  memory: 'adds',
  order: 'first',
  offers({ building, graph: { members, edges } }) {
    if (building) return [];
    const waiting = new Set(edges.map(({ downstreamExecutionId }) => downstreamExecutionId));
    return members.filter(({ executionId }) => !waiting.has(executionId)).flatMap((member) => offerOf(member));
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
      tags: args.tags,
    } as const;
    return { ...acceptAll(outcome, [created, ...events]), inputs, aftermath: { flow } };
  },
});
