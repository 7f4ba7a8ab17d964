/** How much of its budgets a run has used. */
import { bounded, plus } from '../../../model/budget/amounts.js';
import type { ExecutionUsage } from '../../../model/budget/reads.js';
import type { ExecutionInfo } from '../../../model/execution/projections.js';
import { partsOfMeterSet } from '../../../model/metering/meters.js';
import type { Backend } from '../../backend/backend.js';
import { budgetNamesOf } from '../metering/meter-names.js';
import type { TaskDefinition } from '../tasks/task.js';
import type { BudgetRef } from '../../worker/budgets/spending.js';

/** The usage of one budget by all attempts of a run, or of all members of a flow, by dimension. Resets do not change it. */
export interface RunUsage extends ExecutionUsage {
  readonly budgetId: string;
  /** The name of the budget; absent if this process does not know it. */
  readonly name: string | undefined;
}

/**
 * The usage of an execution, of these budgets and those of its task; undefined for an unknown execution.
 * @throws EngineError `budget_not_found`
 */
export async function usageOfRun(
  backend: Backend,
  executionId: string,
  taskOf: (info: ExecutionInfo) => TaskDefinition | undefined,
  budgets: readonly BudgetRef[],
): Promise<RunUsage[] | undefined> {
  const info = await backend.readExecutionInfo({ executionId });
  if (info === undefined) return undefined;
  const ofTask = partsOfMeterSet(info.meters).budgetIds;
  const names = new Map(ofTask.length === 0 ? [] : await budgetNamesOf(backend, taskOf(info), info));
  for (const { id, name } of budgets) names.set(id, name);
  const ids = new Set([...ofTask, ...budgets.map(({ id }) => id)]);
  const named = new Map(budgets.map((budget) => [budget.id, budget]));
  return Promise.all(
    [...ids].map(async (budgetId) => {
      const read = () => backend.readBudgetUsage({ budgetId, executionId });
      const used = await (named.get(budgetId)?.ensured(read) ?? read());
      return { budgetId, name: names.get(budgetId), ...used };
    }),
  );
}

/** Adds the usage of one run to the sums by budget. */
export function addUsage(sums: Map<string, RunUsage>, usage: readonly RunUsage[]): void {
  for (const { budgetId, name, used, releasable } of usage) {
    const sum = sums.get(budgetId);
    sums.set(budgetId, {
      budgetId,
      name: sum?.name ?? name,
      used: bounded(plus(sum?.used ?? {}, used)),
      releasable: bounded(plus(sum?.releasable ?? {}, releasable)),
    });
  }
}
