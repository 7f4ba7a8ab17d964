/** Reads of budgets. Spec 09 sections 3.6 and 3.7, ruling 49. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, query, reject } from '../operation.js';
import { partitionOfId } from '../families.js';
import { LIMITS } from '../limits.js';
import { amountOf, bounded, dayOf, dimensionsOf, plus } from './amounts.js';
import { isStrict } from './charge.js';
import type { Amounts, Bill, ReadonlyBudget } from './facts.js';
import { spender } from './fields.js';

const partition = ({ budgetId }: { readonly budgetId: string }, counts: Parameters<typeof partitionOfId>[2]): string =>
  partitionOfId('budget', budgetId, counts);

/** Dimensions without room: an amount was refused and would be again, or the whole limit is used or reserved. */
export function exhaustedIn(budget: ReadonlyBudget): readonly string[] {
  if (!isStrict(budget)) return [];
  return dimensionsOf(budget.hardLimits).filter((dimension) => {
    const hard = amountOf(budget.hardLimits, dimension);
    const taken = amountOf(budget.usage, dimension) + amountOf(budget.reserved, dimension);
    return hard > 0 && (Object.hasOwn(budget.refused, dimension) || taken >= hard);
  });
}

export interface BudgetStatus
  extends Pick<
    ReadonlyBudget,
    | 'budgetId'
    | 'scopeType'
    | 'scopeId'
    | 'enforcementMode'
    | 'onHardLimit'
    | 'onSoftLimit'
    | 'usage'
    | 'reserved'
    | 'overrun'
    | 'hardLimits'
    | 'softLimits'
    | 'breachCount'
    | 'softBreachCount'
    | 'lastBreachAt'
    | 'lastBreachDim'
    | 'resetIntervalMs'
    | 'resetCount'
    | 'lastResetAt'
    | 'nextResetAt'
    | 'createdAt'
    | 'lastUpdatedAt'
  > {
  /** Dimensions that take nothing more. */
  readonly exhausted: readonly string[];
}

function statusOf(budget: ReadonlyBudget): BudgetStatus {
  const {
    refused: _,
    billDay: _day,
    spentToday: _spent,
    overrunToday: _over,
    releasedToday: _back,
    ...status
  } = budget;
  return { ...status, exhausted: exhaustedIn(budget) };
}

export const getBudgetStatus = query({
  name: 'getBudgetStatus',
  family: 'budget',
  args: z.strictObject({ budgetId: field.plainUuid }),
  rejects: ['budget_not_found'],
  partition,
  read(view, { budgetId }) {
    const budget = view.budgets.get(budgetId);
    return budget === undefined ? reject('budget_not_found') : accept<BudgetStatus>(statusOf(budget));
  },
});

/** What a claimer must know before it claims work that is charged to a budget. */
export interface BudgetRoom {
  /** Dimensions without room; work may be claimed when there are none. */
  readonly exhausted: readonly string[];
  /** When there will be room at the latest. */
  readonly nextResetAt: number | undefined;
}

export const readBudgetRoom = query({
  name: 'readBudgetRoom',
  family: 'budget',
  args: z.strictObject({ budgetId: field.plainUuid }),
  rejects: ['budget_not_found'],
  partition,
  read(view, { budgetId }) {
    const budget = view.budgets.get(budgetId);
    if (budget === undefined) return reject('budget_not_found');
    return accept<BudgetRoom>({ exhausted: exhaustedIn(budget), nextResetAt: budget.nextResetAt });
  },
});

/** What was spent on a day (UTC). */
export interface BilledDay {
  /** Days since 1970-01-01. */
  readonly day: number;
  readonly spent: Amounts;
  /** Usage that no limit had room for. */
  readonly overrun: Amounts;
  /** Taken back, of this day or an earlier one. */
  readonly released: Amounts;
}

export interface BudgetBill {
  readonly scopeType: string;
  readonly scopeId: string;
  /** Days with any usage, ascending. */
  readonly days: readonly BilledDay[];
  /** Days whose totals are unreadable, ascending. */
  readonly damaged: readonly number[];
}

