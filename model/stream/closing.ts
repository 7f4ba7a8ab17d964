/**
 * What ends of attempts and executions do to streams: the stream of an ended attempt is closed, however it ended, and a
 * purged execution has none. Spec 07 sections 6 and 7.
 */
import type { Event, EventType, ExecutionEvent } from '../events.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { isTerminal } from '../execution/situation.js';
import type { View } from '../view.js';
import { frameIdOf } from './contents.js';
import { streamIdOf, type ClosedReason } from './facts.js';

/** Events that end an attempt, and the close reason of each. */
const CLOSES: Partial<Record<EventType, ClosedReason>> = {
  execution_completed: 'attempt_success',
  retry_scheduled: 'attempt_failure',
  execution_failed: 'attempt_failure',
  execution_cancelled: 'attempt_cancelled',
  execution_expired: 'expired',
  execution_skipped: 'dependency_impossible',
  lease_expired: 'lease_expired',
  execution_claimed: 'reclaimed',
};

const NONE: readonly Event[] = [];

/** Whether an attempt of an execution is over, so that its stream accepts nothing. False before it began. */
export function isAttemptOver(execution: ReadonlyExecution, attemptIndex: number): boolean {
  const { situation, nextAttempt, totalAttemptCount } = execution;
  const current = totalAttemptCount - 1;
  if (attemptIndex < current || isTerminal(situation)) return attemptIndex <= current;
  const isInterrupted = situation === 'lease_expired' || nextAttempt === 'retry' || nextAttempt === 'replay';
  return attemptIndex === current && isInterrupted;
}

/** Whether an event ends an attempt or its execution, as it is after the event. A first claim ends none. */
export const endsAttempt = ({ type }: Event, { totalAttemptCount }: ReadonlyExecution): boolean =>
  CLOSES[type] !== undefined && (type !== 'execution_claimed' || totalAttemptCount > 1);

/** Whether an event ends a suspended execution because its wait timed out; nothing else fails a suspended execution. */
const isTimeout = (event: Event): boolean =>
  event.type === 'execution_failed' ||
  (event.type === 'execution_cancelled' && event.cancelledBy === 'suspension_timeout') ||
  (event.type === 'execution_expired' && event.expireReason === 'suspension_timeout:expire');

/** What follows from an event after it is recorded, judged by the execution before it. */
export function closedBy(view: View, event: ExecutionEvent, execution: ReadonlyExecution): readonly Event[] {
  const attemptIndex = execution.lastStreamIndex;
  const closes = attemptIndex === undefined ? undefined : CLOSES[event.type];
  if (attemptIndex === undefined || closes === undefined) return NONE;
  const { executionId, at } = event;
  const closedReason = execution.situation === 'suspended' && isTimeout(event) ? 'suspension_timeout' : closes;
  const streamId = streamIdOf(executionId, attemptIndex);
  const contents = view.streams.contents(streamId);
  if (contents === undefined || view.streams.get(streamId)?.closedAt !== undefined) return NONE;
  const { counters } = contents;
  const { frameCount, totalBytes } = counters;
  const lastFrameId = frameIdOf(counters);
  return [{ type: 'stream_closed', executionId, at, attemptIndex, closedReason, frameCount, totalBytes, lastFrameId }];
}

/** What must happen before an event of an execution. */
export function removedBefore(
  view: View,
  event: ExecutionEvent,
  { lastStreamIndex: last }: ReadonlyExecution,
): readonly Event[] {
  if (event.type !== 'execution_purged' || last === undefined) return NONE;
  const { executionId, at } = event;
  return Array.from({ length: last + 1 }, (_, attemptIndex) => attemptIndex)
    .filter((attemptIndex) => view.streams.get(streamIdOf(executionId, attemptIndex)) !== undefined)
    .map((attemptIndex) => ({ type: 'stream_removed', executionId, at, attemptIndex }));
}
