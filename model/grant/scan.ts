/**
 * scanEligibleExecutions: the executions that a scheduler can issue grants for, in the order of claims. Held and
 * granted ones are left out. Spec 05 section 9.6.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, query } from '../operation.js';

export const scanEligibleExecutions = query({
  name: 'scanEligibleExecutions',
  args: z.strictObject({
    partition: field.partitionKey,
    laneId: field.laneId,
    /** `waiting`: for `issueClaimGrant`. `lost`: the lease lapsed or was revoked, for `issueReclaimGrant`. */
    among: z.enum(['waiting', 'lost']).default('waiting'),
    /** Only executions that need no other capabilities; absent: all. */
    workerCapabilities: field.capabilities.optional(),
    /** Only executions of these kinds; absent: all. */
    kinds: field.kinds.optional(),
    limit: field.pageSize,
  }),
  rejects: [],
  partition: ({ partition }) => partition,
  /** Ids, in the order of claims. */
  read(view, { laneId, among, workerCapabilities, kinds, limit }) {
    const offer = {
      kinds: kinds === undefined ? undefined : new Set(kinds),
      capabilities: workerCapabilities === undefined ? undefined : new Set(workerCapabilities),
    };
    return accept<readonly string[]>(view.schedule.eligible(laneId, offer, among, limit));
  },
});
