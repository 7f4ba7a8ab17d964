import type { WorkerEngine } from '../adapter.js';
import { alternate } from '../alternate.js';
import { groups, names } from '../names.js';
import { payloadOf } from '../payload.js';
import { rowsFrom } from '../rows.js';
import { scaled, withEngines, type Scenario } from '../scenario.js';
import type { BenchServer } from '../server.js';
import { percentile } from '../statistics.js';
import { signal, sleep, within } from '../timing.js';

/** Jobs whose latency is not counted: the first ones compile the path. */
const WARM_UP_JOBS = 50;

/** Pause between jobs, in milliseconds: the worker is idle and waiting again when the next comes. */
const PAUSE_MS = 2;

/** A job that takes longer is lost, in milliseconds. */
const JOB_LIMIT_MS = 30_000;

/** Slots of the worker: some are free at any time. */
const SLOTS = 16;

/** From the submit call to the acknowledged completion, one job at a time on an idle system. */
export const latencyScenario: Scenario = {
  name: 'latency',
  title: 'idle latency from submit to completed, one job at a time',
  run: (context) =>
    withEngines(context, { appendonly: false }, async (server, { list, bullmq, subject }) => {
      const count = scaled(context, 300);
      const systems: { name: string; engine: WorkerEngine }[] = [
        { name: names.list, engine: list },
        { name: names.bullmq, engine: bullmq },
      ];
      if (subject !== undefined) systems.push({ name: names.subjectWorker, engine: subject });
      const measured = await alternate(
        systems.map(({ name, engine }) => ({
          name,
          measure: (scale: number) => measureLatency(server, engine, Math.round(count * scale)),
        })),
        context.runs,
      );
      return measured.flatMap(({ name, results }) =>
        rowsFrom(results, name, [
          { metric: 'p50', group: groups.latencyP50, unit: 'ms' },
          { metric: 'p99', group: groups.latencyP99, unit: 'ms' },
        ]),
      );
    }),
};

async function measureLatency(
  server: BenchServer,
  engine: WorkerEngine,
  count: number,
): Promise<{ p50: number; p99: number }> {
  await server.flush();
  await engine.reset();
  let completed = signal<number>();
  const worker = await engine.createWorker({
    slots: SLOTS,
    onTask: () => undefined,
    onCompleted: () => {
      completed.resolve(performance.now());
    },
  });
  worker.start();
  const latenciesMs: number[] = [];
  try {
    for (let job = 0; job < WARM_UP_JOBS + count; job += 1) {
      await sleep(PAUSE_MS);
      completed = signal<number>();
      const start = performance.now();
      const submitted = engine.submit({ payload: payloadOf('x') });
      const end = await within(JOB_LIMIT_MS, completed.promise, () => `${engine.name} lost job ${job}.`);
      await submitted;
      if (job >= WARM_UP_JOBS) latenciesMs.push(end - start);
    }
  } finally {
    await worker.stop();
  }
  return { p50: percentile(latenciesMs, 50), p99: percentile(latenciesMs, 99) };
}
