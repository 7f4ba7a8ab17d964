/** What a handler meets when a budget has no room. */
import { RetryableError } from '../outcome.js';

/**
 * A hard limit has no room for what was asked for: nothing was recorded, and nothing is held. A handler that ends with it
 * fails with the category `budget_exceeded`, and is tried again as its task says.
 */
export class BudgetExceededError extends RetryableError {
  override readonly name = 'BudgetExceededError';

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
