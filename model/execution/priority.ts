/**
 * changePriority: changes the urgency of waiting work. It keeps its age; queued work moves to its new place at once,
 * which is announced if it is the first. Spec 04 section 4.9; rulings 4 and 28.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, reject } from '../operation.js';
import { echoed } from '../core/wire-form.js';
import { partitionOfExecution } from '../ids.js';
import { LIMITS } from '../limits.js';
import { notEligible } from '../lease/fence.js';
import { isRunnable } from './situation.js';

export const changePriority = operation({
  name: 'changePriority',
  args: z.strictObject({
    executionId: field.executionId,
    /** Clamped into 0 to 9 000. */
    newPriority: field.priority,
    /** The requester. */
    requestedBy: field.requester,
  }),
  outcome: z.object({
    kind: z.literal('changed'),
    executionId: echoed(field.executionId),
    newPriority: echoed(field.integer(LIMITS.minPriority, LIMITS.maxPriority)),
  }),
  rejects: ['execution_not_found', 'execution_not_eligible'],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: { shared: [], each: ['executionId', 'newPriority', 'requestedBy'] },
  memory: 'frees',
  decide(view, { executionId, newPriority, requestedBy }, { now }) {
    const execution = view.executions.get(executionId);
    if (execution === undefined) return reject('execution_not_found');
    if (!isRunnable(execution.situation)) return notEligible(execution);
    const outcome = { kind: 'changed', executionId, newPriority } as const;
    if (execution.priority === newPriority) return accept(outcome);
    return accept(outcome, { type: 'priority_changed', executionId, at: now, priority: newPriority, requestedBy });
  },
});
