/**
 * What an end means for others. Edges that lead out of it are resolved; a group that is decided lets its execution go on,
 * or ends it too; an end of that kind means something for others again. All of it is one stack of things to do, so that
 * nothing recurs and nothing is too deep. A call does a bounded part of it, and leaves the rest as walks, which `applyDue`
 * takes up: nothing else has to look for what was left (spec 08 sections 5, 6 and 8; rulings 29 and 35).
 */
import type { Event } from '../events.js';
import { namingOf, type ReadonlyExecution } from '../execution/facts.js';
import { isRunnable, isTerminal } from '../execution/situation.js';
import { memberOf, uuidOfExecution } from '../ids.js';
import { purgeAtOf } from '../schedule/retention.js';
import { shortIdOf, uuidOf } from '../short-id.js';
import type { View } from '../view.js';
import { bucketOf, decisionOf } from './group.js';
import { WALK_KINDS, type ReadonlyFlow, type WalkKind } from './facts.js';
import { isUnsealed } from './state.js';
import { besideOf, liveCountOf } from './view.js';

/** Units that a call does at once: an edge, or a member, that is looked at. */
export const UNITS_AT_ONCE = 64;
/** Units that one walk does in a pass over due work. */
export const UNITS_OF_A_WALK = 100;

export const WALKER = 'flow_cascade';

export interface CascadeContext {
  readonly view: View;
  readonly now: number;
  readonly retentionMs: number;
  /** Records an event, with what it brings to streams. */
  record(event: Event): void;
}

/** Something that is to be done, and how far it is. */
export interface Task {
  readonly kind: WalkKind;
  /** The flow, by its UUID. */
  readonly flow: string;
  /** The execution that it is about, or any other of the partition where it is about the flow. */
  readonly about: string;
  cursor: string;
}

/** What is next of a task, read ahead. */
interface Ahead {
  readonly task: Task;
  readonly steps: readonly Step[];
  at: number;
  /** Whether there may be more than what was read. */
  readonly isCut: boolean;
}

interface Step {
  /** What the cursor is behind it. */
  readonly cursor: string;
  readonly executionId: string;
  readonly edgeId?: string;
}

/**
 * Whether a step of a task ends a member. It needs room for an edge that leads out of it too, or calls would leave two walks
 * where one is enough, and each costs a pass of its own.
 */
const endsMembers = ({ kind }: Task): boolean => kind === 'siblings' || kind === 'cancel';

/** Does what is to be done, at most so many units of it. What is left stays on the stack, the last one first. */
export function cascade(context: CascadeContext, tasks: readonly Task[], units: number): readonly Task[] {
  const stack: Ahead[] = tasks.map((task) => readAhead(context, task, units));
  let left = units;
  for (;;) {
    const top = stack.at(-1);
    if (top === undefined) return [];
    const step = top.steps[top.at];
    if (step === undefined && !top.isCut) {
      stack.pop();
      continue;
    }
    if (left === 0 || (left === 1 && units > 1 && endsMembers(top.task))) break;
    if (step === undefined) {
      stack.pop();
      stack.push(readAhead(context, top.task, left));
      continue;
    }
    left -= 1;
    top.at += 1;
    top.task.cursor = step.cursor;
    for (const task of carryOut(context, top.task, step)) stack.push(readAhead(context, task, left));
  }
  return stack.filter(({ steps, at, isCut }) => at < steps.length || isCut).map(({ task }) => task);
}

/** One more than what can be done tells whether anything is left. */
function readAhead(context: CascadeContext, task: Task, units: number): Ahead {
  const steps = stepsOf(context.view, task, units + 1);
  return { task, steps, at: 0, isCut: steps.length > units };
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

/** A cursor behind an edge names it as it is stored. */
const edgeOf = (cursor: string): string => (cursor === '' ? '' : uuidOf(cursor));

/** Those that lead to a group; all children of a parent that ended badly, of whichever group. */
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
      executionId: besideOf(downstream, upstream),
    }));
}

/** Does one step. Answers what it means for others. */
function carryOut(context: CascadeContext, task: Task, step: Step): readonly Task[] {
  const execution = context.view.executions.get(step.executionId);
  const flow = context.view.flows.get(task.flow);
  if (execution === undefined || flow === undefined) return [];
  switch (task.kind) {
    case 'resolve':
      return resolveEdge(context, flow, task.about, execution, step.edgeId as string);
    case 'siblings': {
      if (isTerminal(execution.situation)) return [];
      return cancel(context, execution, siblingReason(context.view.executions.get(task.about)));
    }
    case 'cancel':
      return owesCancel(flow, execution) ? cancel(context, execution, flow.cancelReason) : [];
    case 'evaluate':
      return evaluate(context, flow, execution);
  }
}

/** Whether an execution that has children ended badly: nobody needs them any more. */
function hasOrphaned({ isParent, situation }: ReadonlyExecution): boolean {
  return isParent && isTerminal(situation) && bucketOf(situation) !== 'succeeded';
}

/** Of members that a race has outrun: the group that they lead to was satisfied without them. */
export const OUTRUN = 'sibling_quorum_satisfied';

