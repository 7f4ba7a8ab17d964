/** Which members a flow, a group or a parent no longer needs, and how they are cancelled. */
import type { Event } from '../events.js';
import { namingOf, type ReadonlyExecution } from '../execution/facts.js';
import { isRunnable, isTerminal } from '../execution/situation.js';
import { purgeAtOf } from '../schedule/retention.js';
import type { ReadonlyFlow } from './facts.js';
import { bucketOf } from './group.js';

export const WALKER = 'flow_cascade';

/** The reason for members that are cancelled because their group was satisfied without them. */
export const SIBLING_SATISFIED = 'sibling_quorum_satisfied';

/** The reason for members that are cancelled because too many others of their group did not complete. */
export const NO_QUORUM = 'sibling_quorum_impossible';

/** Whether a parent ended badly, so its children are no longer needed. */
export function hasOrphaned({ isParent, situation }: ReadonlyExecution): boolean {
  return isParent && isTerminal(situation) && bucketOf(situation) !== 'succeeded';
}

/** The cancellation reason of upstreams that a group or a parent no longer needs. */
export function siblingReason(group: ReadonlyExecution | undefined): string {
  if (group !== undefined && hasOrphaned(group)) return `parent_${group.situation}`;
  return group?.groupState === 'satisfied' ? SIBLING_SATISFIED : NO_QUORUM;
}

/** The reason of children whose parent was cancelled. */
export const PARENT_CANCELLED = 'parent_cancelled';

/** Whether a group or a parent gives this reason to upstreams that it no longer needs. */
export const isSiblingReason = (reason: string): boolean =>
  reason === SIBLING_SATISFIED || reason === NO_QUORUM || /^parent_(?:failed|cancelled|expired|skipped)$/.test(reason);

/** Whether a cancelled flow has yet to end this member. */
export function owesCancel({ flowState, cancellationPolicy }: ReadonlyFlow, { situation }: ReadonlyExecution): boolean {
  if (flowState !== 'cancelled' || cancellationPolicy === 'flow_only' || isTerminal(situation)) return false;
  return cancellationPolicy === 'cancel_all' || isRunnable(situation);
}

/** Cancels a member that its flow or a group no longer needs. */
export function cancellationOf(execution: ReadonlyExecution, reason: string, now: number, retentionMs: number): Event {
  return {
    type: 'execution_cancelled',
    executionId: execution.executionId,
    at: now,
    cancellationReason: reason,
    cancelledBy: WALKER,
    ...namingOf(execution),
    purgeAt: purgeAtOf(execution, now, retentionMs),
  };
}
