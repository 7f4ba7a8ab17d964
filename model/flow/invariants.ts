/** Invariants of flows and their members. Source: spec 08, the section named Invariants. */
import type { ReadonlyExecution } from '../execution/facts.js';
import { isRunnable, isTerminal } from '../execution/situation.js';
import { executionIdOf, partitionIndexOf, uuidOfExecution } from '../ids.js';
import { KEEP_FOR_GOOD, LIMITS } from '../limits.js';
import type { ExecutionInvariant, Invariant, World } from '../specification/invariant.js';
import type { LogRule } from '../specification/replay.js';
import { hasOrphaned, isSiblingReason, owesCancel, WALKER } from './cancellation.js';
import { endOf, walkIdOf, type Task } from './tasks.js';
import { verdictOf } from './group.js';
import type { Dependency, ReadonlyFlow } from './facts.js';
import { isSibling } from './siblings.js';
import { hasBuildDeadline, hasFinished, isComplete, isUnsealed } from './state.js';

const upstreamOf = (it: ReadonlyExecution, { upstream }: Dependency, { state }: World): ReadonlyExecution | undefined =>
  state.tables.execution.get(executionIdOf(partitionIndexOf(it.executionId), upstream));

const flowOf = (it: ReadonlyExecution, { state }: World): ReadonlyFlow | undefined =>
  it.flow === undefined ? undefined : state.tables.flow.get(it.flow);

const edgesOf = (it: ReadonlyExecution): readonly (readonly [string, Dependency])[] =>
  Object.entries(it.dependencies ?? {});

/** Edges of the current round of the group. */
const counted = (it: ReadonlyExecution): readonly Dependency[] =>
  edgesOf(it)
    .map(([, edge]) => edge)
    .filter(({ edgeRound }) => edgeRound === it.groupRound);

const hasWalk = ({ state }: World, task: Task): boolean => state.tables.walk.has(walkIdOf(task));

/** Whether something will let a blocked member continue, or end it. */
function isAwaited(it: ReadonlyExecution, world: World): boolean {
  const flow = flowOf(it, world);
  if (flow === undefined) return false;
  if (hasWalk(world, { kind: 'cancel', flow: flow.flow, about: it.executionId, cursor: '' })) return true;
  if (flow.isBuilding) return hasBuildDeadline(flow) && flow.buildDeadlineAt !== undefined;
  if (hasWalk(world, { kind: 'evaluate', flow: flow.flow, about: it.executionId, cursor: '' })) return true;
  const isComing = counted(it).some((edge) => {
    if (edge.edgeState !== 'unsatisfied') return false;
    const upstream = upstreamOf(it, edge, world);
    return upstream !== undefined && (!isTerminal(upstream.situation) || hasWalk(world, endOf(upstream)));
  });
  // It has fewer edges than it needs, and more may be added.
  return isComing || (!isComplete(flow) && verdictOf(it, false) !== verdictOf(it, true));
}

/** The members of a flow that have not been purged. */
function membersOf(flow: ReadonlyFlow, { state }: World): readonly ReadonlyExecution[] {
  return [...state.tables.execution.values()].filter((it) => it.flow === flow.flow);
}

const isLimited = (flow: ReadonlyFlow): boolean =>
  flow.nodeCount <= LIMITS.maxFlowMembers && flow.edgeCount <= LIMITS.maxFlowEdges;

/** Whether no execution can reach itself along the edges. */
function isAcyclic(members: readonly ReadonlyExecution[]): boolean {
  const leading = new Map(
    members.map((it) => [uuidOfExecution(it.executionId), edgesOf(it).map(([, { upstream }]) => upstream)]),
  );
  const done = new Set<string>();
  const path = new Set<string>();
  const visit = (id: string): boolean => {
    if (done.has(id)) return true;
    if (path.has(id)) return false;
    path.add(id);
    const isFine = (leading.get(id) ?? []).every(visit);
    path.delete(id);
    done.add(id);
    return isFine;
  };
  return [...leading.keys()].every(visit);
}

