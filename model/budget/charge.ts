/**
 * The decision on every report of usage: a hard limit refuses it, or it is recorded on the budget, on the ledger of its
 * execution and on the bill of the day; all dimensions or none. Spec 09 sections 3.2, 3.3 and 4.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { acceptAll, reject, type Decision } from '../operation.js';
import type { Event } from '../events.js';
import type { View } from '../view.js';
import { LIMITS } from '../limits.js';
import { amountOf, dayOf, dimensionsOf, plus } from './amounts.js';
import type { Amounts, Ledger, ReadonlyBudget } from './facts.js';

/** The answer where a hard limit refuses. */
export const hardBreach = z.object({
  kind: z.literal('hard_breach'),
  /** The first dimension without room. */
  dimension: z.string(),
  /** The budget as it was and remains. */
  currentUsage: field.count,
  /** Held by open reservations. */
  reserved: field.count,
  hardLimit: field.count,
});

export const reported = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('ok') }),
  /** Recorded; a dimension is now above its soft limit. */
  z.object({
    kind: z.literal('soft_breach'),
    dimension: z.string(),
    currentUsage: field.count,
    softLimit: field.count,
  }),
  /** Recorded although it is above the hard limit: this budget only reports breaches. */
  z.object({ kind: z.literal('over_limit'), dimension: z.string(), currentUsage: field.count, hardLimit: field.count }),
  /** Nothing was recorded. */
  hardBreach,
  /** The key was used within 24 h: nothing was recorded again. */
  z.object({ kind: z.literal('already_applied') }),
]);

/** Whether hard limits are enforced. */
export const isStrict = ({ enforcementMode, onHardLimit }: ReadonlyBudget): boolean =>
  enforcementMode === 'strict' && onHardLimit !== 'none';

/** The first dimension without room for these amounts. */
export function offending(budget: ReadonlyBudget, amounts: Amounts): string | undefined {
  return dimensionsOf(amounts).find((dimension) => {
    const hard = amountOf(budget.hardLimits, dimension);
    const taken = amountOf(budget.usage, dimension) + amountOf(budget.reserved, dimension);
    return hard > 0 && taken + amountOf(amounts, dimension) > hard;
  });
}

/**
 * Refuses the report and records the breach: the dimension is exhausted until it has room for this amount, unless the
 * amount is larger than the limit.
 */
export function breach(
  budget: ReadonlyBudget,
  dimension: string,
  amounts: Amounts,
  by: { readonly spender: string | undefined; readonly leaseEpoch: number | undefined },
  at: number,
) {
  const outcome = {
    kind: 'hard_breach' as const,
    dimension,
    currentUsage: amountOf(budget.usage, dimension),
    reserved: amountOf(budget.reserved, dimension),
    hardLimit: amountOf(budget.hardLimits, dimension),
  };
  return acceptAll(outcome, [
    {
      type: 'budget_hard_breached',
      budgetId: budget.budgetId,
      at,
      dimension,
      refusedAmount: amountOf(amounts, dimension),
      ...by,
    },
  ]);
}

/** Closes the day that is over, if anything was recorded on it. */
export function closedDay(budget: ReadonlyBudget, at: number): Event[] {
  const { budgetId, billDay, spentToday, overrunToday, releasedToday } = budget;
  const isEmpty = [spentToday, overrunToday, releasedToday].every((amounts) => dimensionsOf(amounts).length === 0);
  if (dayOf(at) <= billDay || isEmpty) return [];
  const totals = { day: billDay, spent: spentToday, overrun: overrunToday, released: releasedToday };
  return [{ type: 'budget_day_closed', budgetId, at, ...totals }];
}

/**
 * Whether the report has an older epoch than the highest one seen: its sender lost the lease. The money is spent all
 * the same.
 */
export const isStale = (ledger: Readonly<Ledger> | undefined, leaseEpoch: number | undefined): boolean =>
  ledger !== undefined && leaseEpoch !== undefined && leaseEpoch < ledger.highestEpoch;

