import type { CallEngine, SubjectModule } from '../adapter.js';
import { drainAll, submitAll } from '../lifecycle.js';
import { groups, storedEntities } from '../names.js';
import { payloadOf } from '../payload.js';
import type { Row } from '../rows.js';
import { scaled, type Scenario } from '../scenario.js';

/** Asynchronous workers in one process. */
const WORKERS = 16;

/** Lifecycles per measurement. */
const LIFECYCLES = 50_000;

/** Terminal entities that the store holds before the clock starts. */
const STORED = [1_000, 10_000, 100_000, 1_000_000] as const;

/** The machine without a server: rate, and cost against what is stored. */
export const memoryBackendScenario: Scenario = {
  name: 'memory-backend',
  title: 'in-memory backend: lifecycles per second, cost by entities stored',
  run: async (context) => {
    const { subject } = context;
    if (subject === undefined) return [];
    const rates: number[] = [];
    const costs = STORED.map((stored) => ({ stored, values: [] as number[] }));
    const count = scaled(context, LIFECYCLES);
    await freshRate(subject, count);
    for (let run = 0; run < context.runs; run += 1) {
      rates.push(await freshRate(subject, count));
      for (const { stored, values } of costs) {
        values.push(await costWithStored(subject, scaled(context, stored), count));
      }
    }
    return [
      { group: groups.memoryBackendRate, name: 'flowfabric', unit: 'lifecycles/s', values: rates },
      ...costs.map(
        ({ stored, values }): Row => ({
          group: groups.memoryBackendCost,
          name: storedEntities(stored),
          unit: 'µs',
          values,
        }),
      ),
    ];
  },
};

async function freshRate(subject: SubjectModule, count: number): Promise<number> {
  const engine = await subject.createMemoryEngine();
  try {
    return (count / (await lifecyclesMs(engine, count))) * 1000;
  } finally {
    await engine.close();
  }
}

async function costWithStored(subject: SubjectModule, stored: number, count: number): Promise<number> {
  const engine = await subject.createMemoryEngine();
  try {
    await lifecyclesMs(engine, stored);
    // Few enough that the measurement itself hardly changes how much is stored.
    const measured = Math.min(count, 10_000);
    return ((await lifecyclesMs(engine, measured)) / measured) * 1000;
  } finally {
    await engine.close();
  }
}

async function lifecyclesMs(engine: CallEngine, count: number): Promise<number> {
  const payload = payloadOf('x');
  const start = performance.now();
  await submitAll(engine, 'single', count, payload);
  await drainAll({ by: 'calls', engine, workers: WORKERS }, count, payload);
  return performance.now() - start;
}
