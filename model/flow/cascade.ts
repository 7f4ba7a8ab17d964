/**
 * The consequences of an end for other executions. Outgoing edges are resolved; a decided group lets its execution
 * continue, or ends it, which can have further consequences. All of them are one stack of tasks, so there is no
 * recursion and no limit of depth. A call does a bounded part of the tasks and records the rest as walks, which
 * `applyDue` continues; no other code has to find them (spec 08 sections 5, 6 and 8; rulings 29 and 35).
 */
import { present } from '../core/present.js';
import type { Event } from '../events.js';
import { namingOf, type ReadonlyExecution } from '../execution/facts.js';
import { isRunnable, isTerminal } from '../execution/situation.js';
import { memberOf, uuidOfExecution } from '../ids.js';
import { purgeAtOf } from '../schedule/retention.js';
import { shortIdOf, uuidOf } from '../short-id.js';
import { resumption } from '../suspension/resumption.js';
import { suspensionIn } from '../suspension/timeout.js';
import type { View } from '../view.js';
import { bucketOf, decisionOf } from './group.js';
import { WALK_KINDS, type Bucket, type ReadonlyFlow, type WalkKind } from './facts.js';
import { isUnsealed } from './state.js';
import { siblingId, liveCountOf } from './view.js';

/**
 * Most units that a call does at once. A unit is one edge or member that is examined; a member that is cancelled
 * together with its only edge is one.
 */
export const UNITS_AT_ONCE = 64;
/** Most units of one walk in a pass over due work; so many racers take about eight million instructions of the server. */
export const UNITS_OF_A_WALK = 84;
/**
 * A step that ends a member is done only if so many units are left, for it and for its outgoing edges. A call that
 * stopped between the two would leave two walks instead of one, and each takes a pass of its own.
 */
export const UNITS_OF_AN_ENDING = 4;

export const WALKER = 'flow_cascade';

export interface CascadeContext {
  readonly view: View;
  readonly now: number;
  readonly retentionMs: number;
  /** Records an event and its effects on streams. */
  record(event: Event): void;
}

/** A task and its progress. */
export interface Task {
  readonly kind: WalkKind;
  /** UUID of the flow. */
  readonly flow: string;
  /** The execution that the task concerns; any execution of the partition if it concerns the flow. */
  readonly about: string;
  cursor: string;
}

/** The next steps of a task, read ahead. */
interface Ahead {
  readonly task: Task;
  readonly steps: readonly Step[];
  at: number;
  /** Whether more steps may follow those that were read. */
  readonly isCut: boolean;
  /** Whether the end of an upstream means no more to the group than its edge, so that many edges are resolved together. */
  readonly isDecided: boolean;
}

interface Step {
  /** The cursor after this step. */
  readonly cursor: string;
  readonly executionId: string;
  /** Undefined for tasks that go through the members of a flow. */
  readonly edgeId?: string;
}

/** Whether a step of a task ends a member. */
const endsMembers = ({ kind }: Task): boolean => kind === 'siblings' || kind === 'cancel';

/** Does at most `units` units of the tasks. Returns the remaining tasks, the next one last. */
export function cascade(context: CascadeContext, tasks: readonly Task[], units: number): readonly Task[] {
  const stack: Ahead[] = tasks.map((task) => readAhead(context, task, units));
  const forEnding = Math.max(1, Math.min(units, UNITS_OF_AN_ENDING));
  let left = units;
  for (;;) {
    const top = stack.at(-1);
    if (top === undefined) return [];
    const step = top.steps[top.at];
    if (step === undefined && !top.isCut) {
      stack.pop();
      continue;
    }
    if (left < (endsMembers(top.task) ? forEnding : 1)) break;
    if (step === undefined) {
      stack.pop();
      stack.push(readAhead(context, top.task, left));
      continue;
    }
    const together = cancelTogether(context, top, left + 1 - forEnding);
    left -= together;
    if (together > 0) continue;
    left -= 1;
    top.at += 1;
    top.task.cursor = step.cursor;
    for (const task of runStep(context, top.task, step)) stack.push(readAhead(context, task, left));
  }
  return stack.filter(({ steps, at, isCut }) => at < steps.length || isCut).map(({ task }) => task);
}

/** Reads one step more than can be done, to know whether any is left. */
function readAhead(context: CascadeContext, task: Task, units: number): Ahead {
  const steps = stepsOf(context.view, task, units + 1);
  const group = task.kind === 'siblings' ? context.view.executions.get(task.about) : undefined;
  const isDecided = group !== undefined && group.groupState !== 'pending' && group.situation !== 'suspended';
  return { task, steps, at: 0, isCut: steps.length > units, isDecided };
}

/**
 * Cancels upstreams that a decided group no longer needs, up to the first one whose end means more than its edge to the
 * group. Most are like that, and one event resolves all these edges. Returns the number of steps that are done.
 */
