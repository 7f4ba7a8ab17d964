/** renewLease: a lease holder stays the owner for longer. Spec 05 section 4.1. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, reject } from '../core/operation.js';
import { partitionOfExecution } from '../ids.js';
import { DEFAULTS } from '../limits.js';
import { WORK_REJECTIONS, fenceShape, workVerdict } from './fence.js';

export const renewLease = operation({
  name: 'renewLease',
  args: z.object({
    executionId: field.executionId,
    attemptIndex: field.attemptIndex.optional(),
    fence: field.fence.optional(),
    leaseTtlMs: field.leaseTtlMs.default(DEFAULTS.leaseTtlMs),
  }),
  outcome: z.object({ kind: z.literal('renewed'), expiresAt: field.timestampMs }),
  rejects: ['execution_not_found', ...WORK_REJECTIONS],
  partition: (args) => partitionOfExecution(args.executionId),
  keys: ({ executionId }) => [['execution', executionId], ['timers']],
  wire: { shared: ['leaseTtlMs', 'attemptIndex'], each: ['executionId', 'fence'] },
  memory: 'frees',
  decide(view, args, { now }) {
    const execution = view.executions.get(args.executionId);
    if (execution === undefined) return reject('execution_not_found');
    const claimant = { fence: args.fence, attemptIndex: args.attemptIndex };
    const refusal = fenceShape(claimant) ?? workVerdict(execution, claimant, now);
    if (refusal !== undefined) return refusal;
    // A renewal never shortens a lease.
    const expiresAt = Math.max(execution.dueAt ?? 0, now + args.leaseTtlMs);
    return accept(
      { kind: 'renewed', expiresAt },
      { type: 'lease_renewed', executionId: args.executionId, at: now, leaseExpiresAt: expiresAt },
    );
  },
});
