/** markLeaseExpiredIfDue: records that a lease ran out, so that the work can be reclaimed. Spec 05 section 4.2. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation } from '../operation.js';
import { isActive } from '../execution/situation.js';
import { partitionOfExecution } from '../ids.js';

export const markLeaseExpiredIfDue = operation({
  name: 'markLeaseExpiredIfDue',
  args: z.strictObject({ executionId: field.executionId }),
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('marked_expired') }),
    z.object({
      kind: z.literal('already_satisfied'),
      reason: z.enum(['execution_not_found', 'not_active', 'already_expired', 'already_revoked', 'not_yet_expired']),
    }),
  ]),
  rejects: [],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: { shared: [], each: ['executionId'] },
  memory: 'frees',
  decide(view, { executionId }, { now }) {
    const execution = view.executions.get(executionId);
    if (execution === undefined) return accept({ kind: 'already_satisfied', reason: 'execution_not_found' });
    if (!isActive(execution)) return accept({ kind: 'already_satisfied', reason: 'not_active' });
    if (execution.situation === 'lease_expired')
      return accept({ kind: 'already_satisfied', reason: 'already_expired' });
    if (execution.situation === 'lease_revoked')
      return accept({ kind: 'already_satisfied', reason: 'already_revoked' });
    if ((execution.dueAt ?? 0) > now) return accept({ kind: 'already_satisfied', reason: 'not_yet_expired' });
    return accept({ kind: 'marked_expired' }, { type: 'lease_expired', executionId, at: now });
  },
});
