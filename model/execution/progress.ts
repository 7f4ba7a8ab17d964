/** updateProgress: a lease holder reports its progress. Spec 04 section 4.10. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, reject } from '../operation.js';
import { partitionOfExecution } from '../ids.js';
import { workVerdict } from '../lease/fence.js';

export const updateProgress = operation({
  name: 'updateProgress',
  args: z.strictObject({
    executionId: field.executionId,
    leaseId: field.uuid,
    leaseEpoch: field.leaseEpoch,
    attemptId: field.uuid,
    /** Absent: keeps the last value. */
    progressPct: field.percent.optional(),
    /** Absent or empty: keeps the last message. */
    progressMessage: field.progressMessage.optional(),
  }),
  outcome: z.object({ kind: z.literal('updated') }),
  rejects: [
    'execution_not_found',
    'execution_not_active',
    'lease_revoked',
    'lease_expired',
    'stale_lease',
    'attempt_timed_out',
    'execution_deadline_passed',
  ],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: {
    shared: [],
    each: ['executionId', { fence: ['leaseEpoch', 'leaseId', 'attemptId'] }, 'progressPct', 'progressMessage'],
  },
  memory: 'frees',
  decide(view, args, { now }) {
    const execution = view.executions.get(args.executionId);
    if (execution === undefined) return reject('execution_not_found');
    const refusal = workVerdict(execution, { fence: args }, now);
    if (refusal !== undefined) return refusal;
    const { progressPct } = args;
    const progressMessage = args.progressMessage || undefined;
    return accept(
      { kind: 'updated' },
      { type: 'progress_updated', executionId: args.executionId, at: now, progressPct, progressMessage },
    );
  },
});
