/** What a run's budgets and quotas are called where they are defined: by its task, for the input that it was created with. */
import type { ExecutionInfo } from '../../../model/execution/projections.js';
import type { Backend } from '../../backend.js';
import { decode } from '../../shared/codec.js';
import { shown } from '../../shared/checks.js';
import type { TaskDefinition } from '../tasks/task.js';
import { metersOfRun } from './meters.js';
import { quotaNames } from './quota.js';

/** By id; empty where nothing is known of its task, and where that has other budgets and quotas by now. */
export async function meterNamesOf(
  backend: Backend,
  task: TaskDefinition | undefined,
  { executionId, namespace, payloadEncoding }: ExecutionInfo,
): Promise<ReadonlyMap<string, string>> {
  if (task === undefined) return new Map();
  const { inputPayload } = await backend.readExecutionContext({ executionId });
  try {
    const input = decode({ bytes: inputPayload, encoding: payloadEncoding });
    const { budgets, quotas } = metersOfRun(task, input);
    const named = budgets.map(({ id, name }): [string, string] => [id, shown(name)]);
    return new Map([...named, ...quotaNames(namespace, quotas)]);
  } catch {
    // A definition that has changed since may not take the input.
    return new Map();
  }
}
