import { randomUUID } from 'node:crypto';
import { uuidv7 } from 'uuidv7';
import type { Backend } from '../src/backend/backend.js';
import { memory } from '../src/memory/index.js';
import { median } from './statistics.js';

const PARTITION = '{fp:0}';
const LANE = 'default';

/** Transitions of one lifecycle: create, claim, complete. */
export const TRANSITIONS_PER_LIFECYCLE = 3;

/** Asynchronous workers in one process. */
const WORKERS = 16;

/** Lifecycles before a clock starts, so that the compiler has seen the code. */
const WARM_UP = 20_000;

/** Lifecycles per sample: each sample has its share of garbage collection. */
const MEASURED = 10_000;

/** Samples per population; the median counts. */
const SAMPLES = 7;

/** A population that measuring has made this many times as large is made anew. */
const GROWTH = 1.5;

/** Lifecycles whose ids are minted at once while a population is made. */
const FILLED_AT_ONCE = 50_000;

/** The memory backend, by the public asynchronous methods, with validation and events on, in one partition. */
export interface PopulationTask {
  /** Lifecycles of the rate. */
  readonly lifecycles: number;
  /** Terminal executions that are present while the cost of a transition is measured, ascending. */
  readonly populations: readonly number[];
}

export interface PopulationResult {
  readonly lifecyclesPerS: number;
  /** Cost of a transition for each population, in microseconds. */
  readonly transitionUs: readonly number[];
}

/** Rate of a new backend, and cost of a transition by how many executions there are. */
export async function measurePopulation({ lifecycles, populations }: PopulationTask): Promise<PopulationResult> {
  await runLifecycles(memory(), mint(WARM_UP));
  const lifecyclesPerS = (lifecycles / (await runLifecycles(memory(), mint(lifecycles)))) * 1_000;
  const transitionUs: number[] = [];
  for (const population of populations) transitionUs.push(await costWith(population));
  return { lifecyclesPerS, transitionUs };
}

async function costWith(population: number): Promise<number> {
  const round = Math.min(population, MEASURED);
  let backend = await filled(population);
  let present = population;
  const samples: number[] = [];
  for (let sample = 0; sample < SAMPLES; sample += 1) {
    let durationMs = 0;
    for (let done = 0; done < MEASURED; done += round) {
      if (present > population * GROWTH) {
        backend = await filled(population);
        present = population;
      }
      durationMs += await runLifecycles(backend, mint(round));
      present += round;
    }
    samples.push((durationMs * 1_000) / (MEASURED * TRANSITIONS_PER_LIFECYCLE));
  }
  return median(samples);
}

async function filled(population: number): Promise<Backend> {
  const backend = memory();
  for (let present = 0; present < population; present += FILLED_AT_ONCE) {
    await runLifecycles(backend, mint(Math.min(FILLED_AT_ONCE, population - present)));
  }
  return backend;
}

/** The ids that a lifecycle needs: minted by its callers, outside the clock. */
interface Ids {
  readonly executionId: string;
  readonly leaseId: string;
  readonly attemptId: string;
}

export const mint = (count: number): Ids[] =>
  Array.from({ length: count }, () => ({
    executionId: flat(`${PARTITION}:${uuidv7()}`),
    leaseId: flat(randomUUID()),
    attemptId: flat(randomUUID()),
  }));

/** Texts glued together are joined by their first reader: done here, it is not on the engine's clock. */
const flat = (text: string): string => Buffer.from(text, 'latin1').toString('latin1');

/** Creates, claims and completes one execution per entry, by workers that share the entries. Gives the duration, ms. */
export async function runLifecycles(backend: Backend, ids: readonly Ids[]): Promise<number> {
  const entries = ids.values();
  const start = performance.now();
  await Promise.all(Array.from({ length: WORKERS }, (_, index) => work(backend, entries, `worker-${index}`)));
  return performance.now() - start;
}

async function work(backend: Backend, entries: Iterable<Ids>, workerInstanceId: string): Promise<void> {
  for (const { executionId, leaseId, attemptId } of entries) {
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
}
