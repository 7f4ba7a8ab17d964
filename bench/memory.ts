/**
 * How fast the memory backend is: lifecycles per second, and cost of a transition by how many executions there are.
 * Every call goes through the public asynchronous methods, with validation and events on, in one partition.
 *
 * `npm run bench:memory` prints both tables.
 */
import { randomUUID } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import { uuidv7 } from 'uuidv7';
import type { Backend } from '../src/backend.js';
import { memory } from '../src/memory/index.js';
import { median } from './statistics.js';

const PARTITION = '{fp:0}';
const LANE = 'default';

/** Transitions of one lifecycle: create, claim, complete. */
const TRANSITIONS_PER_LIFECYCLE = 3;

/** Asynchronous workers in one process. */
const WORKERS = 16;

/** Lifecycles before a clock starts, so that the compiler has seen the code. */
const WARM_UP = 20_000;

/** Lifecycles per sample. */
const MEASURED = 10_000;

/** A population that measuring has made this many times as large is too large. */
const GROWTH = 1.5;

/** Lifecycles whose ids are minted at once while a population is made. */
const FILLED_AT_ONCE = 50_000;

/** Measurements per population; the median counts. */
const REPEATS = 7;

/** The ids that a lifecycle needs: minted by its callers, outside the clock. */
interface Ids {
  readonly executionId: string;
  readonly leaseId: string;
  readonly attemptId: string;
}

const mint = (count: number): Ids[] =>
  Array.from({ length: count }, () => ({
    executionId: flat(`${PARTITION}:${uuidv7()}`),
    leaseId: flat(randomUUID()),
    attemptId: flat(randomUUID()),
  }));

/** Texts glued together are joined by their first reader: done here, it is not on the engine's clock. */
const flat = (text: string): string => Buffer.from(text, 'latin1').toString('latin1');

/** Creates, claims and completes one execution per entry, by workers that share the entries. Gives the duration, ms. */
async function runLifecycles(backend: Backend, ids: readonly Ids[], workers: number): Promise<number> {
  let next = 0;
  const worker = async (workerInstanceId: string): Promise<void> => {
    for (let entry = ids[next++]; entry !== undefined; entry = ids[next++]) {
      const { executionId, leaseId, attemptId } = entry;
      await backend.createExecution({
        executionId,
        namespace: 'bench',
        laneId: LANE,
        executionKind: 'job',
        creatorIdentity: 'bench',
      });
      const outcome = await backend.claimForWorker({
        partition: PARTITION,
        laneId: LANE,
        workerId: 'worker',
        workerInstanceId,
        claims: [{ leaseId, attemptId }],
      });
      const claimed = outcome.kind === 'claimed' ? outcome.executions[0] : undefined;
      if (claimed === undefined) throw new Error('There was nothing to claim right after a creation.');
      await backend.completeExecution({
        executionId: claimed.executionId,
        fence: { leaseId: claimed.leaseId, leaseEpoch: claimed.leaseEpoch, attemptId: claimed.attemptId },
      });
    }
  };
  const names = Array.from({ length: workers }, (_, index) => `worker-${index}`);
  const start = performance.now();
  await Promise.all(names.map(worker));
  return performance.now() - start;
}

/** Lifecycles per second of a fresh engine, after a warm-up on another one. */
export async function memoryLifecycles({ count, workers }: { count: number; workers: number }): Promise<number> {
  await runLifecycles(memory(), mint(WARM_UP), workers);
  const ids = mint(count);
  return (count / (await runLifecycles(memory(), ids, workers))) * 1_000;
}

/**
 * Cost of a transition with so many terminal executions present, ascending. Every sample covers as many lifecycles,
 * so that each has its share of garbage collection; a small population is made anew before it has grown.
 */
export async function costByPopulation(
  sizes: readonly number[],
): Promise<{ size: number; microsecondsPerTransition: number }[]> {
  await runLifecycles(memory(), mint(WARM_UP), WORKERS);
  const costs: { size: number; microsecondsPerTransition: number }[] = [];
  let backend = memory();
  let present = 0;
  const fill = async (size: number): Promise<void> => {
    while (present < size) {
      const count = Math.min(FILLED_AT_ONCE, size - present);
      await runLifecycles(backend, mint(count), WORKERS);
      present += count;
    }
  };
  for (const size of [...sizes].sort((a, b) => a - b)) {
    const round = Math.min(size, MEASURED);
    const samples: number[] = [];
    for (let repeat = 0; repeat < REPEATS; repeat++) {
      let durationMs = 0;
      for (let done = 0; done < MEASURED; done += round) {
        if (present > size * GROWTH) {
          backend = memory();
          present = 0;
        }
        await fill(size);
        durationMs += await runLifecycles(backend, mint(round), WORKERS);
        present += round;
      }
      samples.push((durationMs * 1_000) / (MEASURED * TRANSITIONS_PER_LIFECYCLE));
    }
    costs.push({ size, microsecondsPerTransition: median(samples) });
  }
  return costs;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  for (let run = 0; run < 5; run++)
    console.log(`${Math.round(await memoryLifecycles({ count: 100_000, workers: WORKERS }))} lifecycles/s`);
  for (const { size, microsecondsPerTransition } of await costByPopulation([1_000, 10_000, 100_000, 1_000_000])) {
    console.log(`${size} executions: ${microsecondsPerTransition.toFixed(2)} µs per transition`);
  }
}
