/** Bills of all budgets of a deployment, by scope. */
import { partitionsOf } from '../../../model/families.js';
import type { Backend } from '../../backend.js';
import { checkWhole, refuse } from '../../shared/checks.js';
import { knownOnly } from '../../shared/known-only.js';
import { LIMITS } from '../../../model/limits.js';
import { daysOf, type BudgetDay } from './budget.js';

/** Selects budgets; an absent member matches all. */
export interface BillFilter {
  /** `scope.type` of their definition, like `tenant`. */
  readonly scope?: string | undefined;
  /** `scope.id` of their definition. */
  readonly of?: string | undefined;
  /** How many days, today included. Default 31, at most 400. */
  readonly days?: number | undefined;
}

/** What was spent on one budget on one day. */
export interface BillRow extends BudgetDay {
  /** The id of the budget. */
  readonly budgetId: string;
  /** Who or what the budget is for. */
  readonly scope: { readonly type: string; readonly id: string };
}

interface BillSource {
  backend(): Promise<Backend>;
  call<T>(command: () => Promise<T>): Promise<T>;
}

const FILTER = { scope: true, of: true, days: true } as const;
const PAGE = 100;

/** @throws InvalidDefinitionError for an invalid filter, when the iteration begins */
export async function* billRows(source: BillSource, filter: BillFilter): AsyncGenerator<BillRow, void, undefined> {
  knownOnly<BillFilter>('bills', filter, FILTER);
  const { scope, of, days } = filter;
  for (const [name, text] of Object.entries({ scope, of }))
    if (text !== undefined && typeof text !== 'string') throw refuse('bills', name, 'a string', text);
  checkWhole('bills', 'days', days, 1, LIMITS.maxBilledDays);
  const backend = await source.backend();
  for (const partition of partitionsOf('budget', backend.partitions)) {
    let cursor: string | undefined;
    do {
      const page = await source.call(() => backend.listBudgets({ partition, cursor, limit: PAGE }));
      for (const { budgetId, scopeType: type, scopeId: id } of page.budgets) {
        if ((scope !== undefined && type !== scope) || (of !== undefined && id !== of)) continue;
        const rows = await source.call(() => daysOf(backend, budgetId, days));
        for (const row of rows) yield { budgetId, scope: { type, id }, ...row };
      }
      cursor = page.nextCursor;
    } while (cursor !== undefined);
  }
}
