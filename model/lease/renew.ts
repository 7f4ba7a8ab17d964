/** renewLease: a lease holder extends its lease. Spec 05 section 4.1. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { withReader } from '../core/wire-form.js';
import { accept, operation, reject } from '../operation.js';
import { partitionOfExecution } from '../ids.js';
import { DEFAULTS } from '../limits.js';
import { WORK_REJECTIONS, fenceShape, workVerdict, type Fence } from './fence.js';

const renewed = z.object({ kind: z.literal('renewed'), expiresAt: field.timestampMs, leaseEpoch: field.leaseEpoch });

export const renewLease = operation({
  name: 'renewLease',
  args: z.strictObject({
    executionId: field.executionId,
    attemptIndex: field.attemptIndex.optional(),
    fence: field.fence.optional(),
    leaseTtlMs: field.leaseTtlMs.default(DEFAULTS.leaseTtlMs),
  }),
  outcome: withReader(renewed, (answer, { fence }: { fence?: Fence }) => ({
    kind: 'renewed',
    expiresAt: answer.number(),
    // A caller that passes the fence check has named it.
    leaseEpoch: fence?.leaseEpoch,
  })),
  rejects: ['execution_not_found', ...WORK_REJECTIONS],
  partition: (args) => partitionOfExecution(args.executionId),
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
      { kind: 'renewed', expiresAt, leaseEpoch: execution.currentLeaseEpoch },
      { type: 'lease_renewed', executionId: args.executionId, at: now, leaseExpiresAt: expiresAt },
    );
  },
});
