/** What due work costs, so that one pass over it is a short call. The Lua twin is `units_of` in `apply-due.lua`. */
import type { Event } from '../events.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { SUSPENSION_UNITS } from '../limits.js';
import { suspensionIn } from '../suspension/timeout.js';

const ENDINGS: ReadonlySet<Event['type']> = new Set<Event['type']>([
  'execution_failed',
  'execution_cancelled',
  'execution_expired',
]);

/** Units of work of these events of an execution: every waitpoint that they close is a record that is written. */
export function unitsOf(execution: ReadonlyExecution, events: readonly Event[]): number {
  const isEnd = events.some(({ type }) => ENDINGS.has(type));
  const expired = events.filter(({ type }) => type === 'pending_waitpoint_expired').length;
  const pending = isEnd ? (execution.waiting?.pendingIds.length ?? 0) : 0;
  const isClosed = isEnd || events.some(({ type }) => type === 'suspension_closed');
  const suspension = isClosed ? suspensionIn(execution) : undefined;
  const closed = suspension === undefined ? 0 : SUSPENSION_UNITS + suspension.waitpointIds.length;
  return Math.max(1, expired) + pending + closed;
}
