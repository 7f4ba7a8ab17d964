/** Applies the timeout of a suspension, with the effect that its worker requested. Spec 06 section 10. */
import type { Event } from '../events.js';
import { namingOf, type ReadonlyExecution } from '../execution/facts.js';
import { purgeAtOf } from '../schedule/retention.js';
import { NOTHING_CARRIED, TIMEOUT_SIGNAL, type TimeoutBehavior } from './facts.js';

/** Failure category, and signal source, of a suspension that timed out. */
export const SUSPENSION_TIMEOUT = 'suspension_timeout';

/** The open suspension of a suspended execution. */
export function suspensionIn({ situation, waiting }: ReadonlyExecution) {
  return situation === 'suspended' ? waiting?.suspension : undefined;
}

/** The events of a timeout. The execution must be suspended. */
export function suspensionTimeout(
  execution: ReadonlyExecution,
  { now, retentionMs }: { now: number; retentionMs: number },
): readonly Event[] {
  const { executionId } = execution;
  const suspension = suspensionIn(execution);
  const behavior: TimeoutBehavior = suspension?.timeoutBehavior ?? 'fail';
  const purgeAt = purgeAtOf(execution, now, retentionMs);
  const closed = (closeReason: string, resumeTrigger = '', closerSignalId = ''): Event => ({
    type: 'suspension_closed',
    executionId,
    at: now,
    closeReason,
    resumeTrigger,
    closerSignalId,
    delayUntil: undefined,
  });
  const ending = { executionId, at: now, ...namingOf(execution), purgeAt };
  const reason = `${SUSPENSION_TIMEOUT}:${behavior}`;
  switch (behavior) {
    case 'fail':
      return [
        closed('timed_out_fail'),
        {
          type: 'execution_failed',
          ...ending,
          failureReason: reason,
          failureCategory: SUSPENSION_TIMEOUT,
          failureDetail: undefined,
        },
      ];
    case 'cancel':
      return [
        closed('timed_out_cancel'),
        { type: 'execution_cancelled', ...ending, cancellationReason: reason, cancelledBy: SUSPENSION_TIMEOUT },
      ];
    case 'expire':
      return [
        closed('timed_out_expire'),
        { type: 'execution_expired', ...ending, expireReason: 'suspension_timeout:expire' },
      ];
    case 'auto_resume':
      return [closed('timed_out_auto_resume', 'timeout')];
    case 'auto_resume_with_timeout_signal': {
      const { suspensionId = '', waitpointIds = [] } = suspension ?? {};
      // A sender has used the id for a signal of its own, which stays.
      if (execution.waiting?.signals[suspensionId] !== undefined) return [closed('timed_out_auto_resume', 'timeout')];
      return [
        timeoutSignal(execution, now, suspensionId, waitpointIds[0] ?? ''),
        closed('timed_out_auto_resume', 'timeout', suspensionId),
      ];
    }
    case 'escalate':
      return [{ type: 'suspension_escalated', executionId, at: now }];
  }
}

/** The signal that represents the timeout; its id is that of the suspension. */
function timeoutSignal(execution: ReadonlyExecution, at: number, signalId: string, waitpointId: string): Event {
  return {
    type: 'signal_accepted',
    executionId: execution.executionId,
    at,
    signalId,
    waitpointId,
    signalName: TIMEOUT_SIGNAL,
    signalCategory: 'timeout',
    sourceType: 'engine',
    sourceIdentity: SUSPENSION_TIMEOUT,
    signalKey: '',
    signalKeyExpiresAt: undefined,
    effect: 'no_op',
    added: '',
    ...NOTHING_CARRIED,
    ...namingOf(execution),
  };
}
