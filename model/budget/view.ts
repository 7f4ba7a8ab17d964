/** What decisions and reads see of budgets, and its definition. */
import { compareBytes } from '../ids.js';
import type { Partition } from '../state.js';
import { nameIn, type Bill, type Ledger, type ReadonlyBudget, type Reservation } from './facts.js';

export interface BudgetView {
  get(budgetId: string): ReadonlyBudget | undefined;
  reservation(budgetId: string, reservationId: string): Readonly<Reservation> | undefined;
  ledger(budgetId: string, executionId: string): Readonly<Ledger> | undefined;
  /** Whether usage was reported under the key, at a time that still counts. */
  hasKey(budgetId: string, key: string, now: number): boolean;
  /** A day that is over, by its number. */
  bill(budgetId: string, day: number): Readonly<Bill> | 'damaged' | undefined;
  /** Ids of budgets, ascending, after a given one. */
  ids(after: string | undefined, limit: number): readonly string[];
}

/** The view by definition. */
export function budgetsByDefinition({ state: { tables } }: Partition): BudgetView {
  return {
    get: (budgetId) => tables.budget.get(budgetId),
    reservation: (budgetId, reservationId) => tables.reservation.get(nameIn(budgetId, reservationId)),
    ledger: (budgetId, executionId) => tables.ledger.get(nameIn(budgetId, executionId)),
    hasKey: (budgetId, key, now) => (tables.usage_key.get(nameIn(budgetId, key))?.expiresAt ?? 0) > now,
    bill: (budgetId, day) => tables.bill.get(nameIn(budgetId, day)),
    ids: (after, limit) =>
      [...tables.budget.keys()]
        .filter((budgetId) => after === undefined || compareBytes(budgetId, after) > 0)
        .sort(compareBytes)
        .slice(0, limit),
  };
}
