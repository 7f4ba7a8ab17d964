/** Bills of all budgets of a deployment, by scope. */
import { partitionsOf } from '../../../model/families.js';
import type { Backend } from '../../backend/backend.js';
import { checkWhole, refuse } from '../../shared/checks.js';
import { knownOnly } from '../../shared/known-only.js';
import { remember } from '../../util/remember.js';
import { LIMITS } from '../../../model/limits.js';
import { budgetIdOf, daysOf, unreadableBill, type BudgetDay } from './budget.js';

/** Selects budgets; an absent member matches all. */
export interface BillFilter {
  /** `scope.type` of their definition, like `tenant`. */
  readonly scope?: string | undefined;
  /** `scope.id` of their definition. */
  readonly of?: string | undefined;
  /** How many days, today included. Default 31, at most 400. */
  readonly days?: number | undefined;
}

/** The spending on one budget on one day. */
export interface BillRow extends BudgetDay {
  /** The id of the budget. */
  readonly budgetId: string;
  /**
   * The name of the budget; absent if its definition has a `scope` of its own, and this process has not called
   * `app.budget` with the name.
   */
  readonly name: string | undefined;
  /** The subject of the budget, such as a tenant. */
  readonly scope: { readonly type: string; readonly id: string };
}

/** Budgets with a scope of their own whose names are remembered. */
const MAX_NAMES = 10_000;

/** The names of budgets by id. The store has the scope of a budget, which is its name unless the definition says otherwise. */
export class BudgetNames {
  private readonly names = new Map<string, string>();

  note(id: string, name: string): void {
    remember(this.names, id, name, MAX_NAMES);
  }

  of(id: string, scope: BillRow['scope']): string | undefined {
    return id === budgetIdOf(scope.type, scope.id) ? scope.id : this.names.get(id);
  }
}

interface BillSource {
  readonly names: BudgetNames;
  backend(): Promise<Backend>;
  call<T>(command: () => Promise<T>): Promise<T>;
}

const FILTER = { scope: true, of: true, days: true } as const;
const PAGE = 100;

/**
 * @throws InvalidDefinitionError for an invalid filter, when the iteration begins; EngineError `corruption` behind the
 *   readable rows, when others are missing
 */
export async function* billRows(source: BillSource, filter: BillFilter): AsyncGenerator<BillRow, void, undefined> {
  knownOnly<BillFilter>('bills', filter, FILTER);
  const { scope, of, days } = filter;
  for (const [name, text] of Object.entries({ scope, of }))
    if (text !== undefined && typeof text !== 'string') throw refuse('bills', name, 'a string', text);
  checkWhole('bills', 'days', days, 1, LIMITS.maxBilledDays);
  const backend = await source.backend();
  const unreadable: string[] = [];
  for (const partition of partitionsOf('budget', backend.partitions)) {
    let cursor: string | undefined;
    do {
      const page = await source.call(() => backend.listBudgets({ partition, cursor, limit: PAGE }));
      for (const { budgetId, scopeType: type, scopeId: id } of page.budgets) {
        if ((scope !== undefined && type !== scope) || (of !== undefined && id !== of)) continue;
        const bill = await source.call(() => daysOf(backend, budgetId, days));
        const name = source.names.of(budgetId, { type, id });
        for (const row of bill.rows) yield { budgetId, name, scope: { type, id }, ...row };
        unreadable.push(...bill.damaged.map((date) => `${date} of ${name ?? id} (${budgetId})`));
      }
      unreadable.push(...page.damaged.map((budgetId) => `all of ${budgetId}`));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
  }
  if (unreadable.length > 0) throw unreadableBill(unreadable);
}
