/**
 * What is stored of a budget: its definition, its usage, and the amounts reserved for work that is about to use it. A
 * budget counts in up to 64 dimensions (tokens, cents, calls), each with a hard and a soft limit; 0 means no limit.
 * Spec 09 sections 1 and 3, rulings 7 and 49. Beside the budget, each an entity of its own: reservations, ledgers
 * (usage of one execution), keys of usage reports, and the totals of past days.
 */
import type { EntityState } from '../core/entity.js';
import * as fact from '../core/facts.js';
import { subject } from '../core/subject.js';

export const BUDGET = subject('budget', 'budgetId');
export const RESERVATION = subject('reservation', 'name');
export const LEDGER = subject('ledger', 'name');
export const USAGE_KEY = subject('usage_key', 'name');
export const BILL = subject('bill', 'name');

/** Whether hard limits are enforced, or breaches only reported. */
export const ENFORCEMENT_MODES = { strict: 's', advisory: 'a' } as const;
/** What a refusal by a hard limit means for attached work: it waits, or only the report is refused. */
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
  /** Every dimension that has been named; 0 where it has no limit. */
  limits,
  usage: {
    /** Usage since the last reset, less what was released. */
    usage: fact.counts(),
    /** Held by open reservations. */
    reserved: fact.counts(),
    /** Usage since the last reset that no limit had room for. */
    overrun: fact.counts(),
  },
  breaches: {
    breachCount: fact.counter(),
    softBreachCount: fact.counter(),
    /** The last breach of a hard limit; cleared by a reset. */
    lastBreachAt: fact.optionalNumber(),
    lastBreachDim: fact.optionalText(),
    /**
     * Exhausted dimensions, each with the amount within its limit that was refused last: it is exhausted until that
     * much room is free.
     */
    refused: fact.counts(),
  },
  resets: {
    /** Number of resets. Ledgers of earlier generations do not count. */
    resetCount: fact.counter(),
    lastResetAt: fact.optionalNumber(),
    nextResetAt: fact.optionalNumber(),
  },
  /** The current day: days since the epoch (UTC), and its totals. */
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

/** State of a reservation; amounts are held while it is open. */
export const RESERVATION_STATES = { open: 'o', settled: 's', released: 'r', lapsed: 'l' } as const;

export const reservationFacts = fact.factTable({
  given: {
    amounts: fact.counts(),
    /** The execution that the amount is reserved for. */
    spender: fact.optionalText(),
    leaseEpoch: fact.optionalNumber(),
    reservedAt: fact.number(),
  },
  state: {
    reservationState: fact.choice(RESERVATION_STATES),
    /** While open: when it lapses. Once closed: when it is forgotten. */
    endsAt: fact.number(),
    /** What was used of it, once it is settled. */
    settled: fact.counts(),
  },
});

/** Filed under `<budgetId>:<reservationId>`. */
export type Reservation = EntityState<typeof RESERVATION, typeof reservationFacts>;

export const ledgerFacts = fact.factTable({
  totals: {
    /** The generation of the budget in which its spend counts. */
    generation: fact.counter(),
    /** Spend since the last reset: a release takes it back. */
    spend: fact.counts(),
    /** All other usage of the execution, for audits. */
    attributed: fact.counts(),
    /** The highest epoch of any report. */
    highestEpoch: fact.counter(),
    /** When it is dropped unless it is written to again. */
    dropAt: fact.number(),
  },
});

/** Filed under `<budgetId>:<executionId>`. */
export type Ledger = EntityState<typeof LEDGER, typeof ledgerFacts>;

export const usageKeyFacts = fact.factTable({ entry: { expiresAt: fact.number() } });

/** Filed under `<budgetId>:<key>`. An entry past its time counts as absent. */
export type UsageKey = EntityState<typeof USAGE_KEY, typeof usageKeyFacts>;

export const billFacts = fact.factTable({
  totals: { day: fact.number(), spent: fact.counts(), overrun: fact.counts(), released: fact.counts() },
});

/** A day that is over, filed under `<budgetId>:<day>`. */
export type Bill = EntityState<typeof BILL, typeof billFacts>;

/** The id of an entity that belongs to a budget. */
export const nameIn = (budgetId: string, id: string | number): string => `${budgetId}:${id}`;
