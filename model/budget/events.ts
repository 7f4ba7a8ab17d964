/** What can happen to a budget. Facts that travel together are one text of the log. */
import { event } from '../core/event.js';
import * as fact from '../core/facts.js';
import { BUDGET, budgetFacts } from './facts.js';

/** Usage that was accepted. */
const used = {
  deltas: fact.counts(),
  spender: fact.optionalText(),
  leaseEpoch: fact.optionalNumber(),
  /** The report has an older epoch than the highest one seen: its sender had lost the lease. */
  isStale: fact.flag(),
  /** The generation (number of resets) in which it counts. */
  generation: fact.counter(),
  /** The dimension that is now above its soft limit. */
  softDimension: fact.optionalText(),
  /** The dimension that is now above a hard limit that this budget does not enforce. */
  overDimension: fact.optionalText(),
};
const keyed = { usageKey: fact.optionalText() };

const { createdAt: _, ...agreed } = budgetFacts.given;

export const budgetEvents = {
  budget_created: event('budget_created', 'uc', BUDGET, {
    given: agreed,
    limits: budgetFacts.limits,
    resets: { nextResetAt: fact.optionalNumber() },
    long: { scopeId: fact.text() },
  }),
  /** All limits that apply from now on. */
  budget_limits_updated: event('budget_limits_updated', 'ul', BUDGET, {
    limits: budgetFacts.limits,
    long: { requestedBy: fact.text() },
  }),
  usage_reported: event('usage_reported', 'u', BUDGET, { used, long: keyed }),
  /** A release can take it back. */
  spend_recorded: event('spend_recorded', 'us', BUDGET, { used, long: keyed }),
  /** The report was refused; only the breach is recorded. */
  budget_hard_breached: event('budget_hard_breached', 'uh', BUDGET, {
    breach: {
      dimension: fact.text(),
      refusedAmount: fact.number(),
      spender: fact.optionalText(),
      leaseEpoch: fact.optionalNumber(),
    },
  }),
  budget_released: event('budget_released', 'uf', BUDGET, {
    released: { spender: fact.text(), amounts: fact.counts() },
  }),
  budget_reset: event('budget_reset', 'ur', BUDGET, {
    resets: { nextResetAt: fact.optionalNumber() },
    long: { requestedBy: fact.text() },
  }),
  /** The totals of a day that is over, written before the first event of a later day. */
  budget_day_closed: event('budget_day_closed', 'ud', BUDGET, {
    totals: { day: fact.number(), spent: fact.counts(), overrun: fact.counts(), released: fact.counts() },
  }),
  reservation_made: event('reservation_made', 'un', BUDGET, {
    reserved: {
      reservationId: fact.text(),
      amounts: fact.counts(),
      spender: fact.optionalText(),
      leaseEpoch: fact.optionalNumber(),
      endsAt: fact.number(),
    },
  }),
  reservation_renewed: event('reservation_renewed', 'uw', BUDGET, {
    renewed: { reservationId: fact.text(), endsAt: fact.number() },
  }),
  /** The amount used is recorded, and the amount held is free again. */
  reservation_settled: event('reservation_settled', 'ut', BUDGET, {
    settled: {
      reservationId: fact.text(),
      /** The amount held until now; empty when the reservation was closed before. */
      held: fact.counts(),
      deltas: fact.counts(),
      /** The part that no limit had room for. */
      overrun: fact.counts(),
      generation: fact.counter(),
      spender: fact.optionalText(),
      leaseEpoch: fact.optionalNumber(),
      isStale: fact.flag(),
    },
  }),
  reservation_released: event('reservation_released', 'ue', BUDGET, {
    ended: { reservationId: fact.text(), held: fact.counts() },
  }),
  reservation_lapsed: event('reservation_lapsed', 'ux', BUDGET, {
    ended: { reservationId: fact.text(), held: fact.counts() },
  }),
  /** The retention of a closed reservation is over. */
  reservation_forgotten: event('reservation_forgotten', 'ug', BUDGET, { forgotten: { reservationId: fact.text() } }),
  ledger_dropped: event('ledger_dropped', 'uk', BUDGET, { dropped: { spender: fact.text() } }),
  bill_dropped: event('bill_dropped', 'ub', BUDGET, { dropped: { day: fact.number() } }),
} as const;
