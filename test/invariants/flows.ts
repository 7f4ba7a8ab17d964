/** A flow in the good world, and what breaks the rules of flows. */
import type { Execution } from '../../model/execution/facts.js';
import type { Flow, Walk } from '../../model/flow/facts.js';
import type { Broken, Story } from './worlds.js';

const FLOW = '00000000-0000-4000-9000-000000000900';
const OTHER = '00000000-0000-4000-9000-000000000999';
const PARTITION = '{fp:0}';
const idOf = (n: number): string => `${PARTITION}:00000000-0000-4000-9000-${String(n).padStart(12, '0')}`;
const edge = (from: number, to: number) => ({
  edgeId: `00000000-0000-4000-9100-${String(from * 100 + to).padStart(12, '0')}`,
  upstreamExecutionId: idOf(from),
  downstreamExecutionId: idOf(to),
});

/** A member that runs, one that waits for it, one that was skipped, and one that was satisfied. */
export function flowing(story: Story): void {
  const member = (n: number) => ({ executionId: idOf(n), laneId: `flow-${n}`, executionKind: 'kind' });
  story.run({
    name: 'createFlow',
    args: {
      flowId: `${PARTITION}:${FLOW}`,
      flowKind: 'good',
      namespace: 'n',
      graph: {
        members: [1, 2, 3, 4, 6, 5].map(member),
        edges: [edge(1, 2), edge(1, 5), edge(3, 4), edge(6, 5)],
        groups: [{ downstreamExecutionId: idOf(5), policy: { kind: 'any_of', onSatisfied: 'let_run' } }],
      },
    },
  });
  story.run({ name: 'cancelExecution', args: { executionId: idOf(3), reason: 'r', source: 'operator_override' } });
  const fence = story.claim('flow-6');
  story.run({ name: 'completeExecution', args: { executionId: idOf(6), fence } });
  story.claim('flow-1');
}

const flowOf = (it: Broken): Flow => it.state.tables.flow.get(FLOW) as Flow;
const member = (it: Broken, n: number): Execution => it.state.tables.execution.get(idOf(n)) as Execution;
const edgeOf = (it: Broken, from: number, to: number) => {
  const found = member(it, to).dependencies?.[edge(from, to).edgeId];
  if (found === undefined) throw new Error('There is no such edge.');
  return found;
};

const walk = (it: Broken, facts: Partial<Walk>): void => {
  const walkId = `s${OTHER}`;
  const known = { walkId, walkKind: 'siblings', walkFlow: FLOW, walkOf: OTHER, walkAt: it.now, cursor: '' } as const;
  it.state.tables.walk.set(walkId, { ...known, ...facts });
};

/** Breaks a good world so that the invariant of this name does not hold in it. */
export const FLOW_BREAKS: Record<string, (world: Broken) => void> = {
  'a member has a flow, a flow knows its members: ranks are given once': (it) => (member(it, 2).rank = 0),
  'the revision of a graph is what joined it, and policies that were set': (it) => (flowOf(it).graphRevision = 3),
  'until its members are forgotten a flow has all that joined it, and all edges': (it) => (flowOf(it).edgeCount = 3),
  'no path leads from a member back to it': (it) => {
    member(it, 1).dependencies = { [OTHER]: { ...edgeOf(it, 1, 2), upstream: idOf(2).slice(-36) } };
  },
  'in a flow without edges against the order of its members, ranks are a topological order': (it) =>
    (member(it, 2).rank = -1),
  'both ends of an edge are members of its flow, and differ': (it) => (edgeOf(it, 1, 2).upstream = OTHER),
  'the id of an edge is that of one edge of its flow': (it) => {
    member(it, 5).dependencies = { ...member(it, 5).dependencies, ...member(it, 2).dependencies };
  },
  'the counts of a group are those of its edges': (it) => (member(it, 5).succeededCount = 2),
  'ends of children are numbered in their order, and counted': (it) => (member(it, 5).endedChildren = 1),
  'children that have not ended are counted': (it) => (member(it, 5).openChildren = 1),
  'an edge is resolved if and only if it says when': (it) => (edgeOf(it, 1, 2).resolvedAt = it.now),
  'a group is satisfied once it has enough successes, and impossible once it can no longer get them': (it) =>
    (member(it, 5).satisfiedAt = undefined),
  'a group that can be decided is decided, except in a flow that is being built or while a walk evaluates it': (it) =>
    (member(it, 5).groupState = 'pending'),
  'an execution whose group is undecided is neither claimable nor owned, unless it spawned what it waits for': (it) =>
    (member(it, 2).situation = 'ready'),
  'an execution that waits for others waits for an end that is still to come, so no reconciler is needed': (it) =>
    Object.assign(member(it, 1), { situation: 'completed' }),
  'an execution is skipped only because its group is impossible': (it) => (member(it, 4).groupState = 'satisfied'),
  'an edge from what has ended is resolved, or will be by a walk; it is satisfied by success alone': (it) =>
    Object.assign(member(it, 1), { situation: 'failed' }),
  'the children of a parent that ended badly have ended, or will by a walk': (it) => {
    Object.assign(member(it, 2), { situation: 'cancelled', isParent: true, groupRound: 1 });
    edgeOf(it, 1, 2).edgeRound = 1;
  },
  'a cancelled flow says when, and an open one does not': (it) => (flowOf(it).cancelledAt = it.now),
  'what a cancelled flow owes its members is being done': (it) =>
    Object.assign(flowOf(it), { flowState: 'cancelled', cancelledAt: it.now, cancellationPolicy: 'cancel_all' }),
  'no member starts once all of its flow was cancelled': (it) =>
    Object.assign(flowOf(it), { flowState: 'cancelled', cancelledAt: 0, cancellationPolicy: 'cancel_all' }),
  'no member of a flow that is being built can run': (it) => (flowOf(it).isBuilding = true),
  'groups that owe cancellations are those whose walks go on': (it) => walk(it, {}),
  'a flow has finished once all its members have ended, and is forgotten only then': (it) =>
    (flowOf(it).purgeAt = it.now),
  'a flow is kept for at least as long as each of its members': (it) => (flowOf(it).hasOwnRetention = true),
  'a walk belongs to an existing flow': (it) => walk(it, { walkFlow: OTHER }),
};
