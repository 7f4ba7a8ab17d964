/** What can happen to an execution, apart from what happens to its lease. */
import { z } from 'zod';
import { event } from '../core/event.js';
import * as field from '../core/fields.js';
import { executionPolicy } from './policy.js';

export const EXPIRE_REASONS = ['attempt_timeout', 'execution_deadline'] as const;

export const executionEvents = {
  execution_created: event('execution_created', {
    namespace: field.namespace,
    laneId: field.laneId,
    executionKind: field.executionKind,
    creatorIdentity: field.creatorIdentity,
    priority: field.priority,
    requiredCapabilities: field.capabilities,
    tags: field.tags,
    policy: executionPolicy.optional(),
    payloadBytes: field.count,
    payloadEncoding: field.encoding.optional(),
    delayUntil: field.timestampMs.optional(),
    executionDeadlineAt: field.timestampMs.optional(),
    idempotencyKey: field.idempotencyKey.optional(),
    idempotencyExpiresAt: field.timestampMs.optional(),
  }),
  progress_updated: event('progress_updated', {
    progressPct: field.percent.optional(),
    progressMessage: field.progressMessage.optional(),
  }),
  execution_completed: event('execution_completed', {
    resultBytes: field.count.optional(),
    resultEncoding: field.encoding.optional(),
    purgeAt: field.timestampMs,
  }),
  /** An attempt ended in failure and another one will follow. */
  retry_scheduled: event('retry_scheduled', {
    failureReason: field.reason,
    failureCategory: field.category,
    delayUntil: field.timestampMs,
  }),
  /** The execution ended in failure: no try is left, or its lease lapsed too often. */
  execution_failed: event('execution_failed', {
    failureReason: field.reason,
    failureCategory: field.category,
    purgeAt: field.timestampMs,
  }),
  execution_cancelled: event('execution_cancelled', {
    cancellationReason: field.reason,
    cancelledBy: z.string(),
    purgeAt: field.timestampMs,
  }),
  execution_expired: event('execution_expired', {
    expireReason: z.enum(EXPIRE_REASONS),
    purgeAt: field.timestampMs,
  }),
  /** The worker parked its attempt until a time; the attempt goes on afterwards. */
  execution_delayed: event('execution_delayed', {
    delayUntil: field.timestampMs,
    attemptTimeoutRemainingMs: field.durationMs.optional(),
  }),
  execution_promoted: event('execution_promoted', {}),
  execution_purged: event('execution_purged', {}),
} as const;
