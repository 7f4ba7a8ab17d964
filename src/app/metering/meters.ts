/** The meters of a run: the quotas and budgets of its task, for its input. */
import type { AppBudget } from './budget.js';
import type { PolicyInput } from '../tasks/policy.js';
import { keyedQuotasOf, quotasOfRun, type RunQuota } from './quota.js';
import { budgetsOfRun } from './task-budget.js';
import type { TaskDefinition } from '../tasks/task.js';

export interface RunMeters {
  readonly quotas: readonly RunQuota[];
  readonly budgets: readonly AppBudget[];
}

/** @throws InvalidInputError if the input has no key for a quota, or no budget */
export const metersOfRun = ({ name, quotas, budget }: TaskDefinition, input: unknown): RunMeters => ({
  quotas: quotasOfRun(name, quotas, input),
  budgets: budgetsOfRun(name, budget, input),
});

/** The policy of a run, with its meters if it has any. */
export function meteredPolicy(
  policy: PolicyInput | undefined,
  namespace: string,
  { quotas, budgets }: RunMeters,
): PolicyInput | undefined {
  if (quotas.length === 0 && budgets.length === 0) return policy;
  return {
    ...policy,
    ...(quotas.length === 0 ? {} : { keyedQuotas: keyedQuotasOf(namespace, quotas) }),
    ...(budgets.length === 0 ? {} : { budgetIds: budgets.map(({ id }) => id) }),
  };
}