/** The words in which upstreams are cancelled that a group, or a parent, does not need any more. */
export function siblingReason(group: ReadonlyExecution | undefined): string {
  if (group !== undefined && hasOrphaned(group)) return `parent_${group.situation}`;
  return group?.groupState === 'satisfied' ? OUTRUN : 'sibling_quorum_impossible';
}

/** That the members of a cancelled flow end. `about` is any execution id of the partition. */
export const cancellingOf = (flow: string, about: string): Task => ({ kind: 'cancel', flow, about, cursor: '' });

/** Whether a flow that was cancelled has still to end this member. */
export function owesCancel({ flowState, cancellationPolicy }: ReadonlyFlow, { situation }: ReadonlyExecution): boolean {
  if (flowState !== 'cancelled' || cancellationPolicy === 'flow_only' || isTerminal(situation)) return false;
  return cancellationPolicy === 'cancel_all' || isRunnable(situation);
}

/** An edge becomes what the end of its upstream makes of it, once. */
function resolveEdge(
  context: CascadeContext,
  flow: ReadonlyFlow,
  upstreamId: string,
  execution: ReadonlyExecution,
  edgeId: string,
): readonly Task[] {
  const upstream = context.view.executions.get(upstreamId);
  if (upstream === undefined || !isTerminal(upstream.situation)) return [];
  if (execution.dependencies?.[edgeId]?.edgeState !== 'unsatisfied') return [];
  const bucket = bucketOf(upstream.situation);
  context.record({
    type: 'dependency_resolved',
    executionId: execution.executionId,
    at: context.now,
    edgeId,
    edgeOutcome: bucket === 'succeeded' ? 'satisfied' : 'impossible',
    bucket,
  });
  return decide(context, flow, execution.executionId);
}

/** A new edge whose upstream has ended already. */
export interface Meeting {
  readonly edgeId: string;
  readonly upstream: string;
  readonly downstream: string;
}

/** Resolves a new edge whose upstream has ended already; nothing when it has not. */
export function meet(
  context: CascadeContext,
  flow: string,
  { edgeId, upstream, downstream }: Meeting,
): readonly Task[] {
  const known = context.view.flows.get(flow);
  const execution = context.view.executions.get(downstream);
  if (known === undefined || execution === undefined) return [];
  return resolveEdge(context, known, upstream, execution, edgeId);
}

/** The group of a member decides, if it can. */
function decide(context: CascadeContext, flow: ReadonlyFlow, executionId: string): readonly Task[] {
  const execution = context.view.executions.get(executionId) as ReadonlyExecution;
  const groupOutcome = decisionOf(execution, flow);
  if (groupOutcome === undefined) return [];
  context.record({ type: 'edge_group_fired', executionId, at: context.now, groupOutcome });
  const siblings: Task[] =
    execution.onSatisfied === 'cancel_remaining'
      ? [{ kind: 'siblings', flow: flow.flow, about: executionId, cursor: '' }]
      : [];
  return [...siblings, ...goOn(context, flow, execution, groupOutcome)];
}

/** What becomes of a member whose group was decided. */
function goOn(
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

/** The flow decides from now on, or will not grow: a member that waits is asked whether it still has to. */
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
  return endsOf(context.view.executions.get(execution.executionId) as ReadonlyExecution);
}

/** A member is ended because its flow, or a group, needs it no more. */
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

/** What the end of a member brings with it: its children end too if it ended badly, and what waits for it is told. */
export function endsOf(execution: ReadonlyExecution): readonly Task[] {
  const { executionId: about, flow } = execution;
  const orphans: Task[] = hasOrphaned(execution) ? [{ kind: 'siblings', flow: flow as string, about, cursor: '' }] : [];
  return [...orphans, endOf(execution)];
}

/** That what waits for a member is told of its end. */
export function endOf({ executionId, flow }: ReadonlyExecution): Task {
  return { kind: 'resolve', flow: flow as string, about: executionId, cursor: '' };
}

/** The name of a walk: there is one of a kind for each execution, or flow, at most. */
export function walkIdOf({ kind, flow, about }: Task): string {
  const of = isOfFlow(kind) ? shortIdOf(flow) : memberOf(about);
  return WALK_KINDS[kind] + of;
}

export const isOfFlow = (kind: WalkKind): boolean => kind === 'cancel' || kind === 'evaluate';

/** Leaves what a call could not do. */
export function leave(context: CascadeContext, tasks: readonly Task[]): void {
  for (const task of tasks) {
    const walkId = walkIdOf(task);
    const isThere = context.view.flows.walk(walkId) !== undefined;
    // Members that were asked before the flow changed again are asked once more, and so are children whose parent ended since.
    if (isThere && task.kind !== 'evaluate' && task.kind !== 'siblings') continue;
    const type = isThere ? 'walk_advanced' : 'walk_begun';
    context.record({ type, walkId, at: context.now, ...factsOfTask(task) });
  }
}

export function factsOfTask({ kind, flow, about, cursor }: Task) {
  return { walkKind: kind, flow, walkOf: isOfFlow(kind) ? undefined : uuidOfExecution(about), cursor };
}

/** Says so when a flow has come to its end: its members are forgotten from a time on. */
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
