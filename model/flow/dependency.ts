/**
 * addDependency, stageDependencyEdge, applyDependencyToChild: make an execution wait for another one. An edge takes
 * effect when it is staged, so the last operation does nothing: it exists for callers that use the two steps of the
 * contract. Spec 08 sections 3.3 and 3.5, ruling 29.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, acceptAll, operation, reject, type Accepted, type Context, type Rejected } from '../operation.js';
import { present } from '../core/present.js';
import { echoed } from '../core/wire-form.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { isRunnable } from '../execution/situation.js';
import { partitionOfExecution, uuidOfExecution } from '../ids.js';
import { notEligible } from '../lease/fence.js';
import { LIMITS } from '../limits.js';
import type { View } from '../view.js';
import type { ReadonlyFlow } from './facts.js';
import { dataPassingRef } from './graph.js';
import { newEdgeOf, reopening, stagingOf } from './members.js';

const edgeArgs = {
  flowId: field.flowId,
  /** Minted by the caller, like every id. */
  edgeId: field.uuid,
  upstreamExecutionId: field.executionId,
  downstreamExecutionId: field.executionId,
};

type Ends = Readonly<Record<'flowId' | 'upstreamExecutionId' | 'downstreamExecutionId', string>>;

const inOnePartition = [
  ({ flowId, upstreamExecutionId, downstreamExecutionId }: Ends) =>
    partitionOfExecution(flowId) === partitionOfExecution(upstreamExecutionId) &&
    partitionOfExecution(flowId) === partitionOfExecution(downstreamExecutionId),
  { error: 'must be in the partition of the flow', path: ['upstreamExecutionId'] },
] as [(args: Ends) => boolean, { error: string; path: string[] }];

const stageArgs = {
  ...edgeArgs,
  /** The only kind: the downstream needs the success of its upstream. */
  dependencyKind: z.literal('success_only').default('success_only'),
  /** A label for the data that the upstream passes to the downstream. */
  dataPassingRef: dataPassingRef.optional(),
};

const STAGE_REJECTIONS = [
  'self_referencing_edge',
  'flow_not_found',
  'flow_already_terminal',
  'dependency_already_exists',
  'stale_graph_revision',
  'flow_closed',
  'execution_not_in_flow',
  'execution_not_eligible',
  'flow_limit_exceeded',
  'cycle_detected',
] as const;

interface StageArgs {
  readonly flowId: string;
  readonly edgeId: string;
  readonly upstreamExecutionId: string;
  readonly downstreamExecutionId: string;
  readonly dataPassingRef?: string | undefined;
  readonly expectedGraphRevision?: number | undefined;
}

type Verdict =
  | { readonly there: ReadonlyFlow }
  | {
      readonly flow: ReadonlyFlow;
      readonly downstream: ReadonlyExecution;
      readonly isBackward: boolean;
    };

/** Whether an edge can be staged, or exists already. */
function verdictOn(view: View, args: StageArgs): Verdict | Rejected<(typeof STAGE_REJECTIONS)[number]> {
  const { upstreamExecutionId, downstreamExecutionId, expectedGraphRevision } = args;
  if (upstreamExecutionId === downstreamExecutionId) return reject('self_referencing_edge');
  const flow = view.flows.get(uuidOfExecution(args.flowId));
  if (flow === undefined) return reject('flow_not_found');
  if (flow.flowState === 'cancelled' || flow.isPurging) return reject('flow_already_terminal');
  const known = view.flows.downstreamOf(flow.flow, args.edgeId);
  if (known !== undefined) return isSame(view, args, known) ? { there: flow } : reject('dependency_already_exists');
  if (expectedGraphRevision !== undefined && expectedGraphRevision !== flow.graphRevision)
    return reject('stale_graph_revision', { graphRevision: String(flow.graphRevision) });
  if (flow.isClosed) return reject('flow_closed');
  const ends = [upstreamExecutionId, downstreamExecutionId].map((id) => view.executions.get(id));
  const [upstream, downstream] = ends;
  if (upstream?.flow !== flow.flow) return reject('execution_not_in_flow', { executionId: upstreamExecutionId });
  if (downstream?.flow !== flow.flow) return reject('execution_not_in_flow', { executionId: downstreamExecutionId });
  const { groupState } = downstream;
  // The group of a parent is one of its children, which end with it.
  const isDecided = groupState === 'satisfied' || groupState === 'impossible';
  if (!isRunnable(downstream.situation) || isDecided || downstream.isParent) return notEligible(downstream);
  if (flow.edgeCount >= LIMITS.maxFlowEdges) return reject('flow_limit_exceeded', { limit: 'maxFlowEdges' });
  if (downstream.dependencyCount >= LIMITS.maxGroupEdges)
    return reject('flow_limit_exceeded', { limit: 'maxGroupEdges' });
  const isBackward = upstream.rank > downstream.rank;
  const closes = isBackward || flow.isUnordered ? cycleOf(view, downstreamExecutionId, upstreamExecutionId) : undefined;
  return closes === undefined ? { flow, downstream, isBackward } : reject('cycle_detected', { reason: closes });
}