function eachFlow(name: string, holds: (flow: ReadonlyFlow, world: World) => boolean): Invariant {
  return {
    name,
    check(world) {
      for (const flow of world.state.tables.flow.values())
        if (!holds(flow, world)) return `flow ${flow.flow}: ${JSON.stringify(flow)}`;
      return undefined;
    },
  };
}

/** Whether a flow is kept for at least as long as one of its members. */
function isKeptWith({ policy, idempotencyExpiresAt = 0 }: ReadonlyExecution, flow: ReadonlyFlow): boolean {
  const retentionMs = policy?.streamPolicy?.retentionTtlMs;
  if (idempotencyExpiresAt > flow.keptUntil) return false;
  if (retentionMs === undefined) return !flow.hasOwnRetention;
  return retentionMs === KEEP_FOR_GOOD ? flow.hasMemberForGood : retentionMs <= flow.longestRetentionMs;
}

export const flowInvariants: readonly (Invariant | ExecutionInvariant)[] = [
  eachFlow('a flow is kept for at least as long as each of its members', (flow, world) =>
    membersOf(flow, world).every((it) => isKeptWith(it, flow)),
  ),
  {
    name: 'a member has a flow, a flow knows its members: ranks are given once',
    check(world) {
      const ranks = new Set<string>();
      for (const it of world.state.tables.execution.values()) {
        if (it.flow === undefined) continue;
        const flow = flowOf(it, world);
        const rank = `${it.flow} ${it.rank}`;
        if (flow === undefined || it.rank >= flow.nodeCount || it.namespace !== flow.namespace || ranks.has(rank))
          return `${it.executionId} has rank ${it.rank}`;
        ranks.add(rank);
      }
      return undefined;
    },
  },
  eachFlow('the revision of a graph is what joined it, and policies that were set', (flow) => {
    return flow.graphRevision >= flow.nodeCount + flow.edgeCount && isLimited(flow);
  }),
  eachFlow(
    'until its members are forgotten a flow has all that joined it, and all edges',
    (flow, world) =>
      flow.isPurging ||
      (membersOf(flow, world).length === flow.nodeCount &&
        membersOf(flow, world).reduce((sum, it) => sum + edgesOf(it).length, 0) === flow.edgeCount),
  ),
  eachFlow('no path leads from a member back to it', (flow, world) => isAcyclic(membersOf(flow, world))),
  eachFlow(
    'in a flow without edges against the order of its members, ranks are a topological order',
    (flow, world) =>
      flow.isUnordered ||
      membersOf(flow, world).every((it) =>
        edgesOf(it).every(([, edge]) => (upstreamOf(it, edge, world)?.rank ?? -1) < it.rank),
      ),
  ),
  {
    name: 'both ends of an edge are members of its flow, and differ',
    holds: (it, world) =>
      edgesOf(it).every(([, edge]) => {
        const upstream = upstreamOf(it, edge, world);
        return upstream === undefined
          ? flowOf(it, world)?.isPurging === true
          : upstream.flow === it.flow && upstream.executionId !== it.executionId;
      }),
  },
  {
    name: 'the id of an edge is that of one edge of its flow',
    check({ state }) {
      const seen = new Set<string>();
      for (const it of state.tables.execution.values()) {
        for (const [edgeId] of edgesOf(it)) {
          const id = `${it.flow} ${edgeId}`;
          if (seen.has(id)) return id;
          seen.add(id);
        }
      }
      return undefined;
    },
  },
  {
    name: 'the counts of a group are those of its edges',
    holds(it) {
      const edges = counted(it);
      const resolved = edges.filter(({ edgeState }) => edgeState !== 'unsatisfied');
      const satisfied = edges.filter(({ edgeState }) => edgeState === 'satisfied');
      return (
        it.dependencyCount === edges.length &&
        it.succeededCount === satisfied.length &&
        it.succeededCount + it.failedCount + it.skippedCount === resolved.length &&
        (it.groupState === 'none' ? edges.length === 0 : true)
      );
    },
  },
  {
    name: 'ends of children are numbered in their order, and counted',
    holds(it) {
      const edges = edgesOf(it).map(([, edge]) => edge);
      const orders = edges.map(({ endOrder }) => endOrder).filter((order) => order > 0);
      return (
        new Set(orders).size === orders.length &&
        Math.max(0, ...orders) === it.endedChildren &&
        edges.every(({ edgeRound, edgeState, endOrder }) =>
          edgeRound === 0 ? endOrder === 0 : edgeState === 'unsatisfied' || endOrder > 0,
        )
      );
    },
  },
  {
    name: 'children that have not ended are counted',
    holds: (it) =>
      edgesOf(it).filter(([, { edgeRound, edgeState }]) => edgeRound > 0 && edgeState === 'unsatisfied').length ===
      it.openChildren,
  },
  {
    name: 'an edge is resolved if and only if it says when',
    holds: (it) =>
      edgesOf(it).every(
        ([, { edgeState, resolvedAt }]) => (edgeState === 'unsatisfied') === (resolvedAt === undefined),
      ),
  },
  {
    name: 'a group is satisfied once it has enough successes, and impossible once it can no longer get them',
    holds(it, world) {
      if (it.groupState === 'none' || it.groupState === 'pending') return it.satisfiedAt === undefined;
      const flow = flowOf(it, world);
      const isFinal = flow === undefined || isComplete(flow);
      return (
        verdictOf(it, isFinal) === it.groupState && (it.groupState === 'satisfied') === (it.satisfiedAt !== undefined)
      );
    },
  },
  {
    name: 'a group that can be decided is decided, except in a flow that is being built or while a walk evaluates it',
    holds(it, world) {
      const flow = flowOf(it, world);
      if (flow === undefined || flow.isBuilding || it.groupState !== 'pending') return true;
      if (hasWalk(world, { kind: 'evaluate', flow: flow.flow, about: it.executionId, cursor: '' })) return true;
      return verdictOf(it, isComplete(flow)) === 'pending';
    },
  },
  {
    name: 'an execution whose group is undecided is neither claimable nor owned, unless it spawned what it waits for',
    holds: (it) =>
      it.groupState !== 'pending' ||
      it.dependencyCount === 0 ||
      it.isParent ||
      it.situation === 'blocked_dependencies' ||
      isTerminal(it.situation),
  },
  {
    name: 'an execution that waits for others waits for an end that is still to come, so no reconciler is needed',
    holds: (it, world) => it.situation !== 'blocked_dependencies' || isAwaited(it, world),
  },
  {
    name: 'an execution is skipped only because its group is impossible',
    holds: (it) => it.situation !== 'skipped' || (it.groupState === 'impossible' && !it.isParent),
  },
  {
    name: 'an edge from what has ended is resolved, or will be by a walk; it is satisfied by success alone',
    holds: (it, world) =>
      edgesOf(it).every(([, edge]) => {
        const upstream = upstreamOf(it, edge, world);
        if (upstream === undefined || !isTerminal(upstream.situation)) return true;
        return edge.edgeState !== 'unsatisfied' || hasWalk(world, endOf(upstream));
      }),
  },
  {
    name: 'the children of a parent that ended badly have ended, or will by a walk',
    holds(it, world) {
      if (!it.isParent || !isTerminal(it.situation) || it.situation === 'completed' || it.flow === undefined)
        return true;
      if (hasWalk(world, { kind: 'siblings', flow: it.flow, about: it.executionId, cursor: '' })) return true;
      return edgesOf(it).every(([, edge]) => {
        const upstream = upstreamOf(it, edge, world);
        // An upstream that had ended may have been replayed since.
        const isOpen = edge.edgeRound > 0 && edge.edgeState === 'unsatisfied';
        return !isOpen || upstream === undefined || isTerminal(upstream.situation);
      });
    },
  },
  eachFlow(
    'a cancelled flow says when, and an open one does not',
    ({ flowState, cancelledAt }) => (flowState === 'cancelled') === (cancelledAt !== undefined),
  ),
  eachFlow(
    'what a cancelled flow owes its members is being done',
    (flow, world) =>
      flow.flowState !== 'cancelled' ||
      flow.cancellationPolicy === 'flow_only' ||
      world.state.tables.walk.has(walkIdOf({ kind: 'cancel', flow: flow.flow, about: flow.flow, cursor: '' })) ||
      membersOf(flow, world).every(
        ({ situation }) =>
          isTerminal(situation) ||
          // Members that were running or suspended may finish; if they return without finishing, they are ended then.
          (flow.cancellationPolicy === 'cancel_pending' && !isRunnable(situation)),
      ),
  ),
  eachFlow(
    'no member starts once all of its flow was cancelled',
    ({ flow, cancelledAt, cancellationPolicy }, { state }) =>
      cancelledAt === undefined ||
      cancellationPolicy !== 'cancel_all' ||
      [...state.tables.execution.values()].every(
        (it) => it.flow !== flow || it.situation !== 'running' || it.lastTransitionAt <= cancelledAt,
      ),
  ),
  eachFlow('no member of a flow that is being built can run', (flow, world) => {
    if (!flow.isBuilding) return true;
    return membersOf(flow, world).every(({ situation: it }) => it === 'blocked_dependencies' || isTerminal(it));
  }),
  eachFlow('groups that owe cancellations are those whose walks go on', ({ flow, owingGroups }, { state }) => {
    const walks = [...state.tables.walk.values()];
    return owingGroups === walks.filter((walk) => walk.walkFlow === flow && walk.walkKind === 'siblings').length;
  }),
  eachFlow('a flow has finished once all its members have ended, and is forgotten only then', (flow, world) => {
    const isOver = membersOf(flow, world).every(({ situation }) => isTerminal(situation));
    if (hasFinished(flow) || flow.isPurging) return isOver;
    const isAwaited = isUnsealed(flow) || (flow.nodeCount === 0 && flow.flowState === 'open' && !flow.isClosed);
    return !isOver || isAwaited;
  }),
  {
    name: 'a walk belongs to an existing flow',
    check({ state }) {
      for (const walk of state.tables.walk.values()) if (!state.tables.flow.has(walk.walkFlow)) return walk.walkId;
      return undefined;
    },
  },
];

/** Whether a decided group, or a parent that ended badly, no longer needs an upstream. */
const isUnneeded = (downstream: ReadonlyExecution, upstream: string): boolean =>
  (hasOrphaned(downstream) || (downstream.onSatisfied === 'cancel_remaining' && downstream.groupState !== 'pending')) &&
  edgesOf(downstream).some(([, edge]) => edge.upstream === upstream && isSibling(downstream, edge));

export const flowRules: readonly LogRule[] = [
  {
    name: 'a cascade ends only siblings that a decided group or a parent no longer needs',
    holds({ event, before: { tables } }) {
      // Callers can name a cascade as the source too, with a reason of their own.
      if (event.type !== 'execution_cancelled' || event.cancelledBy !== WALKER) return true;
      if (!isSiblingReason(event.cancellationReason)) return true;
      const execution = tables.execution.get(event.executionId);
      const flow = tables.flow.get(execution?.flow ?? '');
      if (execution === undefined || flow === undefined) return false;
      const uuid = uuidOfExecution(event.executionId);
      return owesCancel(flow, execution) || [...tables.execution.values()].some((it) => isUnneeded(it, uuid));
    },
  },
];
