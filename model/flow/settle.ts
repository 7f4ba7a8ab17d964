/** What a command means for others in its flow, beyond its own events. The Lua twin is `lua/flow/cascade.lua`. */
import type { Event } from '../events.js';
import { isRunnable } from '../execution/situation.js';
import {
  cancellationOf,
  cascade,
  endsOf,
  factsOfTask,
  finish,
  leave,
  meet,
  owesCancel,
  walkIdOf,
  type CascadeContext,
  type Meeting,
  type Task,
} from './cascade.js';

/** What a decision leaves to be done once its events are recorded. */
export interface Aftermath {
  /** UUID of the flow. */
  readonly flow: string;
  /** New edges whose upstreams have ended already. */
  readonly meetings?: readonly Meeting[];
  readonly tasks?: readonly Task[];
  /** A walk that goes on, so many units of it. */
  readonly walk?: { readonly task: Task; readonly units: number };
}

/** What the end of an execution means for others, if it is in a flow. `units` are done at once. */
function settleEnd(context: CascadeContext, executionId: string, units: number): void {
  const execution = context.view.executions.get(executionId);
  if (execution?.flow === undefined) return;
  leave(context, cascade(context, endsOf(execution), units));
  finish(context, execution.flow);
}

/**
 * A member that was let finish because it ran when its flow was cancelled has come back without having finished: it is
 * ended here. The walk over the members is past it, and nobody may ever claim it.
 */
function settleReturn(context: CascadeContext, executionId: string, units: number): void {
  const execution = context.view.executions.get(executionId);
  const flow = execution?.flow === undefined ? undefined : context.view.flows.get(execution.flow);
  if (execution === undefined || flow === undefined || !owesCancel(flow, execution)) return;
  // Still suspended: the timeout that closed the suspension ends it behind this.
  if (!isRunnable(execution.situation)) return;
  context.record(cancellationOf(execution, flow.cancelReason, context.now, context.retentionMs));
  settleEnd(context, executionId, units);
}

/** What is done about an execution at an event of it, so many units of it at once. */
type Consequence = (context: CascadeContext, executionId: string, units: number) => void;

const CONSEQUENCES: ReadonlyMap<Event['type'], Consequence> = new Map<Event['type'], Consequence>([
  ['execution_completed', settleEnd],
  ['execution_failed', settleEnd],
  ['execution_cancelled', settleEnd],
  ['execution_expired', settleEnd],
  // Behind these nobody owns it, and it is not suspended: it waits to be taken up.
  ['lease_released', settleReturn],
  ['retry_scheduled', settleReturn],
  ['execution_delayed', settleReturn],
  ['suspension_closed', settleReturn],
  ['children_awaited', settleReturn],
]);

/** What an event means in the flow of its execution; nothing for most. */
export const consequenceOf = ({ type }: Event): Consequence | undefined => CONSEQUENCES.get(type);

/** What a decision left to be done: `units` of it at once, but for a walk, which brings its own. */
export function settle(
  context: CascadeContext,
  { flow, meetings = [], tasks = [], walk }: Aftermath,
  units: number,
): void {
  if (walk !== undefined) {
    goOn(context, walk.task, walk.units);
  } else {
    const met = meetings.flatMap((meeting) => meet(context, flow, meeting));
    leave(context, cascade(context, [...tasks, ...met], units));
  }
  finish(context, flow);
}

function goOn(context: CascadeContext, task: Task, units: number): void {
  const walkId = walkIdOf(task);
  const left = cascade(context, [task], units);
  const more = left.find((other) => walkIdOf(other) === walkId);
  const type = more === undefined ? 'walk_ended' : 'walk_advanced';
  context.record({ type, walkId, at: context.now, ...factsOfTask(more ?? task) });
  leave(
    context,
    left.filter((other) => other !== more),
  );
}