/** Whether the existing edge with this id equals the requested one. */
function isSame(view: View, args: StageArgs, downstreamId: string): boolean {
  const edge = view.executions.get(downstreamId)?.dependencies?.[args.edgeId];
  return (
    downstreamId === args.downstreamExecutionId &&
    edge?.upstream === uuidOfExecution(args.upstreamExecutionId) &&
    edge.dataPassingRef === (args.dataPassingRef ?? '')
  );
}

/**
 * Whether a path leads from one execution to another: breadth first, in the order of the edges. A graph that is too
 * large to search is refused like a cycle.
 */
function cycleOf(view: View, from: string, to: string): 'cycle' | 'too_large' | undefined {
  const visited = new Set([from]);
  const waiting = [from];
  let edges = 0;
  for (let at = 0; at < waiting.length; at++) {
    const leading = view.flows.outgoing(present(waiting[at]), '', LIMITS.maxSearchedEdges - edges + 1);
    edges += leading.length;
    if (edges > LIMITS.maxSearchedEdges) return 'too_large';
    for (const { downstream } of leading) {
      if (downstream === to) return 'cycle';
      if (visited.has(downstream)) continue;
      if (visited.size === LIMITS.maxSearchedMembers) return 'too_large';
      visited.add(downstream);
      waiting.push(downstream);
    }
  }
  return undefined;
}

/** The outcomes of both operations that stage an edge. */
const stagedAs = <const Kind extends string>(kind: Kind) =>
  z.object({
    kind: z.literal(kind),
    edgeId: echoed(field.uuid),
    /** The current revision, also if the edge existed already. */
    newGraphRevision: field.count,
  });

/** Stages an edge, resolves it at once if its upstream has ended, and decides the group if that is possible now. */
function stage<const Kind extends string>(
  kind: Kind,
  view: View,
  args: StageArgs,
  { now }: Context,
): Accepted<{ kind: Kind; edgeId: string; newGraphRevision: number }> | Rejected<(typeof STAGE_REJECTIONS)[number]> {
  const outcomeOf = (newGraphRevision: number) => ({ kind, edgeId: args.edgeId, newGraphRevision });
  const verdict = verdictOn(view, args);
  if ('ok' in verdict) return verdict;
  if ('there' in verdict) return accept(outcomeOf(verdict.there.graphRevision));
  const { flow, downstream, isBackward } = verdict;
  const { executionId } = downstream;
  const facts = { flow: flow.flow, at: now, isBackward, isChild: false, edgeRound: 0 };
  const event = stagingOf({ executionId, edges: [args], ...facts });
  return {
    ...acceptAll(outcomeOf(flow.graphRevision + 1), [...reopening(flow, now), event]),
    aftermath: { flow: flow.flow, newEdges: [newEdgeOf(args)] },
  };
}

const declared = {
  partition: ({ flowId }: { flowId: string }) => partitionOfExecution(flowId),
  memory: 'adds',
} as const;

const STAGE_TEXTS = [
  'flowId',
  'edgeId',
  'upstreamExecutionId',
  'downstreamExecutionId',
  'dataPassingRef',
  'expectedGraphRevision',
] as const;

export const stageDependencyEdge = operation({
  ...declared,
  name: 'stageDependencyEdge',
  args: z
    .strictObject({
      ...stageArgs,
      /** Refuse unless the graph still has this revision, which the caller has seen. */
      expectedGraphRevision: field.count,
    })
    .refine(...inOnePartition),
  outcome: stagedAs('staged'),
  rejects: STAGE_REJECTIONS,
  ofSize: ['flow_limit_exceeded'],
  wire: { shared: [], each: STAGE_TEXTS },
  decide: (view, args, context) => stage('staged', view, args, context),
});

export const addDependency = operation({
  ...declared,
  name: 'addDependency',
  args: z.strictObject({ ...stageArgs, expectedGraphRevision: field.count.optional() }).refine(...inOnePartition),
  outcome: stagedAs('added'),
  rejects: STAGE_REJECTIONS,
  ofSize: ['flow_limit_exceeded'],
  wire: { shared: [], each: STAGE_TEXTS },
  decide: (view, args, context) => stage('added', view, args, context),
});

export const applyDependencyToChild = operation({
  ...declared,
  name: 'applyDependencyToChild',
  args: z.strictObject(edgeArgs).refine(...inOnePartition),
  outcome: z.object({ kind: z.literal('already_applied'), edgeId: echoed(field.uuid) }),
  rejects: ['execution_not_found', 'execution_already_in_flow', 'invalid_dependency'],
  wire: { shared: [], each: ['flowId', 'edgeId', 'upstreamExecutionId', 'downstreamExecutionId'] },
  decide(view, { flowId, edgeId, upstreamExecutionId, downstreamExecutionId }) {
    const execution = view.executions.get(downstreamExecutionId);
    if (execution === undefined) return reject('execution_not_found');
    if (execution.flow !== undefined && execution.flow !== uuidOfExecution(flowId))
      return reject('execution_already_in_flow', { flowId: `${partitionOfExecution(flowId)}:${execution.flow}` });
    if (execution.dependencies?.[edgeId]?.upstream !== uuidOfExecution(upstreamExecutionId))
      return reject('invalid_dependency');
    return accept({ kind: 'already_applied', edgeId });
  },
});
