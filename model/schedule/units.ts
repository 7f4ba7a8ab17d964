/** What due work costs, so that one pass over it is a short call. The Lua twin is `units_of` in `apply-due.lua`. */
import type { Event } from '../events.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { SUSPENSION_UNITS } from '../limits.js';
import { suspensionIn } from '../suspension/timeout.js';

const ENDINGS: ReadonlySet<Event['type']> = new Set<Event['type']>([
  'execution_failed',
  'execution_cancelled',
  'execution_expired',
  'execution_skipped',
]);

/** Units of work of these events of an execution: every waitpoint that they close is a record that is written. */
export function unitsOf(execution: ReadonlyExecution, events: readonly Event[]): number {
  const expired = events.filter(({ type }) => type === 'pending_waitpoint_expired').length;
  return Math.max(1, expired) + unitsOfClosing(execution, events);
}

/** Units of work of the waitpoints that these events close together with a suspension, or because the execution ends. */
export function unitsOfClosing(execution: ReadonlyExecution, events: readonly Event[]): number {
  const isEnd = events.some(({ type }) => ENDINGS.has(type));
  const pending = isEnd ? (execution.waiting?.pendingIds.length ?? 0) : 0;
  const isClosed = isEnd || events.some(({ type }) => type === 'suspension_closed');
  const suspension = isClosed ? suspensionIn(execution) : undefined;
  return pending + (suspension === undefined ? 0 : SUSPENSION_UNITS + suspension.waitpointIds.length);
}
