/** Arguments of operations on quota policies. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { withWireForm } from '../core/wire-form.js';
import { DEFAULTS, LIMITS } from '../limits.js';
import type { QuotaLimits } from './facts.js';

export const quotaPolicyId = field.plainUuid;

const members = {
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

const NONE = '';
const texts = (values: readonly (number | string)[]): string =>
  values.map((value) => (value === 0 ? NONE : String(value))).join('\t');

/** The facet with the limits, without its time. */
function limitsText(given: GivenLimits, keyed: boolean): string {
  const { windowMs, maxRequests, concurrencyCap, jitterMs, slotTtlMs } = limitsOf(given, keyed);
  return texts([windowMs, maxRequests, concurrencyCap, jitterMs, slotTtlMs, keyed ? '1' : NONE]);
}

const quotaLimits = (keyed: boolean) =>
  withWireForm(
    z
      .strictObject(members)
      .refine(({ windowSeconds, maxRequestsPerWindow }) => maxRequestsPerWindow === 0 || windowSeconds > 0, {
        error: 'a rate limit needs a window of at least a second',
        params: { code: 'invalid_quota_spec' },
      }),
    {
      texts: ['limits'],
      encode: (value) => [value === undefined ? '' : limitsText(value as GivenLimits, keyed)],
    },
  );

/** Limits of a policy that is created by name. */
export const namedLimits = quotaLimits(false);
/** Limits of a policy that is created for a key at its first use. */
export const keyedLimits = quotaLimits(true);
