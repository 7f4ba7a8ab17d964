/** The names of a run's budgets and quotas, from the definition of its task and the input of the run. */
import type { ExecutionInfo } from '../../../model/execution/projections.js';
import type { Backend } from '../../backend/backend.js';
import { decode, JSON_ENCODING } from '../../shared/codec.js';
import { shown } from '../../shared/checks.js';
import { TEMPLATE_ENCODING, templateOf } from '../../shared/template.js';
import type { TaskDefinition } from '../tasks/task.js';
import { metersOfRun, type RunMeters } from './meters.js';
import { quotaNames } from './quota.js';

/** The budgets and quotas of a run; none if its task is unknown, or does not accept the input any more. */
async function metersOf(
  backend: Backend,
  task: TaskDefinition | undefined,
  { executionId, payloadEncoding }: ExecutionInfo,
): Promise<RunMeters> {
  if (task === undefined) return NONE;
  const { inputPayload } = await backend.readExecutionContext({ executionId });
  try {
    if (payloadEncoding !== TEMPLATE_ENCODING)
      return metersOfRun(task, decode({ bytes: inputPayload, encoding: payloadEncoding }));
    // As at the creation of the member: without the results that belong in its input.
    return metersOfRun(task, templateOf(decode({ bytes: inputPayload, encoding: JSON_ENCODING })).value);
  } catch {
    // The definition may have changed after the run was created.
    return NONE;
  }
}

const NONE: RunMeters = { budgets: [], quotas: [] };

/** The names of its budgets and quotas, by id. */
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
