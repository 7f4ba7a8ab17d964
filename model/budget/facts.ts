/**
 * What is stored of a budget: what was agreed on, what was used of it, and what is held for those that are about to use
 * it. A budget counts in dimensions (tokens, cents, calls), at most 64, each with a hard and a soft limit, 0 for none.
 * Spec 09 sections 1 and 3, rulings 7 and 49.
 *
 * Beside the budget, each an entity of its own: reservations, ledgers (what an execution used), keys under which usage
 * was reported, and the totals of past days.
 */
import type { EntityState } from '../core/entity.js';
import * as fact from '../core/facts.js';
import { subject } from '../core/subject.js';

export const BUDGET = subject('budget', 'budgetId');
export const RESERVATION = subject('reservation', 'name');
export const LEDGER = subject('ledger', 'name');
export const USAGE_KEY = subject('usage_key', 'name');
export const BILL = subject('bill', 'name');

/** Whether a hard limit is kept, or only told of. */
export const ENFORCEMENT_MODES = { strict: 's', advisory: 'a' } as const;
/** What follows when a hard limit refuses: attached work waits, or nothing but the answer. */
export const HARD_LIMIT_ACTIONS = { fail: 'f', block: 'b', none: 'n' } as const;
export const SOFT_LIMIT_ACTIONS = { warn: 'w', none: 'n' } as const;

/** Numbers by dimension, in the order of the names. */
export type Amounts = Readonly<Record<string, number>>;

const limits = { hardLimits: fact.counts(), softLimits: fact.counts() };

export const budgetFacts = fact.factTable({
  given: {
    scopeType: fact.text(),
    enforcementMode: fact.choice(ENFORCEMENT_MODES),
    onHardLimit: fact.choice(HARD_LIMIT_ACTIONS),
    onSoftLimit: fact.choice(SOFT_LIMIT_ACTIONS),
    /** Time between two resets, ms; 0 for a budget for life. */
    resetIntervalMs: fact.counter(),
    createdAt: fact.number(),
  },
  /** Every dimension that was named, 0 where it has no limit. */
  limits,
  usage: {
    /** Accepted since the last reset, without what was released. */
    usage: fact.counts(),
    /** Held by open reservations. */
    reserved: fact.counts(),
    /** Spent since the last reset and not covered: it fitted under no limit any more. */
    overrun: fact.counts(),
  },
  breaches: {
    breachCount: fact.counter(),
    softBreachCount: fact.counter(),
    /** The last hard breach, cleared by a reset. */
    lastBreachAt: fact.optionalNumber(),
    lastBreachDim: fact.optionalText(),
    /** Dimensions that are exhausted until there is room for this much: what was refused last. */
    refused: fact.counts(),
  },
  resets: {
    /** Also the generation of ledgers: those of an earlier one do not count. */
    resetCount: fact.counter(),
    lastResetAt: fact.optionalNumber(),
    nextResetAt: fact.optionalNumber(),
  },
  /** The day that is not over: its number since the epoch (UTC), and its totals. */
  today: {
    billDay: fact.counter(),
    spentToday: fact.counts(),
    overrunToday: fact.counts(),
    releasedToday: fact.counts(),
  },
  touched: { lastUpdatedAt: fact.number() },
  long: { scopeId: fact.text() },
});

export type Budget = EntityState<typeof BUDGET, typeof budgetFacts>;
export type ReadonlyBudget = Readonly<Budget>;

/** Where a reservation is: amounts are held while it is open. */
export const RESERVATION_STATES = { open: 'o', settled: 's', released: 'r', lapsed: 'l' } as const;

export const reservationFacts = fact.factTable({
  given: {
    amounts: fact.counts(),
    /** The execution that it is held for. */
    spender: fact.optionalText(),
    leaseEpoch: fact.optionalNumber(),
    reservedAt: fact.number(),
  },
  state: {
    reservationState: fact.choice(RESERVATION_STATES),
    /** When it lapses; once it is closed: when it is forgotten. */
    endsAt: fact.number(),
  },
});

/** Filed under `<budgetId>:<reservationId>`. */
export type Reservation = EntityState<typeof RESERVATION, typeof reservationFacts>;

export const ledgerFacts = fact.factTable({
  totals: {
    /** The reset of the budget that its spend counts from. */
    generation: fact.counter(),
    /** Recorded as spend since then: a release takes it back. */
    spend: fact.counts(),
    /** Used otherwise, or before: for audit, since the execution was first heard of. */
    attributed: fact.counts(),
    /** The highest epoch that anything came with. */
    highestEpoch: fact.counter(),
    /** When it is dropped: it was not written to for so long. */
    dropAt: fact.number(),
  },
});

/** Filed under `<budgetId>:<executionId>`. */
export type Ledger = EntityState<typeof LEDGER, typeof ledgerFacts>;

export const usageKeyFacts = fact.factTable({ entry: { expiresAt: fact.number() } });

/** Filed under `<budgetId>:<key>`. One past its time counts as absent. */
export type UsageKey = EntityState<typeof USAGE_KEY, typeof usageKeyFacts>;

export const billFacts = fact.factTable({
  totals: { day: fact.number(), spent: fact.counts(), overrun: fact.counts(), released: fact.counts() },
});

/** A day that is over, filed under `<budgetId>:<day>`. */
export type Bill = EntityState<typeof BILL, typeof billFacts>;

/** The name of what belongs to a budget. */
export const nameIn = (budgetId: string, id: string | number): string => `${budgetId}:${id}`;
