/**
 * What is stored of a quota policy: its limits; the slots of admissions that were granted and not given back; the times of
 * those in the window; and the claimers that were refused and wait. Concurrency is how many slots there are, and the rate
 * how many admissions are in the window: sets, so that nothing can drift (spec 09 section 5.3).
 */
import type { EntityState } from '../core/entity.js';
import * as fact from '../core/facts.js';
import { subject } from '../core/subject.js';

export const QUOTA_POLICY = subject('quota_policy', 'quotaPolicyId');

/** An admission that was granted and not given back. */
export interface Slot {
  /** The partition in which a claim uses it. */
  readonly holder: string;
  /** When it is asked there whether it is in use. */
  readonly checkAt: number;
}

/** A claimer that was refused. Named by lane, partition, meter set and worker instance, joined by tabs. */
export interface Waiter {
  readonly since: number;
  /** How many admissions it wants. */
  readonly wanted: number;
  readonly expiresAt: number;
}

export const limits = {
  /** Length of the sliding window, ms; 0 where there is no rate limit. */
  windowMs: fact.counter(),
  /** Admissions in one window; 0 for any number. */
  maxRequests: fact.counter(),
  /** Slots at once; 0 for any number. */
  concurrencyCap: fact.counter(),
  /** What is added at most to the time after which a refused caller comes again, ms. */
  jitterMs: fact.counter(),
  /** How long a slot waits for its claim before it is asked whether it was used, ms. */
  slotTtlMs: fact.number(),
  /** Made for a key, at its first use: forgotten when nothing uses it any more. */
  keyed: fact.flag(),
};

export const quotaPolicyFacts = fact.factTable({
  limits: { ...limits, createdAt: fact.number() },
  use: { lastUsedAt: fact.number() },
  beside: {
    /** By the short id of the admission. */
    slots: fact.tree<Record<string, Slot>>(),
    /** By the short id of the admission: when it was granted. */
    window: fact.tree<Record<string, number>>(),
    waiters: fact.tree<Record<string, Waiter>>(),
  },
});

export type QuotaPolicy = EntityState<typeof QUOTA_POLICY, typeof quotaPolicyFacts>;
export type ReadonlyQuotaPolicy = Readonly<QuotaPolicy>;

/** What a policy limits. */
export type QuotaLimits = Pick<QuotaPolicy, keyof typeof limits>;
