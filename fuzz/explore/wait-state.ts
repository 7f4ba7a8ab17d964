/** The state of the small world of waits: one execution, and what its owners know. */
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import type { FullFence } from '../../model/lease/fence.js';
import { LIMITS } from '../../model/limits.js';
import type { Command } from '../../model/machine.js';
import { executionOf, idOf, PARTITION, type Small } from './node.js';

export const WAITER = executionOf(1);
export interface WaitState extends Small {
  readonly now: number;
  readonly path: readonly string[];
  /** Fences from claims, oldest first. */
  readonly fences: readonly FullFence[];
  /** The last requested suspension, to be repeated. */
  readonly asked: Command | undefined;
}

export const waiterOf = ({ state }: Small): ReadonlyExecution | undefined => state.tables.execution.get(WAITER);

const WORKER = { workerId: 'pool', workerInstanceId: 'w', leaseTtlMs: LIMITS.minLeaseTtlMs };

/** A claim of the only execution, with ids that follow from the number of claims. */
export const claimOf = ({ fences: { length: n } }: WaitState): Command => ({
  name: 'claimForWorker',
  args: {
    ...{ partition: PARTITION, laneId: 'main', ...WORKER },
    claims: [{ leaseId: idOf(100 + n), attemptId: idOf(200 + n) }],
  },
});