function cancelTogether(context: CascadeContext, ahead: Ahead, most: number): number {
  const { task, steps, isDecided } = ahead;
  const { now, retentionMs } = context;
  const group = context.view.executions.get(task.about);
  if (!isDecided || group === undefined || context.view.flows.get(task.flow) === undefined) return 0;
  const first = ahead.at;
  const edges: { readonly edgeId: string }[] = [];
  for (let step = steps[first]; step !== undefined && ahead.at - first < most; step = steps[++ahead.at]) {
    const sibling = context.view.executions.get(step.executionId);
    const edgeId = present(step.edgeId);
    if (sibling !== undefined && !isTerminal(sibling.situation)) {
      if (sibling.isParent || !hasOnlyEdge(context.view, step)) break;
      context.record(cancellationOf(sibling, siblingReason(group), now, retentionMs));
      if (group.dependencies?.[edgeId]?.edgeState === 'unsatisfied') edges.push({ edgeId });
    }
    task.cursor = step.cursor;
  }
  if (edges.length > 0) context.record({ type: 'dependencies_resolved', executionId: task.about, at: now, edges });
  return ahead.at - first;
}

function hasOnlyEdge(view: View, { executionId, edgeId }: Step): boolean {
  const outgoing = view.flows.outgoing(executionId, '', 2);
  return outgoing.length === 1 && outgoing[0]?.edgeId === edgeId;
}

function stepsOf(view: View, { kind, flow, about, cursor }: Task, limit: number): readonly Step[] {
  switch (kind) {
    case 'resolve':
      return view.flows
        .outgoing(about, edgeOf(cursor), limit)
        .map(({ edgeId, downstream }) => ({ cursor: shortIdOf(edgeId), edgeId, executionId: downstream }));
    case 'siblings':
      return siblingsOf(view, about, edgeOf(cursor), limit);
    case 'cancel':
      return view.flows
        .members(flow, cursor === '' ? Number.MAX_SAFE_INTEGER : Number(cursor), limit, true)
        .map(({ rank, executionId }) => ({ cursor: String(rank), executionId }));
    case 'evaluate':
      return view.flows
        .members(flow, cursor === '' ? 0 : Number(cursor) + 1, limit, false)
        .map(({ rank, executionId }) => ({ cursor: String(rank), executionId }));
  }
}

/** The edge id of a cursor, which contains the stored form. */
export const edgeOf = (cursor: string): string => (cursor === '' ? '' : uuidOf(cursor));

/** The upstreams of the current round of a group; for a parent that ended badly, its children of every round. */
function siblingsOf(view: View, downstream: string, after: string, limit: number): readonly Step[] {
  const execution = view.executions.get(downstream);
  if (execution === undefined) return [];
  const { dependencies = {}, groupRound } = execution;
  const isForAll = hasOrphaned(execution);
  return Object.entries(dependencies)
    .filter(([edgeId, { edgeRound }]) => edgeId > after && (isForAll ? edgeRound > 0 : edgeRound === groupRound))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .slice(0, limit)
    .map(([edgeId, { upstream }]) => ({
      cursor: shortIdOf(edgeId),
      edgeId,
      executionId: siblingId(downstream, upstream),
    }));
}

/** Does one step. Returns the tasks that follow from it. */
function runStep(context: CascadeContext, task: Task, step: Step): readonly Task[] {
  const execution = context.view.executions.get(step.executionId);
  const flow = context.view.flows.get(task.flow);
  if (execution === undefined || flow === undefined) return [];
  switch (task.kind) {
    case 'resolve':
      return resolveEdge(context, flow, task.about, execution, present(step.edgeId));
    case 'siblings': {
      if (isTerminal(execution.situation)) return [];
      return cancelSibling(context, flow, execution, task.about, step);
    }
    case 'cancel':
      return owesCancel(flow, execution) ? cancel(context, execution, flow.cancelReason) : [];
    case 'evaluate':
      return evaluate(context, flow, execution);
  }
}

/** A member that the call has read before. */
const memberNamed = ({ view }: CascadeContext, executionId: string): ReadonlyExecution =>
  present(view.executions.get(executionId));

/** Whether a parent ended badly, so its children are no longer needed. */
function hasOrphaned({ isParent, situation }: ReadonlyExecution): boolean {
  return isParent && isTerminal(situation) && bucketOf(situation) !== 'succeeded';
}

/** The reason for members that are cancelled because their group was satisfied without them. */
export const SIBLING_SATISFIED = 'sibling_quorum_satisfied';

/** The reason for members that are cancelled because too many others of their group did not complete. */
export const NO_QUORUM = 'sibling_quorum_impossible';

/** The cancellation reason of upstreams that a group or a parent no longer needs. */
export function siblingReason(group: ReadonlyExecution | undefined): string {
  if (group !== undefined && hasOrphaned(group)) return `parent_${group.situation}`;
  return group?.groupState === 'satisfied' ? SIBLING_SATISFIED : NO_QUORUM;
}

/** The task that ends the members of a cancelled flow. `about` is any execution id of the partition. */
export const cancellingOf = (flow: string, about: string): Task => ({ kind: 'cancel', flow, about, cursor: '' });

