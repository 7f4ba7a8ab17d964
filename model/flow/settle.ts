/** The consequences of a command in its flow, beyond its own events. The Lua twin is `lua/flow/settle.lua`. */
import type { Event } from '../events.js';
import { isRunnable } from '../execution/situation.js';
import { cancellationOf, owesCancel } from './cancellation.js';
import { cascade } from './cascade.js';
import { resolveNewEdge, type NewEdge } from './consequences.js';
import { purgeTimeOfFlow } from './retention.js';
import { hasFinished, isUnsealed } from './state.js';
import { endsOf, factsOfTask, walkIdOf, writeWalks, type CascadeContext, type Task } from './tasks.js';
import { liveCountOf } from './view.js';

/** The consequences of a decision, handled after its events are recorded. */
export interface Aftermath {
  /** UUID of the flow. */
  readonly flow: string;
  /** New edges that can be resolved, or decide their group. */
  readonly newEdges?: readonly NewEdge[];
  readonly tasks?: readonly Task[];
  /** A walk to continue, with its number of units. */
  readonly walk?: { readonly task: Task; readonly units: number };
}

/** Handles the end of an execution in its flow, if it is in one; at most `units` units at once. */
function settleEnd(context: CascadeContext, executionId: string, units: number): void {
  const execution = context.view.executions.get(executionId);
  if (execution?.flow === undefined) return;
  writeWalks(context, cascade(context, endsOf(execution), units));
  finish(context, execution.flow);
}

/**
 * Ends a member that was left running by the cancellation of its flow and has returned without finishing. The walk over
 * the members has passed it, and no claim would ever take it.
 */
function settleReturn(context: CascadeContext, executionId: string, units: number): void {
  const execution = context.view.executions.get(executionId);
  const flow = execution?.flow === undefined ? undefined : context.view.flows.get(execution.flow);
  if (execution === undefined || flow === undefined || !owesCancel(flow, execution)) return;
  // Still suspended: the timeout that closed the suspension ends it in the next event.
  if (!isRunnable(execution.situation)) return;
  context.record(cancellationOf(execution, flow.cancelReason, context.now, context.retentionMs));
  settleEnd(context, executionId, units);
}

/** Handles an event of an execution; at most `units` units at once. */
type Consequence = (context: CascadeContext, executionId: string, units: number) => void;

const CONSEQUENCES: ReadonlyMap<Event['type'], Consequence> = new Map<Event['type'], Consequence>([
  ['execution_completed', settleEnd],
  ['execution_failed', settleEnd],
  ['execution_cancelled', settleEnd],
  ['execution_expired', settleEnd],
  // After these events it has no owner and is not suspended: it waits for a claim.
  ['lease_released', settleReturn],
  ['retry_scheduled', settleReturn],
  ['execution_delayed', settleReturn],
  ['suspension_closed', settleReturn],
  ['children_awaited', settleReturn],
]);

/** The handler of an event's consequences in a flow; undefined for most events. */
export const consequenceOf = ({ type }: Event): Consequence | undefined => CONSEQUENCES.get(type);

/** Handles the aftermath of a decision: at most `units` units, except for a walk, which has its own number. */
export function settle(
  context: CascadeContext,
  { flow, newEdges = [], tasks = [], walk }: Aftermath,
  units: number,
): void {
  if (walk !== undefined) {
    continueWalk(context, walk.task, walk.units);
  } else {
    const settled = newEdges.flatMap((edge) => resolveNewEdge(context, flow, edge));
    writeWalks(context, cascade(context, [...tasks, ...settled], units));
  }
  finish(context, flow);
}

function continueWalk(context: CascadeContext, task: Task, units: number): void {
  const walkId = walkIdOf(task);
  const left = cascade(context, [task], units);
  const more = left.find((other) => walkIdOf(other) === walkId);
  const type = more === undefined ? 'walk_ended' : 'walk_advanced';
  context.record({ type, walkId, at: context.now, ...factsOfTask(more ?? task) });
  writeWalks(
    context,
    left.filter((other) => other !== more),
  );
}

/** Records that a flow has finished: from then on its members have a purge time. */
function finish(context: CascadeContext, flow: string): void {
  const { view, now, retentionMs } = context;
  const known = view.flows.get(flow);
  if (known === undefined || known.isPurging || hasFinished(known)) return;
  const { nodeCount, flowState, isClosed } = known;
  if (isUnsealed(known)) return;
  if (nodeCount === 0 && flowState === 'open' && !isClosed) return;
  if (liveCountOf(view.flows.tally(flow)) > 0) return;
  context.record({ type: 'flow_finished', flow, at: now, purgeAt: purgeTimeOfFlow(known, now, retentionMs) });
}
