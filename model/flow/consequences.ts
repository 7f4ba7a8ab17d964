/**
 * What the end of an upstream, or of the flow, means for one member (spec 08 sections 5, 6 and 8). Each function returns
 * the tasks that follow.
 */
import { present } from '../core/present.js';
import { namingOf, type ReadonlyExecution } from '../execution/facts.js';
import { isTerminal } from '../execution/situation.js';
import { purgeAtOf } from '../schedule/retention.js';
import { resumption } from '../suspension/resumption.js';
import { suspensionIn } from '../suspension/timeout.js';
import { cancellationOf, owesCancel, siblingReason } from './cancellation.js';
import type { Bucket, ReadonlyFlow } from './facts.js';
import { bucketOf, decisionOf } from './group.js';
import { hasOnlyEdge } from './siblings.js';
import { endOf, endsOf, type CascadeContext, type Step, type Task } from './tasks.js';

/** A new edge whose upstream has already ended. */
export interface NewEdge {
  readonly edgeId: string;
  readonly upstream: string;
  readonly downstream: string;
}

/**
 * Resolves a new edge if its upstream has already ended. Otherwise the edge can bring the group to the number that it
 * needs when too many have failed: nothing else would decide it before the upstream ends.
 */
export function resolveNewEdge(
  context: CascadeContext,
  flow: string,
  { edgeId, upstream, downstream }: NewEdge,
): readonly Task[] {
  const known = context.view.flows.get(flow);
  const execution = context.view.executions.get(downstream);
  if (known === undefined || execution === undefined) return [];
  return isTerminal(memberNamed(context, upstream).situation)
    ? resolveEdge(context, known, upstream, execution, edgeId)
    : decide(context, known, downstream);
}

/** Resolves an edge by the end of its upstream, once. */
export function resolveEdge(
  context: CascadeContext,
  flow: ReadonlyFlow,
  upstreamId: string,
  execution: ReadonlyExecution,
  edgeId: string,
): readonly Task[] {
  const upstream = context.view.executions.get(upstreamId);
  if (upstream === undefined || !isTerminal(upstream.situation)) return [];
  const edge = execution.dependencies?.[edgeId];
  if (edge?.edgeState !== 'unsatisfied') return [];
  const bucket = bucketOf(upstream.situation);
  context.record({
    type: 'dependency_resolved',
    executionId: execution.executionId,
    at: context.now,
    edgeId,
    edgeOutcome: bucket === 'succeeded' ? 'satisfied' : 'impossible',
    bucket,
  });
  const tasks = decide(context, flow, execution.executionId);
  return edge.edgeRound === 0 ? tasks : [...tasks, ...wake(context, flow, execution.executionId, bucket)];
}

/** Resumes a parent whose suspension also waits for children: once enough have ended, or one did not complete. */
function wake(context: CascadeContext, flow: ReadonlyFlow, parentId: string, bucket: Bucket): readonly Task[] {
  const parent = memberNamed(context, parentId);
  const { awaitedChildren = 0, resumeDelayMs = 0 } = suspensionIn(parent) ?? {};
  if (awaitedChildren === 0 || (bucket === 'succeeded' && parent.endedChildren < awaitedChildren)) return [];
  context.record(resumption(parentId, context.now, resumeDelayMs, { trigger: 'children' }));
  const resumed = memberNamed(context, parentId);
  return owesCancel(flow, resumed) ? cancel(context, resumed, flow.cancelReason) : [];
}

/** Decides the group of a member, if it can be decided. */
function decide(context: CascadeContext, flow: ReadonlyFlow, executionId: string): readonly Task[] {
  const execution = memberNamed(context, executionId);
  const groupOutcome = decisionOf(execution, flow);
  if (groupOutcome === undefined) return [];
  context.record({ type: 'edge_group_fired', executionId, at: context.now, groupOutcome });
  const siblings: Task[] =
    execution.onSatisfied === 'cancel_remaining'
      ? [{ kind: 'siblings', flow: flow.flow, about: executionId, cursor: '' }]
      : [];
  return [...siblings, ...settleMember(context, flow, execution, groupOutcome)];
}

/** The consequence of a decided group for its member. */
function settleMember(
  context: CascadeContext,
  flow: ReadonlyFlow,
  execution: ReadonlyExecution,
  outcome: 'satisfied' | 'impossible',
): readonly Task[] {
  const { executionId, situation, isParent } = execution;
  const isBlocked = situation === 'blocked_dependencies';
  if (outcome === 'impossible' && !isParent) {
    return isTerminal(situation) ? [] : skip(context, execution);
  }
  if (!isBlocked) return [];
  if (owesCancel(flow, execution)) return cancel(context, execution, flow.cancelReason);
  context.record({ type: 'dependencies_met', executionId, at: context.now });
  return [];
}

/** Checks a waiting member again after the flow was sealed, closed or cancelled. */
export function evaluate(context: CascadeContext, flow: ReadonlyFlow, execution: ReadonlyExecution): readonly Task[] {
  const { executionId, situation, dependencyCount } = execution;
  if (situation === 'blocked_dependencies' && dependencyCount === 0) {
    if (owesCancel(flow, execution)) return cancel(context, execution, flow.cancelReason);
    context.record({ type: 'dependencies_met', executionId, at: context.now });
    return [];
  }
  return decide(context, flow, executionId);
}

export function cancel(context: CascadeContext, execution: ReadonlyExecution, reason: string): readonly Task[] {
  const { now, retentionMs } = context;
  context.record(cancellationOf(execution, reason, now, retentionMs));
  return endsOf(memberNamed(context, execution.executionId));
}

/**
 * Cancels an upstream of a group. If it has no other outgoing edge than the one to the group, as most have, that edge is
 * resolved in the same step.
 */
export function cancelSibling(
  context: CascadeContext,
  flow: ReadonlyFlow,
  execution: ReadonlyExecution,
  group: string,
  step: Step,
): readonly Task[] {
  const tasks = cancel(context, execution, siblingReason(context.view.executions.get(group)));
  const downstream = context.view.executions.get(group);
  if (!hasOnlyEdge(context.view, step) || downstream === undefined) return tasks;
  return [...tasks.slice(0, -1), ...resolveEdge(context, flow, step.executionId, downstream, present(step.edgeId))];
}

function skip(context: CascadeContext, execution: ReadonlyExecution): readonly Task[] {
  const { now, retentionMs } = context;
  context.record({
    type: 'execution_skipped',
    executionId: execution.executionId,
    at: now,
    ...namingOf(execution),
    purgeAt: purgeAtOf(execution, now, retentionMs),
  });
  return [endOf(execution)];
}

/** A member that the call has read before. */
const memberNamed = ({ view }: CascadeContext, executionId: string): ReadonlyExecution =>
  present(view.executions.get(executionId));
