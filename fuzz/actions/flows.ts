/** How random runs create, grow, seal, close and cancel flows: operations of `model/flow`. */
import fc from 'fast-check';
import { pick, seldom } from './choices.js';
import {
  anyMember,
  flowIdOf,
  flowOf,
  flowPick,
  graphOf,
  isMember,
  memberId,
  retentionMs,
  row,
} from './flow-choices.js';
import { generator, type Reads } from './generator.js';
import { choose, chosenId } from './world.js';
import * as example from './example.js';

export const flowActions = {
  create_flow: generator({
    weight: 7,
    choices: {
      again: seldom(flowPick, 10),
      like: fc.boolean(),
      rows: fc.array(row, { maxLength: 6 }),
      building: seldom(fc.constant(true), 4),
      buildTimeoutMs: seldom(fc.constantFrom(1, 500, 5_000), 4),
      /** A retention of every member. */
      kept: seldom(retentionMs, 5),
      dedupWindowMs: seldom(fc.constantFrom(1, 120_000, 90_000_000), 6),
      closed: seldom(fc.constant(true), 4),
      tags: fc.boolean(),
      foreign: fc.constantFrom(false, false, false, true),
      taken: seldom(pick('any'), 12),
    },
    resolve(world, { again, like, rows, building, buildTimeoutMs, dedupWindowMs, kept, closed, tags, foreign, taken }) {
      const known = again === null ? undefined : flowOf(world, again);
      const there = taken === null ? undefined : choose(world, taken);
      const graph = graphOf(
        world,
        rows.map((each) => ({ ...each, retentionMs: each.retentionMs ?? kept })),
        there === undefined || like ? [] : [there.executionId],
      );
      const [first] = graph.members;
      if (first !== undefined && there !== undefined && graph.edges.length === 0) first.executionId = there.executionId;
      return [
        {
          name: 'createFlow',
          args: {
            flowId: `${world.partition}:${known?.flow ?? world.uuid()}`,
            flowKind: like ? 'race' : 'nightly',
            namespace: foreign ? 'n' : 'fuzz',
            building: building ?? false,
            buildTimeoutMs: buildTimeoutMs ?? undefined,
            dedupWindowMs: dedupWindowMs ?? undefined,
            closed: closed ?? false,
            tags: (tags ? { 'team.name': 'blue' } : {}) as Record<string, string>,
            graph,
          },
        },
      ];
    },
  }),
  grow_flow: generator({
    weight: 4,
    choices: {
      flow: flowPick,
      rows: fc.array(row, { minLength: 1, maxLength: 4 }),
      /** Edges from existing members, or from other executions. */
      from: fc.constantFrom('members' as const, 'members' as const, 'members' as const, 'any' as const),
      /** Collisions: its first member exists; an execution with its id exists; an edge with its id exists. */
      again: seldom(fc.constantFrom('same' as const, 'execution' as const, 'edge' as const), 5),
      pick: anyMember,
    },
    resolve(world, { flow, rows, from, again, pick }) {
      const known = flowOf(world, flow);
      const members = world.executions.filter(({ executionId }) => isMember(world, executionId, known));
      const others = from === 'any' ? [chosenId(world, pick)] : members.slice(-3).map(({ executionId }) => executionId);
      const graph = graphOf(world, rows, others);
      const [first] = graph.members;
      const taken = again === 'execution' ? chosenId(world, pick) : memberId(world, known, pick);
      const isUsed = graph.edges.some(({ upstreamExecutionId }) => upstreamExecutionId === taken);
      if (first !== undefined && (again === 'same' || again === 'execution') && !isUsed) {
        const was = first.executionId;
        first.executionId = taken;
        for (const edge of [...graph.edges, ...graph.groups]) {
          if (edge.downstreamExecutionId === was) edge.downstreamExecutionId = taken;
          if ('upstreamExecutionId' in edge && edge.upstreamExecutionId === was) edge.upstreamExecutionId = taken;
        }
      }
      const [edgeId] = members.flatMap(({ dependencies = {} }) => Object.keys(dependencies));
      const [edge] = graph.edges;
      if (again === 'edge' && edge !== undefined && edgeId !== undefined) edge.edgeId = edgeId;
      return [{ name: 'growFlow', args: { flowId: flowIdOf(world, flow), graph } }];
    },
  }),
  join_flow: generator({
    weight: 4,
    choices: { flow: flowPick, pick: pick('any', 'runnable', 'claimable', 'running', 'terminal', 'delayed') },
    resolve: (world, { flow, pick }) => [
      { name: 'addExecutionToFlow', args: { flowId: flowIdOf(world, flow), executionId: chosenId(world, pick) } },
    ],
  }),
  seal_flow: generator({
    weight: 2,
    choices: { flow: flowPick },
    resolve: (world, { flow }) => [{ name: 'sealFlow', args: { flowId: flowIdOf(world, flow) } }],
  }),
  close_flow: generator({
    weight: 1,
    choices: { flow: flowPick },
    resolve: (world, { flow }) => [{ name: 'closeFlow', args: { flowId: flowIdOf(world, flow) } }],
  }),
  tag_flow: generator({
    weight: 1,
    choices: { flow: flowPick, count: fc.constantFrom(1, 2, 64), from: fc.constantFrom(0, 0, 1) },
    resolve: (world, { flow, count, from }) => [
      {
        name: 'setFlowTags',
        args: {
          flowId: flowIdOf(world, flow),
          tags: Object.fromEntries(Array.from({ length: count }, (_, i) => [`t.${i + from}`, 'x'])),
        },
      },
    ],
  }),
  cancel_flow: generator({
    weight: 2,
    choices: {
      flow: flowPick,
      policy: fc.constantFrom(
        'cancel_all' as const,
        'cancel_all' as const,
        'cancel_pending' as const,
        'flow_only' as const,
      ),
      reason: fc.constantFrom('', 'enough', 'x'.repeat(80)),
    },
    resolve: (world, { flow, policy, reason }) => [
      { name: 'cancelFlowHeader', args: { flowId: flowIdOf(world, flow), cancellationPolicy: policy, reason } },
    ],
  }),
};

