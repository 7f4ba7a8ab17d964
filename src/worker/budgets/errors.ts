/** The error of a budget without room. */
import { RetryableError } from '../outcome.js';

/**
 * A hard limit has no room for the requested amount: nothing was recorded or reserved. A handler that ends with it
 * fails with the category `budget_exceeded`, and is retried like any failure.
 */
export class BudgetExceededError extends RetryableError {
  override readonly name = 'BudgetExceededError';
  override readonly hint =
    'Reserve less, or wait until reservations are settled or the budget is reset; `limits` of the budget allow more.';

  constructor(
    readonly budgetId: string,
    /** The dimension that has no room. */
    readonly dimension: string,
    readonly usage: number,
    readonly reserved: number,
    readonly limit: number,
  ) {
    super(`${dimension}: ${usage} used and ${reserved} held of ${limit}`, { category: 'budget_exceeded' });
  }
}
