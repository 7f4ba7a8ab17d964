/**
 * Waitpoints that wait for a suspension to use them. They belong to the execution and not to an attempt: a token that was
 * handed out stays good when the worker crashes before it suspends. The earliest time at which one of them is over is a fact
 * of the execution, so that it is one more of its timers. Spec 06 sections 2 and 4.
 */
import type { Execution, ReadonlyExecution } from '../execution/facts.js';
import type { Waitpoint } from './facts.js';

/** Notes when the next of them is over. */
export function noteNextExpiry(execution: Execution): void {
  const { pendingIds = [], waitpoints = {} } = execution.waiting ?? {};
  const times = pendingIds.map((id) => waitpoints[id]?.expiresAt ?? Infinity);
  execution.pendingExpiresAt = times.length === 0 ? undefined : Math.min(...times);
}

/** One of them is no longer one. Answers it. */
export function leavePending(execution: Execution, waitpointId: string): Waitpoint | undefined {
  const { waiting } = execution;
  if (waiting === undefined) return undefined;
  waiting.pendingIds = waiting.pendingIds.filter((id) => id !== waitpointId);
  noteNextExpiry(execution);
  return waiting.waitpoints[waitpointId];
}

/** Closes all of them. */
export function closePending(execution: Execution, at: number, closeReason: string): void {
  for (const id of execution.waiting?.pendingIds ?? []) {
    const waitpoint = leavePending(execution, id);
    if (waitpoint === undefined) continue;
    waitpoint.waitpointState = 'closed';
    waitpoint.closedAt = at;
    waitpoint.closeReason = closeReason;
  }
}

/** Those whose time has come, oldest first. */
export function lapsedPending({ waiting }: ReadonlyExecution, now: number): readonly string[] {
  return (waiting?.pendingIds ?? []).filter((id) => (waiting?.waitpoints[id]?.expiresAt ?? Infinity) <= now);
}