/** Whether a cancelled flow has yet to end this member. */
export function owesCancel({ flowState, cancellationPolicy }: ReadonlyFlow, { situation }: ReadonlyExecution): boolean {
  if (flowState !== 'cancelled' || cancellationPolicy === 'flow_only' || isTerminal(situation)) return false;
  return cancellationPolicy === 'cancel_all' || isRunnable(situation);
}

/** Resolves an edge by the end of its upstream, once. */
function resolveEdge(
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

/** A new edge whose upstream has already ended. */
export interface NewEdge {
  readonly edgeId: string;
  readonly upstream: string;
  readonly downstream: string;
}

/** Resolves a new edge if its upstream has already ended; returns nothing otherwise. */
export function resolveNewEdge(
  context: CascadeContext,
  flow: string,
  { edgeId, upstream, downstream }: NewEdge,
): readonly Task[] {
  const known = context.view.flows.get(flow);
  const execution = context.view.executions.get(downstream);
  if (known === undefined || execution === undefined) return [];
  return resolveEdge(context, known, upstream, execution, edgeId);
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

/** Checks a waiting member again after the flow was sealed or closed. */
function evaluate(context: CascadeContext, flow: ReadonlyFlow, execution: ReadonlyExecution): readonly Task[] {
  const { executionId, situation, dependencyCount } = execution;
  if (situation === 'blocked_dependencies' && dependencyCount === 0) {
    if (owesCancel(flow, execution)) return cancel(context, execution, flow.cancelReason);
    context.record({ type: 'dependencies_met', executionId, at: context.now });
    return [];
  }
  return decide(context, flow, executionId);
}

function cancel(context: CascadeContext, execution: ReadonlyExecution, reason: string): readonly Task[] {
  const { now, retentionMs } = context;
  context.record(cancellationOf(execution, reason, now, retentionMs));
  return endsOf(memberNamed(context, execution.executionId));
}

/**
 * Cancels an upstream of a group. If it has no other outgoing edge than the one to the group, as most have, that edge is
 * resolved in the same step.
 */
function cancelSibling(
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

/** Cancels a member that its flow or a group no longer needs. */
export function cancellationOf(execution: ReadonlyExecution, reason: string, now: number, retentionMs: number): Event {
  return {
    type: 'execution_cancelled',
    executionId: execution.executionId,
    at: now,
    cancellationReason: reason,
    cancelledBy: WALKER,
    ...namingOf(execution),
    purgeAt: purgeAtOf(execution, now, retentionMs),
  };
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

/** Tasks after the end of a member: its children end if it ended badly, and its downstream members are informed. */
export function endsOf(execution: ReadonlyExecution): readonly Task[] {
  const { executionId: about, flow } = execution;
  const orphans: Task[] = hasOrphaned(execution) ? [{ kind: 'siblings', flow: present(flow), about, cursor: '' }] : [];
  return [...orphans, endOf(execution)];
}

/** The task that informs the downstream members of an end. */
export function endOf({ executionId, flow }: ReadonlyExecution): Task {
  return { kind: 'resolve', flow: present(flow), about: executionId, cursor: '' };
}

/** The id of a walk: at most one of each kind per execution or flow. */
export function walkIdOf({ kind, flow, about }: Task): string {
  const of = isOfFlow(kind) ? shortIdOf(flow) : memberOf(about);
  return WALK_KINDS[kind] + of;
}

export const isOfFlow = (kind: WalkKind): boolean => kind === 'cancel' || kind === 'evaluate';

/** Records the tasks that a call could not do as walks. */
export function writeWalks(context: CascadeContext, tasks: readonly Task[]): void {
  for (const task of tasks) {
    const walkId = walkIdOf(task);
    const isThere = context.view.flows.walk(walkId) !== undefined;
    // Members that were checked before the flow changed again are checked once more, as are children whose parent ended
    // since.
    if (isThere && task.kind !== 'evaluate' && task.kind !== 'siblings') continue;
    const type = isThere ? 'walk_advanced' : 'walk_begun';
    context.record({ type, walkId, at: context.now, ...factsOfTask(task) });
  }
}

export function factsOfTask({ kind, flow, about, cursor }: Task) {
  return { walkKind: kind, flow, walkOf: isOfFlow(kind) ? undefined : uuidOfExecution(about), cursor };
}

/** Records that a flow has finished: from then on its members have a purge time. */
export function finish(context: CascadeContext, flow: string): void {
  const { view, now, retentionMs } = context;
  const known = view.flows.get(flow);
  if (known === undefined || known.isPurging || known.purgeAt !== undefined) return;
  const { nodeCount, flowState, isClosed } = known;
  if (isUnsealed(known)) return;
  if (nodeCount === 0 && flowState === 'open' && !isClosed) return;
  if (liveCountOf(view.flows.tally(flow)) > 0) return;
  const purgeAt = purgeAtOf({ policy: undefined, idempotencyExpiresAt: undefined }, now, retentionMs);
  context.record({ type: 'flow_finished', flow, at: now, purgeAt });
}
