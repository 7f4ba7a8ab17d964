/** The error of a budget without room. */
import { share } from '../../util/brand.js';
import { RetryableError } from '../handler/outcome.js';

/** The state of a dimension that had no room. */
export interface BudgetShortage {
  readonly budgetId: string;
  /** The name of the budget in the app. */
  readonly budget: string;
  /** The dimension that has no room. */
  readonly dimension: string;
  /** The amount to record or reserve; undefined if a run was refused because the budget is exhausted. */
  readonly asked: number | undefined;
  readonly usage: number;
  readonly reserved: number;
  readonly limit: number;
}

/**
 * A hard limit has no room for the requested amount: nothing was recorded or reserved. A handler that ends with it
 * fails with the category `budget_exceeded`, which is also its `code`, and is retried like any failure.
 */
export class BudgetExceededError extends RetryableError implements BudgetShortage {
  override readonly name = 'BudgetExceededError';
  override readonly hint: string;
  readonly budgetId: string;
  readonly budget: string;
  readonly dimension: string;
  readonly asked: number | undefined;
  readonly usage: number;
  readonly reserved: number;
  readonly limit: number;

  constructor(shortage: BudgetShortage) {
    const { budgetId, budget, dimension, asked, usage, reserved, limit } = shortage;
    const neverFits = asked !== undefined && asked > limit;
    const wanted = asked === undefined ? 'is exhausted' : `has no room for ${asked}`;
    const state = neverFits
      ? `it can never fit, because the limit is ${limit} ${dimension}`
      : `of ${limit} ${dimension}, ${usage} are used and ${reserved} reserved`;
    super(`Budget "${budget}" ${wanted}: ${state}`, { category: 'budget_exceeded' });
    this.hint = neverFits
      ? 'Ask for less, or raise the limit.'
      : 'Ask again with less, or when there is room: after a reset, a release, the end of a reservation or a higher limit.';
    this.budgetId = budgetId;
    this.budget = budget;
    this.dimension = dimension;
    this.asked = asked;
    this.usage = usage;
    this.reserved = reserved;
    this.limit = limit;
  }
}

share({ BudgetExceededError });