export const flowReads: Reads = (world, { executionId, index, limit }) => {
  const flowId = flowIdOf(world, index);
  const rows = Math.max(1, limit);
  const flow = flowOf(world, index);
  const edges = world.executions.flatMap((it) => (it.flow === flow?.flow ? Object.keys(it.dependencies ?? {}) : []));
  const edgeId = edges[index % Math.max(1, edges.length)] ?? '00000000-0000-4000-b000-000000000000';
  return [
    ['describeFlow', { flowId }],
    ['getFlowTag', { flowId, key: index % 2 === 0 ? 'team.name' : 't.1' }],
    ['describeEdge', { flowId, edgeId }],
    ['listEdges', { executionId, direction: 'outgoing', limit: rows }],
    ['listEdges', { executionId, direction: 'incoming', limit: rows, cursor: index % 2 === 0 ? undefined : edgeId }],
    ['listEdges', { executionId, direction: 'outgoing', limit: rows, cursor: edgeId }],
    ['listFlows', { partition: world.partition, limit: rows }],
    ['listFlows', { partition: world.partition, limit: rows, cursor: flowId, status: 'blocked' }],
    ['listFlowMembers', { flowId, limit: rows, cursor: index % 3 }],
    ['resolveExecutionFlowId', { executionId }],
    ['evaluateFlowEligibility', { executionId }],
  ];
};

/** Two members; the second depends on the first. */
const GRAPH = {
  members: [
    {
      executionId: example.idOf(61),
      laneId: 'lane',
      executionKind: 'k',
      inputPayload: example.text(example.SECRET),
      priority: 3,
    },
    { executionId: example.idOf(62), laneId: 'lane', executionKind: 'k', tags: { 'a.b': example.SECRET } },
  ],
  edges: [
    {
      edgeId: example.uuid(63),
      upstreamExecutionId: example.idOf(61),
      downstreamExecutionId: example.idOf(62),
      dataPassingRef: 'result',
    },
  ],
  groups: [{ downstreamExecutionId: example.idOf(62), policy: { kind: 'quorum', k: 1, onSatisfied: 'let_run' } }],
} as const;

/** Valid arguments of each command and read. */
export const flowExamples = {
  createFlow: {
    flowId: example.idOf(60),
    flowKind: 'race',
    namespace: 'n',
    creatorIdentity: 'c',
    building: true,
    closed: true,
    tags: { 'a.b': example.SECRET },
    graph: GRAPH,
  },
  growFlow: {
    flowId: example.idOf(60),
    creatorIdentity: 'c',
    graph: GRAPH,
  },
  addExecutionToFlow: { flowId: example.idOf(60), executionId: example.idOf(1) },
  stageDependencyEdge: {
    flowId: example.idOf(60),
    edgeId: example.uuid(64),
    upstreamExecutionId: example.idOf(1),
    downstreamExecutionId: example.idOf(2),
    dependencyKind: 'success_only',
    dataPassingRef: 'result',
    expectedGraphRevision: 0,
  },
  addDependency: {
    flowId: example.idOf(60),
    edgeId: example.uuid(64),
    upstreamExecutionId: example.idOf(1),
    downstreamExecutionId: example.idOf(2),
    expectedGraphRevision: 0,
  },
  applyDependencyToChild: {
    flowId: example.idOf(60),
    edgeId: example.uuid(64),
    upstreamExecutionId: example.idOf(1),
    downstreamExecutionId: example.idOf(2),
  },
  setEdgeGroupPolicy: { flowId: example.idOf(60), downstreamExecutionId: example.idOf(2), policy: { kind: 'all_of' } },
  sealFlow: { flowId: example.idOf(60) },
  closeFlow: { flowId: example.idOf(60) },
  moveToWaitingChildren: { ...example.owner },
  spawnChildren: {
    ...example.owner,
    flowId: example.idOf(65),
    policy: { kind: 'any_of', onSatisfied: 'let_run' },
    children: [
      {
        executionId: example.idOf(66),
        laneId: 'lane',
        executionKind: 'k',
        edgeId: example.uuid(67),
        dataPassingRef: 'r',
      },
    ],
  },
  setFlowTags: { flowId: example.idOf(60), tags: { 'a.b': example.SECRET } },
  getFlowTag: { flowId: example.idOf(60), key: 'a.b' },
  describeFlow: { flowId: example.idOf(60) },
  describeEdge: { flowId: example.idOf(60), edgeId: example.uuid(63) },
  listEdges: { executionId: example.idOf(2), direction: 'incoming', cursor: example.uuid(1), limit: 5 },
  listFlows: { partition: example.PARTITION, cursor: example.idOf(59), limit: 5, status: 'open' },
  listFlowMembers: { flowId: example.idOf(60), cursor: 0, limit: 5 },
  resolveExecutionFlowId: { executionId: example.RUNNING },
  evaluateFlowEligibility: { executionId: example.RUNNING },
  cancelFlowHeader: { flowId: example.idOf(60), reason: example.SECRET, cancellationPolicy: 'cancel_pending' },
} satisfies example.Examples;
