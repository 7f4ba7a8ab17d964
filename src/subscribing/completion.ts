/** Ends of executions, as the log tells them. */
import type { Event, ReadEvent } from '../../model/events.js';
import { laneNameOf } from '../shared/lane-names.js';

/** How an execution ended. */
export interface Completion {
  readonly executionId: string;
  readonly outcome: 'success' | 'failed' | 'cancelled' | 'expired' | 'skipped';
  /** Ms since the epoch. */
  readonly at: number;
  readonly namespace: string;
  /** The name of the lane, as tasks have it. */
  readonly lane: string;
  readonly kind: string;
  /** The stored reason; absent on success. */
  readonly reason: string | undefined;
  /** Category of a failure. */
  readonly category: string | undefined;
  /** The source of a cancellation, a `CancelSource`; absent when it was not cancelled. */
  readonly cancelledBy: string | undefined;
  /** Size of the result, bytes; absent without one. */
  readonly resultBytes: number | undefined;
  readonly resultEncoding: string | undefined;
}

/** The types of the events that end an execution. */
export const ENDING_TYPES = [
  'execution_completed',
  'execution_failed',
  'execution_cancelled',
  'execution_expired',
  'execution_skipped',
] as const;

export interface Ending {
  readonly type: (typeof ENDING_TYPES)[number];
}

/** How and why an event ends an execution; undefined when it does not. */
function endingOf(event: ReadEvent): Pick<Completion, 'outcome' | 'reason' | 'category'> | undefined {
  switch (event.type) {
    case 'execution_completed':
      return { outcome: 'success', reason: undefined, category: undefined };
    case 'execution_failed':
      return { outcome: 'failed', reason: event.failureReason, category: event.failureCategory };
    case 'execution_cancelled':
      return { outcome: 'cancelled', reason: event.cancellationReason, category: undefined };
    case 'execution_expired':
      return { outcome: 'expired', reason: event.expireReason, category: undefined };
    // Its dependencies can no longer be met.
    case 'execution_skipped':
      return { outcome: 'skipped', reason: undefined, category: undefined };
    default:
      return undefined;
  }
}

/** The completion in an event; undefined for other events. */
export function completionOf(event: ReadEvent): Completion | undefined {
  const ending = endingOf(event);
  if (ending === undefined) return undefined;
  const { executionId, at, namespace, laneId, executionKind: kind } = event as Extract<Event, Ending>;
  const result = event.type === 'execution_completed' ? event : undefined;
  const cancelledBy = event.type === 'execution_cancelled' ? event.cancelledBy : undefined;
  return {
    ...{ executionId, at, namespace, lane: laneNameOf(laneId), kind },
    ...ending,
    cancelledBy,
    resultBytes: result?.resultBytes,
    resultEncoding: result?.resultEncoding,
  };
}
