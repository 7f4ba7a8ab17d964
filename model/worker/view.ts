/** What decisions and reads see of workers, and its definition. */
import { present } from '../core/present.js';
import { compareBytes } from '../ids.js';
import type { Partition } from '../state.js';
import { isAlive, type ReadonlyWorker } from './facts.js';

/** One page of workers. */
export interface WorkersPart {
  readonly workers: readonly ReadonlyWorker[];
  /** The instance id to continue after; absent at the end. */
  readonly next: string | undefined;
}

export interface WorkerView {
  get(workerInstanceId: string): ReadonlyWorker | undefined;
  /** Workers with a record, including lapsed ones that are not recorded yet. */
  readonly count: number;
  /** Live workers among at most `limit` records after an id, ascending by id. */
  alive(after: string | undefined, limit: number, now: number): WorkersPart;
}

/** The definition. A namespace has few workers, and only people list them, so there is no index. */
export function workersByDefinition({ state: { tables } }: Partition): WorkerView {
  const workers = tables.worker;
  return {
    get: (workerInstanceId) => workers.get(workerInstanceId),
    get count() {
      return workers.size;
    },
    alive(after, limit, now) {
      const ids = [...workers.keys()].filter((id) => after === undefined || compareBytes(id, after) > 0);
      const page = ids.sort(compareBytes).slice(0, limit);
      return {
        workers: page.map((id) => present(workers.get(id))).filter((worker) => isAlive(worker, now)),
        next: ids.length > limit ? page.at(-1) : undefined,
      };
    },
  };
}
