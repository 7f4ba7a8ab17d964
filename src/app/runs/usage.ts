/** What a run used of budgets. */
import type { ExecutionUsage } from '../../../model/budget/reads.js';
import { partsOfMeterSet } from '../../../model/metering/meters.js';
import type { Backend } from '../../backend/backend.js';
import { budgetNamesOf } from '../metering/meter-names.js';
import type { TaskDefinition } from '../tasks/task.js';
import type { BudgetRef } from '../../worker/budgets/spending.js';

/** What all attempts of a run used of one budget, by dimension; resets do not change it. */
export interface RunUsage extends ExecutionUsage {
  readonly budgetId: string;
  /** The name of the budget; absent if this process does not know it. */
  readonly name: string | undefined;
}

/** What an execution used of these budgets, and of those of its task; nothing when it is not known. @throws EngineError `budget_not_found` */
export async function usageOfRun(
  backend: Backend,
  executionId: string,
  task: TaskDefinition | undefined,
  budgets: readonly BudgetRef[],
): Promise<RunUsage[] | undefined> {
  const info = await backend.readExecutionInfo({ executionId });
  if (info === undefined) return undefined;
  const ofTask = partsOfMeterSet(info.meters).budgetIds;
  const names = new Map(ofTask.length === 0 ? [] : await budgetNamesOf(backend, task, info));
  for (const { id, name } of budgets) names.set(id, name);
  const ids = new Set([...ofTask, ...budgets.map(({ id }) => id)]);
  return Promise.all(
    [...ids].map(async (budgetId) => {
      const used = await backend.readBudgetUsage({ budgetId, executionId });
      return { budgetId, name: names.get(budgetId), ...used };
    }),
  );
}