export const readBudgetBill = query({
  name: 'readBudgetBill',
  family: 'budget',
  args: z.strictObject({
    budgetId: field.plainUuid,
    /** The first day, since 1970-01-01 in UTC. Days are kept for 400 days. */
    fromDay: field.integer(0, dayOf(LIMITS.maxInteger)),
    days: field.integer(1, LIMITS.maxBilledDays).default(31),
  }),
  rejects: ['budget_not_found'],
  partition,
  read(view, { budgetId, fromDay, days }) {
    const budget = view.budgets.get(budgetId);
    if (budget === undefined) return reject('budget_not_found');
    const { scopeType, scopeId } = budget;
    const [rows, damaged] = [[] as BilledDay[], [] as number[]];
    for (let i = 0; i < days; i++) {
      const day = fromDay + i;
      const bill = view.budgets.bill(budgetId, day);
      if (bill === 'damaged') damaged.push(day);
      else rows.push(...rowOf(budget, day, bill));
    }
    return accept<BudgetBill>({ scopeType, scopeId, days: rows, damaged });
  },
});

/** A day that is over, or the current one. */
function rowOf(budget: ReadonlyBudget, day: number, bill: Readonly<Bill> | undefined): BilledDay[] {
  if (bill !== undefined) return [{ day, spent: bill.spent, overrun: bill.overrun, released: bill.released }];
  const { billDay, spentToday: spent, overrunToday: overrun, releasedToday: released } = budget;
  const isEmpty = [spent, overrun, released].every((amounts) => dimensionsOf(amounts).length === 0);
  return billDay === day && !isEmpty ? [{ day, spent, overrun, released }] : [];
}

/** What an execution has used of a budget, across resets of the budget. */
export interface ExecutionUsage {
  /** All usage, less what was released. */
  readonly used: Amounts;
  /** The part that a release would take back. */
  readonly releasable: Amounts;
}

export const readBudgetUsage = query({
  name: 'readBudgetUsage',
  family: 'budget',
  args: z.strictObject({ budgetId: field.plainUuid, executionId: spender }),
  rejects: ['budget_not_found'],
  partition,
  read(view, { budgetId, executionId }) {
    const budget = view.budgets.get(budgetId);
    if (budget === undefined) return reject('budget_not_found');
    const ledger = view.budgets.ledger(budgetId, executionId);
    if (ledger === undefined) return accept<ExecutionUsage>({ used: {}, releasable: {} });
    const { spend, attributed, generation } = ledger;
    return accept<ExecutionUsage>({
      used: bounded(plus(spend, attributed)),
      releasable: generation === budget.resetCount ? spend : {},
    });
  },
});

export interface BudgetsPage {
  readonly budgets: readonly Pick<ReadonlyBudget, 'budgetId' | 'scopeType' | 'scopeId'>[];
  /** Ids of the budgets on the page whose records are unreadable. */
  readonly damaged: readonly string[];
  /** Present iff more follow. */
  readonly nextCursor: string | undefined;
}

export const listBudgets = query({
  name: 'listBudgets',
  family: 'budget',
  args: z.strictObject({ partition: field.budgetPartition, cursor: field.plainUuid.optional(), limit: field.pageSize }),
  rejects: [],
  partition: ({ partition }) => partition,
  read(view, { cursor, limit }) {
    if (limit === 0) return accept<BudgetsPage>({ budgets: [], damaged: [], nextCursor: undefined });
    const ids = view.budgets.ids(cursor, limit + 1);
    const page = ids.slice(0, limit);
    const budgets = page.flatMap((budgetId) => {
      const budget = view.budgets.get(budgetId);
      return budget === undefined ? [] : [{ budgetId, scopeType: budget.scopeType, scopeId: budget.scopeId }];
    });
    const damaged = page.filter((budgetId) => view.budgets.get(budgetId) === undefined);
    return accept<BudgetsPage>({ budgets, damaged, nextCursor: ids.length > limit ? ids[limit - 1] : undefined });
  },
});
