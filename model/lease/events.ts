/** What can happen to the lease of an execution. */
import { z } from 'zod';
import { event } from '../core/event.js';
import * as field from '../core/fields.js';

export const ATTEMPT_TYPES = ['initial', 'retry', 'reclaim'] as const;
export type AttemptType = (typeof ATTEMPT_TYPES)[number];

const acquisition = {
  attemptId: field.uuid,
  attemptIndex: field.attemptIndex,
  leaseId: field.uuid,
  leaseEpoch: field.leaseEpoch,
  leaseExpiresAt: field.timestampMs,
  workerId: field.workerId,
  workerInstanceId: field.workerInstanceId,
  attemptTimeoutAt: field.timestampMs.optional(),
} as const;

export const leaseEvents = {
  /** A worker took the execution and began a new attempt. */
  execution_claimed: event('execution_claimed', { attemptType: z.enum(ATTEMPT_TYPES), ...acquisition }),
  /** A worker took the execution and goes on with its interrupted attempt. */
  execution_resumed: event('execution_resumed', acquisition),
  lease_renewed: event('lease_renewed', { leaseExpiresAt: field.timestampMs }),
  /** The lease ran out and that was noticed; the execution waits to be reclaimed. */
  lease_expired: event('lease_expired', {}),
  lease_revoked: event('lease_revoked', { reason: field.reason }),
  /** The worker handed the execution back unfinished; the attempt goes on elsewhere. */
  lease_released: event('lease_released', { attemptTimeoutRemainingMs: field.durationMs.optional() }),
} as const;
