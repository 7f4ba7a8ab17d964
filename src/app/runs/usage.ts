/** What a run used of budgets. */
import type { ExecutionUsage } from '../../../model/budget/reads.js';
import { partsOfMeterSet } from '../../../model/metering/meters.js';
import type { Backend } from '../../backend.js';
import type { BudgetRef } from '../../worker/budgets/spending.js';

/** What all attempts of a run used of one budget, by dimension; resets do not change it. */
export interface RunUsage extends ExecutionUsage {
  readonly budgetId: string;
}

/** What an execution used of these budgets, and of those of its task; nothing when it is not known. @throws EngineError `budget_not_found` */
export async function usageOfRun(
  backend: Backend,
  executionId: string,
  budgets: readonly BudgetRef[],
): Promise<RunUsage[] | undefined> {
  const info = await backend.readExecutionInfo({ executionId });
  if (info === undefined) return undefined;
  const ids = new Set([...partsOfMeterSet(info.meters).budgetIds, ...budgets.map(({ id }) => id)]);
  return Promise.all(
    [...ids].map(async (budgetId) => ({ budgetId, ...(await backend.readBudgetUsage({ budgetId, executionId })) })),
  );
}
