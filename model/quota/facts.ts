/**
 * What is stored of a quota policy: its limits, the slots of admissions that are held, the times of admissions in the
 * window, and the refused claimers that wait. Concurrency is the number of slots, rate the number of times in the
 * window; both are sets, so neither can drift (spec 09 section 5.3).
 */
import type { EntityState } from '../core/entity.js';
import * as fact from '../core/facts.js';
import { subject } from '../core/subject.js';

export const QUOTA_POLICY = subject('quota_policy', 'quotaPolicyId');

/** An admission that holds a slot. */
export interface Slot {
  /** The partition of the claim that uses it. */
  readonly holder: string;
  /** When that partition is asked whether it is in use. */
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
  /** Upper bound of the random time added to a refused caller's retry, ms. */
  jitterMs: fact.counter(),
  /** How long a slot waits for its claim before its use must be confirmed, ms. */
  slotTtlMs: fact.number(),
  /** Created for a key at its first use; forgotten when unused. */
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
