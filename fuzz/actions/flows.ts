/** How random runs call the operations of `model/flow`: flows created whole or grown, edges, groups, cancellations. */
import fc from 'fast-check';
import { LIMITS } from '../../model/limits.js';
import type { ReadonlyFlow } from '../../model/flow/facts.js';
import type { Command } from '../../model/machine.js';
import { KINDS, LANES, owner, pick, seldom, type Owner, type Pick } from './choices.js';
import { generator, type Reads } from './generator.js';
import { bytesOf, choose, chosenId, claimantOf, type World } from './world.js';
import * as example from './example.js';

/** The n-th existing flow, or an unknown one. */
type FlowPick = number | null;

const flowPick: fc.Arbitrary<FlowPick> = fc.oneof(
  { weight: 14, arbitrary: fc.nat(3) },
  { weight: 1, arbitrary: fc.constant(null) },
);

function flowOf(world: World, choice: FlowPick): ReadonlyFlow | undefined {
  const flows = [...world.tables.flow.values()];
  return choice === null || flows.length === 0 ? undefined : flows[choice % flows.length];
}

const flowIdOf = (world: World, choice: FlowPick): string =>
  `${world.partition}:${flowOf(world, choice)?.flow ?? '00000000-0000-4000-b000-000000000000'}`;

export const POLICIES = [
  { kind: 'all_of' },
  { kind: 'any_of', onSatisfied: 'cancel_remaining' },
  { kind: 'any_of', onSatisfied: 'let_run' },
  { kind: 'quorum', k: 2, onSatisfied: 'cancel_remaining' },
  { kind: 'quorum', k: 2, onSatisfied: 'let_run' },
  { kind: 'quorum', k: 5, onSatisfied: 'cancel_remaining' },
  { kind: 'quorum', k: 5, onSatisfied: 'let_run' },
] as const;
const policy = fc.nat(POLICIES.length - 1);

export interface Row {
  readonly lane: number;
  readonly kind: number;
  /** Which earlier members lead to it. */
  readonly from: readonly number[];
  readonly policy: number | null;
  readonly bytes: number;
  readonly delayMs: number | null;
  readonly deadlineMs: number | null;
}

const row: fc.Arbitrary<Row> = fc.record({
  lane: fc.constantFrom(0, 0, 1),
  kind: fc.constantFrom(0, 0, 0, 1),
  from: fc.uniqueArray(fc.nat(5), { maxLength: 3 }),
  policy: fc.option(policy),
  bytes: fc.oneof(
    { weight: 30, arbitrary: fc.constantFrom(0, 0, 1, 70) },
    // Stored before its call.
    { weight: 1, arbitrary: fc.constant(LIMITS.maxClaimedInputBytes + 1) },
  ),
  delayMs: seldom(fc.constantFrom(1, 500, 5_000), 6),
  deadlineMs: seldom(fc.constantFrom(800, 4_000), 10),
});

/** Policies of members by their place: neighbours that are alike besides have different ones. */
const MEMBER_POLICIES = [
  undefined,
  { retryPolicy: { maxRetries: 1, backoff: { type: 'fixed' as const, delayMs: 50 } }, maxReclaimCount: 1 },
  undefined,
  undefined,
  { timeoutPolicy: { attemptTimeoutMs: 1_500 } },
];

/** A graph of new members; edges lead from earlier ones, or from members of an existing flow. */
function graphOf(world: World, rows: readonly Row[], others: readonly string[]) {
  const ids = rows.map(() => `${world.partition}:${world.uuid()}`);
  const edges = rows.flatMap(({ from }, at) =>
    from.flatMap((source) => {
      const before = [...others, ...ids.slice(0, at)];
      const upstream = before[before.length - 1 - (source % Math.max(1, before.length))];
      return upstream === undefined
        ? []
        : [{ edgeId: world.uuid(), upstreamExecutionId: upstream, downstreamExecutionId: ids[at] as string }];
    }),
  );
  const counts = new Map<string, number>();
  for (const { downstreamExecutionId: to } of edges) counts.set(to, (counts.get(to) ?? 0) + 1);
  return {
    members: rows.map(({ lane, kind, bytes, delayMs, deadlineMs }, at) => ({
      executionId: ids[at] as string,
      laneId: LANES[lane] as string,
      executionKind: KINDS[kind] as string,
      inputPayload: bytesOf(bytes),
      delayUntil: delayMs === null ? undefined : world.now + delayMs,
      executionDeadlineAt: deadlineMs === null ? undefined : world.now + deadlineMs,
      tags: (at % 3 === 2 ? { 'team.name': 'red' } : {}) as Record<string, string>,
      priority: at % 4 === 3 ? 5 : undefined,
      policy: MEMBER_POLICIES[at % MEMBER_POLICIES.length],
    })),
    edges: edges.map((edge, at) => (at % 3 === 1 ? { ...edge, dataPassingRef: 'result' } : edge)),
    groups: rows.flatMap(({ policy }, at) => {
      const wanted = policy === null ? undefined : POLICIES[policy];
      const count = counts.get(ids[at] as string) ?? 0;
      if (wanted === undefined || count === 0 || (wanted.kind === 'quorum' && wanted.k > count)) return [];
      return [{ downstreamExecutionId: ids[at] as string, policy: wanted }];
    }),
  };
}

