/**
 * A recipe says what an event does to its execution, by mutation. Run through immer's `produce` it is a pure
 * function (the spec, the explorer, time travel); run on a plain object it is the memory backend's hot path.
 */
import type { EventNamed, EventType } from '../events.js';
import type { Execution } from '../execution/execution.js';
import type { Situation } from '../execution/situation.js';

export type Recipe<Type extends EventType> = (execution: Execution, event: EventNamed<Type>) => void;

/** Moves the execution into a situation. `dueAt` is the time that belongs to it, see `Execution.dueAt`. */
export function become(execution: Execution, situation: Situation, at: number, dueAt: number | undefined): void {
  execution.situation = situation;
  execution.dueAt = dueAt;
  execution.lastTransitionAt = at;
}

/** Ends the ownership of whoever held the execution: one routine for every way out (spec 04 section 2.4). */
export function releaseLease(execution: Execution): void {
  execution.currentLeaseId = undefined;
  execution.currentWorkerId = undefined;
  execution.currentWorkerInstanceId = undefined;
  execution.leaseLastRenewedAt = undefined;
  execution.leaseRevokeReason = undefined;
  execution.attemptTimeoutAt = undefined;
}

/** Ends the execution. */
export function end(execution: Execution, situation: Situation, at: number, purgeAt: number): void {
  releaseLease(execution);
  execution.nextAttempt = 'first';
  execution.attemptTimeoutRemainingMs = undefined;
  become(execution, situation, at, purgeAt);
}
