/**
 * expirePendingWaitpoint: expires a waitpoint that no suspension used in time. `applyDue` makes the same transition
 * when it is due. Safe at any time, because it checks the time itself. Spec 06 section 10.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation } from '../operation.js';
import { partitionOfExecution } from '../ids.js';

export const expirePendingWaitpoint = operation({
  name: 'expirePendingWaitpoint',
  args: z.strictObject({ executionId: field.executionId, waitpointId: field.plainUuid }),
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('waitpoint_expired') }),
    z.object({
      kind: z.literal('already_satisfied'),
      reason: z.enum(['not_found_cleaned', 'not_pending_cleaned', 'not_yet_due']),
    }),
  ]),
  rejects: [],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: { shared: [], each: ['executionId', 'waitpointId'] },
  memory: 'frees',
  decide(view, { executionId, waitpointId }, { now }) {
    const waitpoint = view.executions.get(executionId)?.waiting?.waitpoints[waitpointId];
    if (waitpoint === undefined) return accept({ kind: 'already_satisfied', reason: 'not_found_cleaned' });
    if (waitpoint.waitpointState !== 'pending')
      return accept({ kind: 'already_satisfied', reason: 'not_pending_cleaned' });
    if ((waitpoint.expiresAt ?? Infinity) > now) return accept({ kind: 'already_satisfied', reason: 'not_yet_due' });
    return accept(
      { kind: 'waitpoint_expired' },
      { type: 'pending_waitpoint_expired', executionId, at: now, waitpointId },
    );
  },
});