/** A new flow with its graph. */
export const flowOfRows = (
  world: World,
  rows: readonly Row[],
  { building, closed }: { readonly building: true | null; readonly closed: true | null },
): Command => ({
  name: 'createFlow',
  args: {
    flowId: `${world.partition}:${world.uuid()}`,
    flowKind: 'graph',
    namespace: 'fuzz',
    building: building ?? false,
    closed: closed ?? false,
    graph: graphOf(world, rows, []),
  },
});

const isMember = (world: World, id: string, flow: ReadonlyFlow | undefined): boolean =>
  flow !== undefined && world.tables.execution.get(id)?.flow === flow.flow;

/** A member of a flow, or any other execution. */
function memberId(world: World, flow: ReadonlyFlow | undefined, choice: Pick): string {
  const members = world.executions.filter(({ executionId }) => isMember(world, executionId, flow));
  const found = members.length === 0 ? choose(world, choice) : members[choice.index % members.length];
  return choice.among === 'missing' ? chosenId(world, choice) : (found?.executionId ?? chosenId(world, choice));
}

const anyMember = pick('any', 'any', 'any', 'any', 'any', 'any');

interface Depend {
  readonly flow: FlowPick;
  readonly upstream: Pick;
  readonly downstream: Pick;
  /** The id of an existing edge, and its ends. */
  readonly again: 'no' | 'same' | 'other';
  readonly revision: 'none' | 'current' | 'old';
  readonly way: 'addDependency' | 'stageDependencyEdge' | 'applyDependencyToChild';
  readonly ref: boolean;
  readonly outside: boolean;
}

function depend(world: World, choices: Depend): Command[] {
  const flow = flowOf(world, choices.flow);
  const known = world.executions.flatMap(({ executionId, flow: of, dependencies = {} }) =>
    of !== flow?.flow
      ? []
      : Object.entries(dependencies).map(([edgeId, { upstream, dataPassingRef }]) => ({
          edgeId,
          upstreamExecutionId: `${world.partition}:${upstream}`,
          downstreamExecutionId: executionId,
          dataPassingRef: dataPassingRef === '' ? undefined : dataPassingRef,
        })),
  );
  const edge = choices.again === 'no' ? undefined : known[choices.upstream.index % Math.max(1, known.length)];
  const fresh = {
    upstreamExecutionId: choices.outside ? chosenId(world, choices.upstream) : memberId(world, flow, choices.upstream),
    downstreamExecutionId: memberId(world, flow, choices.downstream),
    dataPassingRef: choices.ref ? 'it' : undefined,
  };
  const ends = edge !== undefined && choices.again === 'same' ? edge : fresh;
  const args = { ...ends, flowId: flowIdOf(world, choices.flow), edgeId: edge?.edgeId ?? world.uuid() };
  const revision = flow?.graphRevision ?? 0;
  const expected = choices.revision === 'none' ? undefined : choices.revision === 'current' ? revision : revision + 1;
  if (choices.way === 'applyDependencyToChild') {
    const { flowId, edgeId, upstreamExecutionId, downstreamExecutionId } = args;
    return [{ name: choices.way, args: { flowId, edgeId, upstreamExecutionId, downstreamExecutionId } }];
  }
  if (choices.way === 'stageDependencyEdge')
    return [{ name: choices.way, args: { ...args, expectedGraphRevision: expected ?? revision } }];
  return [{ name: choices.way, args: { ...args, expectedGraphRevision: expected } }];
}

interface Spawn {
  readonly owner: Owner;
  readonly rows: readonly Row[];
  readonly policy: number;
  /** Existing children. */
  readonly again: true | null;
  /** The id of an existing flow. */
  readonly taken: FlowPick;
  /** The id of an existing edge. */
  readonly edge: true | null;
  readonly asNewGroup: boolean;
}

