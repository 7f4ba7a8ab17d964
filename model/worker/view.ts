/** What decisions and reads see of workers, and the same by definition. */
import { compareBytes } from '../ids.js';
import type { Partition } from '../state.js';
import { isAlive, type ReadonlyWorker } from './facts.js';

/** A part of a list of workers. */
export interface WorkersPart {
  readonly workers: readonly ReadonlyWorker[];
  /** The instance id behind which more may follow; absent at the end. */
  readonly next: string | undefined;
}

export interface WorkerView {
  get(workerInstanceId: string): ReadonlyWorker | undefined;
  /** Workers that have a record, those that lapsed and were not noticed yet included. */
  readonly count: number;
  /** Of the records behind an id, in the order of ids, at most `limit`: those of workers that live. */
  alive(after: string | undefined, limit: number, now: number): WorkersPart;
}

/** The view by definition. A namespace has some workers, and only people look at all of them: there is no index. */
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
        workers: page.map((id) => workers.get(id) as ReadonlyWorker).filter((worker) => isAlive(worker, now)),
        next: ids.length > limit ? page.at(-1) : undefined,
      };
    },
  };
}
