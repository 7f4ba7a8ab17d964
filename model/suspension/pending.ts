/**
 * Waitpoints that no suspension has used yet. They belong to the execution, not to an attempt: a token that was handed
 * out stays valid when the worker crashes before it suspends. The earliest expiry among them is a fact of the
 * execution, which makes it one of its timers. Spec 06 sections 2 and 4.
 */
import type { Execution, ReadonlyExecution } from '../execution/facts.js';
import type { Waitpoint } from './facts.js';

/** Records the earliest expiry of the unused waitpoints. */
export function noteNextExpiry(execution: Execution): void {
  const { pendingIds = [], waitpoints = {} } = execution.waiting ?? {};
  const times = pendingIds.map((id) => waitpoints[id]?.expiresAt ?? Infinity);
  execution.pendingExpiresAt = times.length === 0 ? undefined : Math.min(...times);
}

/** Removes a waitpoint from the unused ones and returns it. */
export function leavePending(execution: Execution, waitpointId: string): Waitpoint | undefined {
  const { waiting } = execution;
  if (waiting === undefined) return undefined;
  waiting.pendingIds = waiting.pendingIds.filter((id) => id !== waitpointId);
  noteNextExpiry(execution);
  return waiting.waitpoints[waitpointId];
}

/** Closes all unused waitpoints. */
export function closePending(execution: Execution, at: number, closeReason: string): void {
  for (const id of execution.waiting?.pendingIds ?? []) {
    const waitpoint = leavePending(execution, id);
    if (waitpoint === undefined) continue;
    waitpoint.waitpointState = 'closed';
    waitpoint.closedAt = at;
    waitpoint.closeReason = closeReason;
  }
}

/** Ids of unused waitpoints that have expired, oldest first. */
export function lapsedPending({ waiting }: ReadonlyExecution, now: number): readonly string[] {
  return (waiting?.pendingIds ?? []).filter((id) => (waiting?.waitpoints[id]?.expiresAt ?? Infinity) <= now);
}