function spawn(world: World, choices: Spawn): Command[] {
  const { execution, args } = claimantOf(world, choices.owner);
  const { members } = graphOf(world, choices.rows, []);
  const wanted = POLICIES[choices.policy] as (typeof POLICIES)[number];
  const [known] = Object.entries(execution?.dependencies ?? {});
  const first = choices.again && known !== undefined ? `${world.partition}:${known[1].upstream}` : undefined;
  const children = members.map((member, at) => ({
    ...member,
    executionId: (at === 0 ? first : undefined) ?? member.executionId,
    edgeId: (at === 0 && choices.edge ? known?.[0] : undefined) ?? world.uuid(),
    dataPassingRef: at === 1 ? 'result' : undefined,
  }));
  const flow = choices.taken === null ? undefined : flowOf(world, choices.taken);
  return [
    {
      name: 'spawnChildren',
      args: {
        ...args,
        flowId: `${world.partition}:${flow?.flow ?? world.uuid()}`,
        policy: wanted.kind === 'quorum' && children.length < wanted.k ? { kind: 'all_of' } : wanted,
        asNewGroup: choices.asNewGroup,
        children,
      },
    },
  ];
}

export const flowActions = {
  create_flow: generator({
    weight: 7,
    choices: {
      again: seldom(flowPick, 10),
      like: fc.boolean(),
      rows: fc.array(row, { maxLength: 6 }),
      building: seldom(fc.constant(true), 4),
      buildTimeoutMs: seldom(fc.constantFrom(1, 500, 5_000), 4),
      closed: seldom(fc.constant(true), 4),
      tags: fc.boolean(),
      foreign: fc.constantFrom(false, false, false, true),
      taken: seldom(pick('any'), 12),
    },
    resolve(world, { again, like, rows, building, buildTimeoutMs, closed, tags, foreign, taken }) {
      const known = again === null ? undefined : flowOf(world, again);
      const there = taken === null ? undefined : choose(world, taken);
      const graph = graphOf(world, rows, there === undefined || like ? [] : [there.executionId]);
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
  depend: generator<Depend>({
    weight: 7,
    choices: {
      flow: flowPick,
      upstream: anyMember,
      downstream: anyMember,
      again: fc.constantFrom('no' as const, 'no' as const, 'no' as const, 'same' as const, 'other' as const),
      revision: fc.constantFrom('none' as const, 'current' as const, 'current' as const, 'old' as const),
      way: fc.constantFrom(
        'addDependency' as const,
        'addDependency' as const,
        'stageDependencyEdge' as const,
        'applyDependencyToChild' as const,
      ),
      ref: fc.boolean(),
      outside: fc.constantFrom(false, false, false, false, true),
    },
    resolve: depend,
  }),
  group_policy: generator({
    weight: 4,
    choices: { flow: flowPick, downstream: anyMember, policy, outside: fc.constantFrom(false, false, false, true) },
    resolve(world, { flow, downstream, policy, outside }) {
      const known = flowOf(world, flow);
      return [
        {
          name: 'setEdgeGroupPolicy',
          args: {
            flowId: flowIdOf(world, flow),
            downstreamExecutionId: outside ? chosenId(world, downstream) : memberId(world, known, downstream),
            policy: POLICIES[policy] as (typeof POLICIES)[number],
          },
        },
      ];
    },
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
  spawn: generator<Spawn>({
    weight: 5,
    choices: {
      owner,
      rows: fc.array(row, { minLength: 1, maxLength: 3 }),
      policy,
      again: seldom(fc.constant(true), 5),
      taken: seldom(flowPick, 12),
      edge: seldom(fc.constant(true), 12),
      asNewGroup: fc.constantFrom(false, false, true),
    },
    resolve: spawn,
  }),
  /** A parent waits for some of its children, and for a signal or a time beside them. */
  await_children_beside: generator({
    weight: 5,
    choices: {
      owner,
      more: fc.constantFrom(1, 1, 2, 3),
      unseen: fc.constantFrom(0, 0, 0, 1),
      inMs: seldom(fc.constantFrom(1, 500, 5_000), 2),
      resumeDelayMs: fc.constantFrom(0, 0, 0, 5),
      key: seldom(fc.constant('beside'), 4),
    },
    resolve(world, { owner, more, unseen, inMs, resumeDelayMs, key }) {
      const { execution, args } = claimantOf(world, owner);
      const seenChildren = Math.max(0, (execution?.endedChildren ?? 0) - unseen);
      const waitpointKey = 'beside';
      return [
        {
          name: 'suspendExecution',
          args: {
            ...{ executionId: args.executionId, fence: args.fence, attemptIndex: args.attemptIndex },
            suspensionId: world.uuid(),
            waitpoints: [{ waitpointId: world.uuid(), waitpointKey }],
            resumeCondition: { type: 'single', waitpointKey, matcher: { type: 'wildcard' } },
            timeoutAt: inMs === null ? undefined : world.now + inMs,
            resumePolicy: { resumeDelayMs },
            idempotencyKey: key ?? undefined,
            seenChildren,
            awaitedChildren: seenChildren + more,
          },
        },
      ];
    },
  }),
  await_children: generator({
    weight: 5,
    choices: { owner },
    resolve: (world, { owner }) => [{ name: 'moveToWaitingChildren', args: claimantOf(world, owner).args }],
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
