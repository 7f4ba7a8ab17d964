/** The work of workers in a run of meters: a few runs of each tenant at once, all charged to one budget. */
import { app, backoff, type App, type Task, type TaskContext } from '../../src/index.js';
import type { Backend } from '../../src/backend/backend.js';
import type { MeterRecord } from './records.js';

export interface MeteredJob {
  readonly tenant: string;
  readonly workMs: number;
}

/** Concurrent runs of a tenant. */
export const TENANT_CAP = 3;
/** Short, so that work of a killed worker continues soon. */
export const LEASE_TTL = '1s';
/** Reserved and spent by every run from the common budget. */
export const RUN_TOKENS = 5;
const RUN_BUDGET = 'runs';
/** Exhausted once every run has spent its share, together with what died with its process. */
const RUN_BUDGET_LIMIT = 1_000_000;

export function meteredApp(
  backend: Backend,
  write: (record: MeterRecord) => void = () => undefined,
): { readonly app: App; readonly task: Task<MeteredJob, void>; readonly budgetId: string } {
  const metered = app({ backend, namespace: 'meters' });
  const budget = metered.budget(RUN_BUDGET, { limits: { tokens: { hard: RUN_BUDGET_LIMIT } } });
  const task = metered.task(
    'send',
    {
      quota: { per: ({ tenant }: MeteredJob) => tenant, concurrency: TENANT_CAP },
      retry: { failures: 10, crashes: 1_000, backoff: backoff.exponential('20ms', { max: '200ms' }) },
    },
    async ({ input: { tenant, workMs }, fence, budget: of }: TaskContext<MeteredJob>) => {
      const by = fence.token;
      write({ entry: 'began', by, tenant, at: Date.now() });
      try {
        const held = await of(budget).reserve({ tokens: RUN_TOKENS }, { ttl: '1s' });
        await new Promise((resolve) => setTimeout(resolve, workMs));
        await held.settle({ tokens: RUN_TOKENS });
      } finally {
        write({ entry: 'ended', by, tenant, at: Date.now() });
      }
    },
  );
  return { app: metered, task, budgetId: budget.id };
}
