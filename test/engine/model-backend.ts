/** A machine of the model as a backend for `explain`, and copies of it for searches. */
import { QUERIES } from '../../model/machine.js';
import { SpecMachine } from '../../model/specification/machine.js';
import type { Backend } from '../../src/backend/backend.js';
import { PARTITION } from '../model/dsl.js';

/** A copy that can go on by itself. The state is never changed in place. */
export function copyOf({ partition }: SpecMachine): SpecMachine {
  const copy = new SpecMachine({ retentionMs: 86_400_000 }, PARTITION);
  const { header, log, state, ...rest } = partition;
  copy.partition = { ...structuredClone(rest), header: { ...header }, log: [...log], state };
  return copy;
}

/** The reads of `explain`, answered by the model. Budgets and quotas are of other partitions: nothing is metered. */
export const backendOf = (machine: SpecMachine, now: number): Backend =>
  new Proxy({} as Backend, {
    get: (_, name: string) => async (args: object) => {
      if (name === 'serverTime') return now;
      if (name === 'listWorkers') return { workers: [], nextCursor: undefined };
      const query = QUERIES[name as keyof typeof QUERIES];
      const decision = query.read(machine.view, query.args.parse(args) as never, {
        now,
        settings: { retentionMs: 0 },
      }) as { ok: boolean; outcome: unknown };
      return decision.outcome;
    },
  });
