/** The moves in a small world of one flow, and the worlds. */
import type { Command } from '../../model/machine.js';
import { isTerminal } from '../../model/execution/situation.js';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import type { GroupPolicyArgs } from '../../model/flow/graph.js';
import { executionOf, idOf, PARTITION } from './node.js';

export const FLOW = `${PARTITION}:${idOf(900)}`;

/** An edge between two members, by number. */
type Edge = readonly [from: number, to: number];

/** Moves of a world besides claiming, completing and failing. */
type Deed = 'cancels' | 'cancels_flow' | 'seals' | 'closes' | 'replays' | 'spawns' | 'releases' | 'grants';

export interface FlowWorld {
  readonly name: string;
  readonly members: number;
  readonly edges: readonly Edge[];
  /** By the number of the downstream. */
  readonly groups?: Readonly<Record<number, GroupPolicyArgs>>;
  readonly isBuilding?: boolean;
  /** Edges that can be added, and the policy that can be set before them. */
  readonly later?: { readonly edges: readonly Edge[]; readonly policy: GroupPolicyArgs };
  /** The group for which a parent, the first member, creates its two children. */
  readonly children?: GroupPolicyArgs;
  readonly deeds: readonly Deed[];
  /** Depth in `npm test`. */
  readonly depth: number;
}

const RACE: GroupPolicyArgs = { kind: 'any_of', onSatisfied: 'cancel_remaining' };
const RELAXED: GroupPolicyArgs = { kind: 'any_of', onSatisfied: 'let_run' };
const TWO: GroupPolicyArgs = { kind: 'quorum', k: 2, onSatisfied: 'cancel_remaining' };

export const FLOW_WORLDS: readonly FlowWorld[] = [
  {
    name: 'a race of two, and what waits for its winner',
    members: 4,
    edges: [
      [1, 3],
      [2, 3],
      [3, 4],
    ],
    groups: { 3: RACE },
    deeds: ['cancels', 'cancels_flow', 'grants'],
    depth: 4,
  },
  {
    name: 'a quorum that is built, sealed and closed',
    members: 4,
    edges: [[3, 4]],
    isBuilding: true,
    later: {
      policy: TWO,
      edges: [
        [1, 3],
        [2, 3],
      ],
    },
    deeds: ['seals', 'closes', 'cancels_flow'],
    depth: 5,
  },
  {
    name: 'a diamond that is cancelled in part, given back and replayed',
    members: 4,
    edges: [
      [1, 2],
      [1, 3],
      [2, 4],
      [3, 4],
    ],
    deeds: ['cancels_flow', 'cancels', 'replays', 'releases'],
    depth: 4,
  },
  {
    name: 'a parent that waits for the first of two children, again and again',
    members: 1,
    edges: [],
    children: RELAXED,
    deeds: ['spawns', 'replays', 'cancels_flow'],
    depth: 6,
  },
  {
    name: 'a parent that races its children',
    members: 1,
    edges: [],
    children: RACE,
    deeds: ['spawns', 'cancels_flow', 'cancels', 'releases'],
    depth: 5,
  },
];

/** A state as moves see it. */
export interface Sight {
  readonly executions: readonly ReadonlyExecution[];
  /** Number of minted ids. */
  readonly minted: number;
  readonly isThere: boolean;
  readonly isBuilding: boolean;
  readonly isClosed: boolean;
  readonly isCancelled: boolean;
  readonly edges: number;
}

export type FlowMove = readonly [words: string, command: Command];

const member = (n: number) => ({
  executionId: executionOf(n),
  laneId: 'main',
  executionKind: 'kind',
});

const edge = ([from, to]: Edge) => ({
  edgeId: idOf(1_000 + 10 * from + to),
  upstreamExecutionId: executionOf(from),
  downstreamExecutionId: executionOf(to),
});

function creation({ members, edges, groups = {}, isBuilding = false }: FlowWorld): Command {
  return {
    name: 'createFlow',
    args: {
      flowId: FLOW,
      flowKind: 'small',
      namespace: 'explore',
      building: isBuilding,
      graph: {
        members: Array.from({ length: members }, (_, i) => member(i + 1)),
        edges: edges.map(edge),
        groups: Object.entries(groups).map(([n, policy]) => ({
          downstreamExecutionId: executionOf(Number(n)),
          policy,
        })),
      },
    },
  };
}

