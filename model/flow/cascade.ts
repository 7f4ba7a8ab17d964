/**
 * The consequences of an end for other executions. Outgoing edges are resolved; a decided group lets its execution
 * continue, or ends it, which can have further consequences. All of them are one stack of tasks, so there is no
 * recursion and no limit of depth. A call does a bounded part of the tasks and records the rest as walks, which
 * `applyDue` continues; no other code has to find them (spec 08 sections 5, 6 and 8; rulings 29 and 35).
 */
import { present } from '../core/present.js';
import type { Event } from '../events.js';
import { isTerminal } from '../execution/situation.js';
import { unitsOfClosing } from '../schedule/units.js';
import { shortIdOf } from '../short-id.js';
import type { View } from '../view.js';
import { owesCancel } from './cancellation.js';
import { cancel, cancelSibling, evaluate, resolveEdge } from './consequences.js';
import { cancelTogether, siblingsOf } from './siblings.js';
import { edgeOf, type Ahead, type CascadeContext, type CountedContext, type Step, type Task } from './tasks.js';

/**
 * Most units that a call does at once. A unit is one edge or member that is examined; a member that is cancelled
 * together with its only edge is one. The waitpoints that a step closes are units too, so the last step can exceed this.
 */
export const UNITS_AT_ONCE = 64;
/** Most units of one walk in a pass over due work; so many racers take about eight million instructions of the server. */
export const UNITS_OF_A_WALK = 84;
/**
 * A step that ends a member is done only if so many units are left, for it and for its outgoing edges. A call that
 * stopped between the two would leave two walks instead of one, and each takes a pass of its own.
 */
export const UNITS_OF_AN_ENDING = 4;

/** Whether a step of a task ends a member. */
const endsMembers = ({ kind }: Task): boolean => kind === 'siblings' || kind === 'cancel';

/** Does at most `units` units of the tasks. Returns the remaining tasks, the next one last. */
export function cascade(outer: CascadeContext, tasks: readonly Task[], units: number): readonly Task[] {
  const context = new CountingContext(outer);
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
    left = Math.max(0, left - together);
    if (together > 0) continue;
    top.at += 1;
    top.task.cursor = step.cursor;
    const { closings } = context;
    const following = runStep(context, top.task, step);
    left = Math.max(0, left - 1 - (context.closings - closings));
    for (const task of following) stack.push(readAhead(context, task, left));
  }
  return stack.filter(({ steps, at, isCut }) => at < steps.length || isCut).map(({ task }) => task);
}

/** Counts the units of the waitpoints that steps close. */
class CountingContext implements CountedContext {
  closings = 0;

  constructor(private readonly outer: CascadeContext) {}

  get view(): View {
    return this.outer.view;
  }

  get now(): number {
    return this.outer.now;
  }

  get retentionMs(): number {
    return this.outer.retentionMs;
  }

  record(event: Event): void {
    const execution = 'executionId' in event ? this.view.executions.get(event.executionId) : undefined;
    if (execution?.waiting !== undefined) this.closings += unitsOfClosing(execution, [event]);
    this.outer.record(event);
  }
}

/** Reads one step more than can be done, to know whether any is left. */
function readAhead(context: CascadeContext, task: Task, units: number): Ahead {
  const steps = stepsOf(context.view, task, units + 1);
  const group = task.kind === 'siblings' ? context.view.executions.get(task.about) : undefined;
  const isDecided = group !== undefined && group.groupState !== 'pending' && group.situation !== 'suspended';
  return { task, steps, at: 0, isCut: steps.length > units, isDecided };
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
