/** Arguments of operations on quota policies. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { withWireForm } from '../core/wire-form.js';
import { DEFAULTS, LIMITS } from '../limits.js';
import type { QuotaLimits } from './facts.js';

export const quotaPolicyId = field.plainUuid;

/** The limits of a policy, as callers give them. */
export const givenLimits = {
  /** Length of the sliding window, s; at least 1 with a rate limit. */
  windowSeconds: field.integer(0, LIMITS.maxQuotaWindowSeconds).default(0),
  /** Admissions in any window of this length; 0 for any number. */
  maxRequestsPerWindow: field.integer(0, LIMITS.maxQuotaRate).default(0),
  /** Admissions held at once; 0 for any number. */
  maxConcurrent: field.integer(0, LIMITS.maxQuotaConcurrency).default(0),
  /** Upper bound of the random time added to a refused caller's retry, ms, so that not all retry at once. */
  jitterMs: field.integer(0, LIMITS.maxWaiterTtlMs).default(0),
  /** How long an admission may wait for its claim before its use must be confirmed, ms. */
  slotTtlMs: field.integer(LIMITS.minSlotTtlMs, LIMITS.maxSlotTtlMs).default(DEFAULTS.slotTtlMs),
};

/** Their names, in the order in which they are stored. */
export const LIMIT_NAMES = ['windowSeconds', 'maxRequestsPerWindow', 'maxConcurrent', 'jitterMs', 'slotTtlMs'] as const;

interface GivenLimits {
  readonly windowSeconds: number;
  readonly maxRequestsPerWindow: number;
  readonly maxConcurrent: number;
  readonly jitterMs: number;
  readonly slotTtlMs: number;
}

/** The limits of a policy as they are stored. Without a rate limit there is no window. */
export const limitsOf = (given: GivenLimits, keyed: boolean): QuotaLimits => ({
  windowMs: given.maxRequestsPerWindow === 0 ? 0 : given.windowSeconds * 1_000,
  maxRequests: given.maxRequestsPerWindow,
  concurrencyCap: given.maxConcurrent,
  jitterMs: given.jitterMs,
  slotTtlMs: given.slotTtlMs,
  keyed,
});

/** A rate without a window is no limit. */
export const windowForRate = [
  ({ windowSeconds, maxRequestsPerWindow }: GivenLimits): boolean => maxRequestsPerWindow === 0 || windowSeconds > 0,
  { error: 'a rate limit needs a window of at least a second', params: { code: 'invalid_quota_spec' } },
] as const;

/** The facet with the limits of a policy for a key, without its time. */
function keyedText(given: GivenLimits): string {
  const { windowMs, maxRequests, concurrencyCap, jitterMs, slotTtlMs } = limitsOf(given, true);
  const values = [windowMs, maxRequests, concurrencyCap, jitterMs, slotTtlMs, 1];
  return values.map((value) => (value === 0 ? '' : String(value))).join('\t');
}

/** Limits of a policy that is created for a key at its first use. */
export const keyedLimits = withWireForm(z.strictObject(givenLimits).refine(...windowForRate), {
  texts: ['limits'],
  encode: (value) => [value === undefined ? '' : keyedText(value as GivenLimits)],
});
