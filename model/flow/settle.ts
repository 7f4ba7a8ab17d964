/** What a command means for others in its flow, beyond its own events. The Lua twin is `lua/flow/cascade.lua`. */
import type { Event } from '../events.js';
import {
  cascade,
  endOf,
  factsOfTask,
  finish,
  leave,
  meet,
  UNITS_AT_ONCE,
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

const ENDS: ReadonlySet<Event['type']> = new Set<Event['type']>([
  'execution_completed',
  'execution_failed',
  'execution_cancelled',
  'execution_expired',
]);

/** Whether an event ends an execution. */
export const isEnd = (event: Event): event is Extract<Event, { executionId: string }> => ENDS.has(event.type);

/** What the end of an execution means for others, if it is in a flow. `units` are done at once. */
export function settleEnd(context: CascadeContext, executionId: string, units: number): void {
  const execution = context.view.executions.get(executionId);
  if (execution?.flow === undefined) return;
  leave(context, cascade(context, [endOf(execution)], units));
  finish(context, execution.flow);
}

/** What a decision left to be done. */
export function settle(context: CascadeContext, { flow, meetings = [], tasks = [], walk }: Aftermath): void {
  if (walk !== undefined) {
    goOn(context, walk.task, walk.units);
  } else {
    const met = meetings.flatMap((meeting) => meet(context, flow, meeting));
    leave(context, cascade(context, [...tasks, ...met], UNITS_AT_ONCE));
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