/**
 * Whether every counter stays an exact number, also when all that is reserved is used. `held` is reserved no more. So a
 * reservation can always be settled with what it holds.
 */
export function fitsNumbers(budget: ReadonlyBudget, more: Amounts, held: Amounts): boolean {
  return dimensionsOf(more).every((dimension) => {
    const of = (amounts: Amounts): number => amountOf(amounts, dimension);
    const owed = of(budget.reserved) - of(held) + of(more);
    const counted = [of(budget.usage) + of(budget.overrun), of(budget.spentToday) + of(budget.overrunToday)];
    return counted.every((amount) => amount + owed <= LIMITS.maxInteger);
  });
}

/** Whether the budget counts no more dimensions than it may with these. Those that it counts already always fit. */
export function fitsDimensions(budget: ReadonlyBudget, dimensions: readonly string[]): boolean {
  const { usage, reserved, overrun, overrunToday } = budget;
  const known = new Set([usage, reserved, overrun, overrunToday].flatMap(dimensionsOf));
  const added = dimensions.filter((dimension) => !known.has(dimension));
  return added.length === 0 || known.size + added.length <= LIMITS.maxDimensions;
}

export interface Charge {
  readonly budgetId: string;
  readonly deltas: Amounts;
  readonly executionId?: string | undefined;
  readonly leaseEpoch?: number | undefined;
  readonly key: string | undefined;
}

/** Decides on a report. */
export function charge(
  type: 'usage_reported' | 'spend_recorded',
  view: View,
  { budgetId, deltas, executionId: spender, leaseEpoch, key }: Charge,
  at: number,
): Decision<z.output<typeof reported>, 'budget_not_found' | 'invalid_input'> {
  const budget = view.budgets.get(budgetId);
  if (budget === undefined) return reject('budget_not_found');
  const usageKey = key === '' ? undefined : key;
  if (usageKey !== undefined && view.budgets.hasKey(budgetId, usageKey, at))
    return acceptAll({ kind: 'already_applied' }, []);
  const over = offending(budget, deltas);
  if (over !== undefined && isStrict(budget)) return breach(budget, over, deltas, { spender, leaseEpoch }, at);
  if (!fitsDimensions(budget, dimensionsOf(deltas)) || !fitsNumbers(budget, deltas, {}))
    return reject('invalid_input', { field: 'deltas' });
  const usage = plus(budget.usage, deltas);
  const soft = budget.onSoftLimit === 'none' ? undefined : aboveSoft(budget, usage, deltas);
  const ledger = spender === undefined ? undefined : view.budgets.ledger(budgetId, spender);
  const used = { deltas, spender, leaseEpoch, isStale: isStale(ledger, leaseEpoch), generation: budget.resetCount };
  const event = {
    ...{ type, budgetId, at, ...used, usageKey },
    overDimension: over,
    softDimension: over === undefined ? soft : undefined,
  };
  return acceptAll(answer(budget, usage, over, soft), [...closedDay(budget, at), event]);
}

const aboveSoft = ({ softLimits }: ReadonlyBudget, usage: Amounts, deltas: Amounts): string | undefined =>
  dimensionsOf(deltas).find((dimension) => {
    const soft = amountOf(softLimits, dimension);
    return soft > 0 && amountOf(usage, dimension) > soft;
  });

function answer(budget: ReadonlyBudget, usage: Amounts, over: string | undefined, soft: string | undefined) {
  if (over !== undefined) {
    const hardLimit = amountOf(budget.hardLimits, over);
    return { kind: 'over_limit' as const, dimension: over, currentUsage: amountOf(usage, over), hardLimit };
  }
  if (soft === undefined) return { kind: 'ok' as const };
  const softLimit = amountOf(budget.softLimits, soft);
  return { kind: 'soft_breach' as const, dimension: soft, currentUsage: amountOf(usage, soft), softLimit };
}
