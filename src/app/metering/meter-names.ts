/** What a run's budgets and quotas are called where they are defined: by its task, for the input that it was created with. */
import type { ExecutionInfo } from '../../../model/execution/projections.js';
import type { Backend } from '../../backend/backend.js';
import { decode } from '../../shared/codec.js';
import { shown } from '../../shared/checks.js';
import type { TaskDefinition } from '../tasks/task.js';
import { metersOfRun, type RunMeters } from './meters.js';
import { quotaNames } from './quota.js';

/** What the budgets and quotas of a run are; nothing where its task is not known, or has others by now. */
async function metersOf(
  backend: Backend,
  task: TaskDefinition | undefined,
  { executionId, payloadEncoding }: ExecutionInfo,
): Promise<RunMeters> {
  if (task === undefined) return NONE;
  const { inputPayload } = await backend.readExecutionContext({ executionId });
  try {
    return metersOfRun(task, decode({ bytes: inputPayload, encoding: payloadEncoding }));
  } catch {
    // A definition that has changed since may not take the input.
    return NONE;
  }
}

const NONE: RunMeters = { budgets: [], quotas: [] };

/** By id. */
export async function meterNamesOf(
  backend: Backend,
  task: TaskDefinition | undefined,
  info: ExecutionInfo,
): Promise<ReadonlyMap<string, string>> {
  const { budgets, quotas } = await metersOf(backend, task, info);
  return new Map([
    ...budgets.map(({ id, name }): [string, string] => [id, shown(name)]),
    ...quotaNames(info.namespace, quotas),
  ]);
}

/** The names of its budgets, by id. */
export async function budgetNamesOf(
  backend: Backend,
  task: TaskDefinition | undefined,
  info: ExecutionInfo,
): Promise<readonly (readonly [id: string, name: string])[]> {
  const { budgets } = await metersOf(backend, task, info);
  return budgets.map(({ id, name }) => [id, name]);
}
