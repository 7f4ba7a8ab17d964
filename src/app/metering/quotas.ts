/** The quotas of tasks, as operators see them. */
import type { Backend } from '../../backend/backend.js';
import { quotasOfRun, usesOf, type QuotaUse } from './quota.js';
import type { TaskRegistry } from '../tasks/registry.js';
import { nameOfTask } from '../tasks/task-checks.js';
import type { TaskReference } from '../tasks/task.js';

export interface AppQuotas {
  /**
   * Current use of the quotas that apply to a run of this task with this input: how many runs are held, how many
   * started in the window, and when there is room again.
   * @throws InvalidDefinitionError for a task of another app; InvalidInputError when the input has no key
   * @example const [perTenant] = await app.quotas.of(send, { tenant: 'acme' });
   */
  of(task: TaskReference, input?: unknown): Promise<QuotaUse[]>;
}

interface QuotaSource {
  readonly tasks: TaskRegistry;
  readonly namespace: string;
  backend(): Promise<Backend>;
  call<T>(command: () => Promise<T>): Promise<T>;
}

export const quotasOfApp = (source: QuotaSource): AppQuotas => ({
  async of(task, input) {
    const { name, quotas } = source.tasks.named(nameOfTask(task));
    // In the turn of the call: its caller may change the input afterwards.
    const keyed = quotasOfRun(name, quotas, input);
    const backend = await source.backend();
    return source.call(() => usesOf(backend, source.namespace, keyed));
  },
});