export const claim = (minted: number, count: number): Command => ({
  name: 'claimForWorker',
  args: {
    partition: PARTITION,
    laneId: 'main',
    workerId: 'pool',
    workerInstanceId: 'w',
    leaseTtlMs: 60_000,
    claims: Array.from({ length: count }, (_, i) => ({
      leaseId: idOf(minted + 2 * i + 1),
      attemptId: idOf(minted + 2 * i + 2),
    })),
  },
});

export const due = (limit: number): Command => ({ name: 'applyDue', args: { partition: PARTITION, limit } });

/** The moves of a state, in words. */
export function* flowMoves(world: FlowWorld, sight: Sight): Generator<FlowMove> {
  if (!sight.isThere) return yield ['create', creation(world)];
  yield ['claim', claim(sight.minted, 1)];
  yield ['the engine does one thing', due(1)];
  yield* onFlow(world, sight);
  for (const execution of sight.executions) yield* onMember(world, sight, execution);
}

function* onFlow({ deeds, later }: FlowWorld, sight: Sight): Generator<FlowMove> {
  const flowId = FLOW;
  if (deeds.includes('seals') && sight.isBuilding) yield ['seal', { name: 'sealFlow', args: { flowId } }];
  if (deeds.includes('closes') && !sight.isClosed) yield ['close', { name: 'closeFlow', args: { flowId } }];
  for (const [from, to] of later?.edges ?? [])
    yield [`${to} depends on ${from}`, { name: 'addDependency', args: { flowId, ...edge([from, to]) } }];
  const [, grown] = later?.edges[0] ?? [];
  if (later !== undefined && grown !== undefined) {
    const args = { flowId, downstreamExecutionId: executionOf(grown), policy: later.policy };
    yield [`${grown} needs some`, { name: 'setEdgeGroupPolicy', args }];
  }
  if (deeds.includes('cancels_flow') && !sight.isCancelled)
    for (const cancellationPolicy of ['cancel_all', 'cancel_pending'] as const)
      yield [cancellationPolicy, { name: 'cancelFlowHeader', args: { flowId, cancellationPolicy, reason: 'r' } }];
}

function* onMember({ deeds, children }: FlowWorld, sight: Sight, execution: ReadonlyExecution): Generator<FlowMove> {
  const { executionId, situation } = execution;
  const n = Number(executionId.slice(-4));
  const by = { executionId, source: 'operator_override' } as const;
  if (situation === 'running') {
    yield [`${n} finishes`, { name: 'completeExecution', args: by }];
    yield [
      `${n} fails`,
      { name: 'failExecution', args: { ...by, failureReason: 'r', failureClass: 'permanent', failureCategory: 'r' } },
    ];
    if (deeds.includes('releases'))
      yield [`${n} is given back`, { name: 'releaseLease', args: { executionId, fence: fenceOf(execution) } }];
    if (deeds.includes('spawns') && n === 1 && children !== undefined) {
      yield [`${n} makes children`, spawning(sight, children)];
      yield [`${n} waits for children`, { name: 'moveToWaitingChildren', args: by }];
    }
  }
  if (deeds.includes('cancels') && !isTerminal(situation))
    yield [`${n} is cancelled`, { name: 'cancelExecution', args: { ...by, reason: 'r' } }];
  if (deeds.includes('replays') && isTerminal(situation) && execution.replayCount === 0)
    yield [`${n} is replayed`, { name: 'replayExecution', args: { executionId, reason: 'r' } }];
  if (deeds.includes('grants') && situation === 'ready')
    yield [
      `an operator takes ${n}`,
      {
        name: 'issueGrantAndClaim',
        args: { executionId, leaseId: idOf(sight.minted + 1), attemptId: idOf(sight.minted + 2) },
      },
    ];
}

const fenceOf = ({
  currentLeaseId: leaseId,
  currentLeaseEpoch: leaseEpoch,
  currentAttemptId: attemptId,
}: ReadonlyExecution) => ({
  leaseId,
  leaseEpoch,
  attemptId,
});

/** Children are members too, numbered after the existing ones. */
function spawning({ executions, edges }: Sight, policy: GroupPolicyArgs): Command {
  const first = executions.length + 1;
  return {
    name: 'spawnChildren',
    args: {
      executionId: executionOf(1),
      source: 'operator_override',
      flowId: FLOW,
      policy,
      children: [first, first + 1].map((n, i) => ({ ...member(n), edgeId: idOf(2_000 + edges + i) })),
    },
  };
}
