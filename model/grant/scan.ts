/**
 * scanEligibleExecutions: what a scheduler can issue grants for, in the order in which claims would take it. What is
 * held or granted is left out. Spec 05 section 9.6.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, query } from '../core/operation.js';

export const scanEligibleExecutions = query({
  name: 'scanEligibleExecutions',
  args: z.object({
    partition: field.partitionKey,
    laneId: field.laneId,
    /** `waiting`: for `issueClaimGrant`. `lost`: its lease ran out or was revoked, for `issueReclaimGrant`. */
    among: z.enum(['waiting', 'lost']).default('waiting'),
    /** Only what needs no more than these; absent, whatever it needs. */
    workerCapabilities: field.capabilities.optional(),
    /** Only work of these kinds; absent, of any. */
    kinds: field.kinds.optional(),
    limit: field.pageSize,
  }),
  rejects: [],
  partition: ({ partition }) => partition,
  /** Ids, the one that comes first first. */
  read(view, { laneId, among, workerCapabilities, kinds, limit }) {
    const offer = {
      kinds: kinds === undefined ? undefined : new Set(kinds),
      capabilities: workerCapabilities === undefined ? undefined : new Set(workerCapabilities),
    };
    return accept<readonly string[]>(view.schedule.eligible(laneId, offer, among, limit));
  },
});
