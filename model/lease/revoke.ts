/** revokeLease: an operator takes a lease away at once; the work can be reclaimed. Spec 05 section 4.3. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, reject } from '../operation.js';
import { isActive } from '../execution/situation.js';
import { partitionOfExecution } from '../ids.js';
import { notActive } from './fence.js';

export const revokeLease = operation({
  name: 'revokeLease',
  args: z.strictObject({
    executionId: field.executionId,
    /** Refuse unless this is the current lease. */
    expectedLeaseId: field.uuid.optional(),
    reason: field.reason.default('operator'),
  }),
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('revoked'), leaseId: field.uuid, leaseEpoch: field.leaseEpoch }),
    z.object({ kind: z.literal('already_satisfied'), reason: z.enum(['already_revoked', 'already_expired']) }),
  ]),
  rejects: ['execution_not_found', 'execution_not_active', 'stale_lease'],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: { shared: [], each: ['executionId', 'expectedLeaseId', 'reason'] },
  memory: 'frees',
  decide(view, { executionId, expectedLeaseId, reason }, { now }) {
    const execution = view.executions.get(executionId);
    if (execution === undefined) return reject('execution_not_found');
    if (!isActive(execution)) return notActive(execution);
    if (execution.situation === 'lease_revoked')
      return accept({ kind: 'already_satisfied', reason: 'already_revoked' });
    if (execution.situation === 'lease_expired')
      return accept({ kind: 'already_satisfied', reason: 'already_expired' });
    if (expectedLeaseId !== undefined && expectedLeaseId !== execution.currentLeaseId) return reject('stale_lease');
    return accept(
      { kind: 'revoked', leaseId: execution.currentLeaseId as string, leaseEpoch: execution.currentLeaseEpoch },
      { type: 'lease_revoked', executionId, at: now, reason },
    );
  },
});
