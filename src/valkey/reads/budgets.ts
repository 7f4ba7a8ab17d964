/** Reads of budgets from the server. */
import type { Bill, ReadonlyBudget } from '../../../model/budget/facts.js';
import type { ParsedArgsOf } from '../../../model/machine.js';
import { viewOf, type Fetch } from './fetch.js';
import { decodeEntity, unlessDamaged } from '../records/record.js';
import { listOf, pairsOf, repliesOf, textOf, type WireReply } from '../wire/reply.js';

const budgetOf = (budgetId: string, core: WireReply, details: WireReply): ReadonlyBudget | undefined =>
  decodeEntity('budget', budgetId, { core: pairsOf(core), details: pairsOf(details) });

const BILL_TOTALS = 't';

/** The totals of a day, from their text. */
const billOf = (text: string): Bill | undefined =>
  decodeEntity('bill', '', { core: new Map([[BILL_TOTALS, text]]), details: new Map() });

function budgetFetch<Args extends { readonly budgetId: string }>(
  daysOf: (args: Args) => readonly [fromDay: number, days: number],
): Fetch<Args> {
  return {
    request(args) {
      const [fromDay, days] = daysOf(args);
      return ['read_budget', args.budgetId, String(fromDay), String(days)];
    },
    view(reply, args) {
      const [core, details, bills] = repliesOf(reply, 3);
      const [fromDay] = daysOf(args);
      return viewOf({
        budgets: {
          get: () => budgetOf(args.budgetId, core, details),
          bill(_, day) {
            const totals = listOf(bills)[day - fromDay] ?? null;
            if (totals === null) return undefined;
            return typeof totals === 'number' ? 'damaged' : (unlessDamaged(() => billOf(textOf(totals))) ?? 'damaged');
          },
        },
      });
    },
  };
}

export const budget: Fetch<{ readonly budgetId: string }> = budgetFetch(() => [0, 0]);

export const budgetBill: Fetch<ParsedArgsOf<'readBudgetBill'>> = budgetFetch(({ fromDay, days }) => [fromDay, days]);

export const budgetUsage: Fetch<ParsedArgsOf<'readBudgetUsage'>> = {
  request: ({ budgetId, executionId }) => ['read_budget_usage', budgetId, executionId],
  view(reply, { budgetId }) {
    const [core, details, totals] = repliesOf(reply, 3);
    const ledger = decodeEntity('ledger', '', { core: pairsOf(totals), details: new Map() });
    return viewOf({
      budgets: {
        get: () => budgetOf(budgetId, core, details),
        ledger: () => ledger,
      },
    });
  },
};

export const budgetList: Fetch<ParsedArgsOf<'listBudgets'>> = {
  request: ({ cursor, limit }) => ['list_budgets', cursor ?? '', String(limit + 1)],
  view(reply) {
    const found = new Map(
      listOf(reply).map((row) => {
        const [id, core, details] = repliesOf(row, 3);
        const budgetId = textOf(id);
        // One of its keys has the wrong type.
        const isReadable = core !== null && details !== null;
        return [budgetId, isReadable ? unlessDamaged(() => budgetOf(budgetId, core, details)) : undefined];
      }),
    );
    return viewOf({ budgets: { ids: () => [...found.keys()], get: (budgetId) => found.get(budgetId) } });
  },
};
