/** How a suspended execution resumes. Spec 06 sections 7 and 9. */
import type { Event } from '../events.js';
import { LIMITS } from '../limits.js';
import { CHILDREN_ENDED, type RESUME_TRIGGERS } from './facts.js';

/** The event that resumes an execution, after an optional delay, ms. */
export function resumption(
  executionId: string,
  now: number,
  delayMs: number,
  { trigger, signalId = '' }: { trigger: keyof typeof RESUME_TRIGGERS; signalId?: string },
): Event {
  return {
    type: 'suspension_closed',
    executionId,
    at: now,
    closeReason: trigger === 'children' ? CHILDREN_ENDED : 'resumed',
    resumeTrigger: trigger,
    closerSignalId: signalId,
    delayUntil: delayMs === 0 ? undefined : Math.min(now + delayMs, LIMITS.maxInteger),
  };
}
