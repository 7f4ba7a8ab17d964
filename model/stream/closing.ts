/**
 * What the end of an attempt, and of an execution, does to streams: an attempt that ended has no open stream, whatever
 * ended it; an execution that is purged has none at all. Spec 07 sections 6 and 7.
 */
import type { Event, EventType, ExecutionEvent } from '../events.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { isTerminal } from '../execution/situation.js';
import type { View } from '../view.js';
import { frameIdOf } from './contents.js';
import { streamIdOf, type ClosedReason } from './facts.js';

/** Events that end an attempt, and what its stream is closed with. */
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

/** Whether an attempt of an execution is over: nothing is appended to its stream any more. False before it began. */
export function isAttemptOver(execution: ReadonlyExecution, attemptIndex: number): boolean {
  const { situation, nextAttempt, totalAttemptCount } = execution;
  const current = totalAttemptCount - 1;
  if (attemptIndex < current || isTerminal(situation)) return attemptIndex <= current;
  const isInterrupted = situation === 'lease_expired' || nextAttempt === 'retry' || nextAttempt === 'replay';
  return attemptIndex === current && isInterrupted;
}

/** Whether an attempt, or its execution, ends by an event. */
export const endsAttempt = ({ type }: Event): boolean => CLOSES[type] !== undefined;

/** Whether a wait that ran out of its time ends an execution by this: nothing else fails one that waits. */
const isTimeout = (event: Event): boolean =>
  event.type === 'execution_failed' ||
  (event.type === 'execution_cancelled' && event.cancelledBy === 'suspension_timeout') ||
  (event.type === 'execution_expired' && event.expireReason === 'suspension_timeout');

/** What an event brings with it, once it is recorded; judged by the execution before it. */
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

/** What has to happen before an event to an execution. */
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
