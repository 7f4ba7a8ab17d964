/** The quota policy as an entity: its events, its recipes, its timer. */
import { changes, entity, makes, removes } from '../core/entity.js';
import { event } from '../core/event.js';
import * as fact from '../core/facts.js';
import type { EventNamed } from '../events.js';
import { SLOT_CHECK_MS } from '../limits.js';
import { limits, QUOTA_POLICY, quotaPolicyFacts, type QuotaPolicy } from './facts.js';
import { forgetWaiters, quotaTimerAt, slotsOf, trim, waitersOf, windowOf } from './room.js';

/** Names of waiting claimers, joined by line breaks. */
const woken = { woken: fact.words() };

export const quotaEvents = {
  quota_policy_created: event('quota_policy_created', 'qc', QUOTA_POLICY, { limits }),
  /** Admissions were granted: each takes a slot and counts in the window. */
  quota_admitted: event('quota_admitted', 'qa', QUOTA_POLICY, {
    admitted: { holder: fact.text(), admissions: fact.list() },
  }),
  /** A claimer was refused, and waits. */
  quota_refused: event('quota_refused', 'qr', QUOTA_POLICY, {
    refused: { wanted: fact.number(), expiresAt: fact.number() },
    long: { waiter: fact.words() },
  }),
  /** Slots are free again. Unused ones do not count for the rate either. */
  quota_released: event('quota_released', 'ql', QUOTA_POLICY, {
    released: { unused: fact.flag(), admissions: fact.list() },
    long: woken,
  }),
  /** Slots have not been confirmed for a while: their partitions are asked whether they are in use. */
  quota_slots_checked: event('quota_slots_checked', 'qo', QUOTA_POLICY, { checked: { admissions: fact.list() } }),
  /** The window has room for waiting claimers again. */
  quota_window_moved: event('quota_window_moved', 'qw', QUOTA_POLICY, { long: woken }),
  quota_policy_forgotten: event('quota_policy_forgotten', 'qf', QUOTA_POLICY, {}),
} as const;

const created = (event: EventNamed<'quota_policy_created'>): QuotaPolicy => ({
  quotaPolicyId: event.quotaPolicyId,
  windowMs: event.windowMs,
  maxRequests: event.maxRequests,
  concurrencyCap: event.concurrencyCap,
  jitterMs: event.jitterMs,
  slotTtlMs: event.slotTtlMs,
  keyed: event.keyed,
  createdAt: event.at,
  lastUsedAt: event.at,
  slots: {},
  window: {},
  waiters: {},
});

/** The names in a list of names. */
export const namesIn = (text: string): string[] => (text === '' ? [] : text.split('\n'));

function admit(policy: QuotaPolicy, { admissions, holder, at }: EventNamed<'quota_admitted'>): void {
  trim(policy, at);
  const slots = { ...slotsOf(policy) };
  const window = { ...windowOf(policy) };
  for (const id of admissions) {
    slots[id] = { holder, checkAt: at + policy.slotTtlMs };
    if (policy.maxRequests > 0) window[id] = at;
  }
  Object.assign(policy, { slots, window, lastUsedAt: at });
}

function release(policy: QuotaPolicy, event: EventNamed<'quota_released'>): void {
  const [slots, window] = [{ ...slotsOf(policy) }, { ...windowOf(policy) }];
  for (const id of event.admissions) {
    delete slots[id];
    if (event.unused) delete window[id];
  }
  Object.assign(policy, { slots, window, lastUsedAt: event.at });
  trim(policy, event.at);
  forgetWaiters(policy, namesIn(event.woken), event.at);
}

export const quotaPolicyEntity = entity({
  subject: QUOTA_POLICY,
  family: 'quota',
  facts: quotaPolicyFacts,
  recipes: {
    quota_policy_created: makes(created),
    quota_admitted: changes(admit),
    quota_refused: changes((policy: QuotaPolicy, event: EventNamed<'quota_refused'>) => {
      const { waiter, wanted, expiresAt, at } = event;
      trim(policy, at);
      forgetWaiters(policy, [], at);
      policy.waiters = { ...waitersOf(policy), [waiter]: { since: at, wanted, expiresAt } };
      policy.lastUsedAt = at;
    }),
    quota_released: changes(release),
    quota_slots_checked: changes((policy: QuotaPolicy, { admissions, at }: EventNamed<'quota_slots_checked'>) => {
      const slots = { ...slotsOf(policy) };
      for (const id of admissions) {
        const slot = slots[id];
        if (slot !== undefined) slots[id] = { holder: slot.holder, checkAt: at + SLOT_CHECK_MS };
      }
      policy.slots = slots;
    }),
    quota_window_moved: changes((policy: QuotaPolicy, event: EventNamed<'quota_window_moved'>) => {
      trim(policy, event.at);
      forgetWaiters(policy, namesIn(event.woken), event.at);
    }),
    quota_policy_forgotten: removes,
  },
  timerOf: (policy: Readonly<QuotaPolicy>) => quotaTimerAt(policy),
});
