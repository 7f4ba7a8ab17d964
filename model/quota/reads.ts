/** readQuotaPolicyLimits: what a policy limits, and how much of it is used. Spec 09 section 5. */
import { z } from 'zod';
import { accept, query } from '../operation.js';
import { partitionOfId } from '../families.js';
import { quotaPolicyId } from './fields.js';
import { inWindow, rateRetryMs, roomOf, slotsOf, waitersOf } from './room.js';

/** A quota policy and its use. */
export interface QuotaStatus {
  readonly quotaPolicyId: string;
  readonly windowSeconds: number;
  readonly maxRequestsPerWindow: number;
  readonly maxConcurrent: number;
  readonly jitterMs: number;
  readonly slotTtlMs: number;
  /** Created for a key at its first use. */
  readonly keyed: boolean;
  readonly createdAt: number;
  /** Admissions held: by running work, and by claims about to be made. */
  readonly held: number;
  /** Admissions in the window that ends now. */
  readonly inWindow: number;
  /** When the rate has room again, ms since the epoch; absent when it has room. */
  readonly roomAt: number | undefined;
  /** Claimers that were refused and wait. */
  readonly waiting: number;
}

export const readQuotaPolicyLimits = query({
  name: 'readQuotaPolicyLimits',
  family: 'quota',
  args: z.strictObject({ quotaPolicyId }),
  rejects: [],
  partition: (args, counts) => partitionOfId('quota', args.quotaPolicyId, counts),
  read(view, args, { now }) {
    const policy = view.quotas.policy(args.quotaPolicyId);
    if (policy === undefined) return accept<QuotaStatus | undefined>(undefined);
    const isFull = roomOf(policy, now).rate <= 0;
    return accept<QuotaStatus | undefined>({
      quotaPolicyId: policy.quotaPolicyId,
      windowSeconds: policy.windowMs / 1_000,
      maxRequestsPerWindow: policy.maxRequests,
      maxConcurrent: policy.concurrencyCap,
      jitterMs: policy.jitterMs,
      slotTtlMs: policy.slotTtlMs,
      keyed: policy.keyed,
      createdAt: policy.createdAt,
      held: Object.keys(slotsOf(policy)).length,
      inWindow: inWindow(policy, now).length,
      roomAt: isFull ? now + rateRetryMs(policy, now) : undefined,
      waiting: Object.values(waitersOf(policy)).filter(({ expiresAt }) => expiresAt > now).length,
    });
  },
});
