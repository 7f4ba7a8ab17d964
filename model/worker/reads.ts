/** listWorkers: the live workers of a namespace. Spec 05 section 12. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, query } from '../operation.js';
import { partitionIn } from '../families.js';
import { LIMITS, DEFAULTS } from '../limits.js';
import { expiryOf, type ReadonlyWorker } from './facts.js';

/** A live worker. Times are ms since the epoch. */
export interface WorkerInfo {
  readonly namespace: string;
  readonly workerInstanceId: string;
  /** Its pool. */
  readonly workerId: string;
  readonly lanes: readonly string[];
  readonly capabilities: readonly string[];
  /** Kinds that it can run; any when absent. */
  readonly kinds: readonly string[] | undefined;
  /** Executions that it runs at once, at most; absent when it did not say. */
  readonly slots: number | undefined;
  /** Executions that it held at its last heartbeat. */
  readonly running: number;
  /** Whether it is draining. */
  readonly draining: boolean;
  readonly registeredAt: number;
  readonly lastHeartbeatAt: number;
  /** How long it counts as alive after a heartbeat, ms. */
  readonly livenessTtlMs: number;
  /** When it counts as dead without another heartbeat. */
  readonly expiresAt: number;
}

export interface WorkersPage {
  /** By instance id, ascending. */
  readonly workers: readonly WorkerInfo[];
  /** Present when more may follow: the `cursor` of the next page. A page can be short and not the last. */
  readonly nextCursor: string | undefined;
}

const infoOf = (namespace: string, worker: ReadonlyWorker): WorkerInfo => ({
  namespace,
  workerInstanceId: worker.workerInstanceId,
  workerId: worker.workerId,
  lanes: worker.lanes,
  capabilities: worker.capabilities,
  kinds: worker.kinds,
  slots: worker.slots,
  running: worker.running,
  draining: worker.draining,
  registeredAt: worker.registeredAt,
  lastHeartbeatAt: worker.lastHeartbeatAt,
  livenessTtlMs: worker.livenessTtlMs,
  expiresAt: expiryOf(worker),
});

export const listWorkers = query({
  name: 'listWorkers',
  args: z.strictObject({
    namespace: field.namespace,
    /** The instance id to continue after. */
    cursor: field.workerInstanceId.optional(),
    limit: field.integer(1, LIMITS.maxListPage).default(DEFAULTS.pageSize),
  }),
  rejects: [],
  family: 'worker',
  partition: ({ namespace }) => partitionIn('worker', namespace),
  /** Workers without a heartbeat in time are left out, recorded or not. */
  read(view, { namespace, cursor, limit }, { now }) {
    const { workers, next } = view.workers.alive(cursor, limit, now);
    return accept<WorkersPage>({ workers: workers.map((worker) => infoOf(namespace, worker)), nextCursor: next });
  },
});
