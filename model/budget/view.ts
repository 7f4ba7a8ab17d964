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
  bill(budgetId: string, day: number): Readonly<Bill> | undefined;
  /** Budgets ascending by id, after a given one. */
  list(after: string | undefined, limit: number): readonly ReadonlyBudget[];
}

/** The view by definition. */
export function budgetsByDefinition({ state: { tables } }: Partition): BudgetView {
  return {
    get: (budgetId) => tables.budget.get(budgetId),
    reservation: (budgetId, reservationId) => tables.reservation.get(nameIn(budgetId, reservationId)),
    ledger: (budgetId, executionId) => tables.ledger.get(nameIn(budgetId, executionId)),
    hasKey: (budgetId, key, now) => (tables.usage_key.get(nameIn(budgetId, key))?.expiresAt ?? 0) > now,
    bill: (budgetId, day) => tables.bill.get(nameIn(budgetId, day)),
    list: (after, limit) =>
      [...tables.budget.values()]
        .filter(({ budgetId }) => after === undefined || compareBytes(budgetId, after) > 0)
        .sort((a, b) => compareBytes(a.budgetId, b.budgetId))
        .slice(0, limit),
  };
}
