import type { Payload, SubjectEngine } from '../adapter.js';
import { alternate } from '../alternate.js';
import { drainAll, measureLifecycle, submitAll } from '../lifecycle.js';
import { decayRows, groups } from '../names.js';
import { fillerPayload, payloadOf, S1_PAYLOAD_BYTES } from '../payload.js';
import type { Row } from '../rows.js';
import { scaled, withSubject, type Scenario } from '../scenario.js';

const STORED = 1_000_000;
const JOBS = 20_000;
const WORKERS = 16;

/** Executions per call while the store is filled. */
const FILL_BATCH = 500;

/** Whether the rate falls with what is stored, and with the length of the queue. Takes minutes. */
export const decayScenario: Scenario = {
  name: 'decay',
  title: 'no decay with 1 000 000 terminal executions stored (needs --long)',
  run: async (context) => {
    if (!context.long) {
      context.note('Scenario decay is skipped: it takes minutes, ask for it with --long.');
      return [];
    }
    return withSubject(context, async (server, engine) => {
      const byLength = await alternate(
        [
          { name: decayRows.short, count: scaled(context, 10_000) },
          { name: decayRows.long, count: scaled(context, 100_000) },
        ].map(({ name, count }) => ({
          name,
          measure: (scale: number) =>
            measureLifecycle(server, {
              submit: 'single',
              drain: { by: 'fused calls', engine, workers: WORKERS },
              count: Math.round(count * scale),
              payload: fillerPayload(S1_PAYLOAD_BYTES),
            }),
        })),
        context.runs,
      );
      const lengthRows = byLength.map(
        ({ name, results }): Row => ({
          group: groups.decayLength,
          name,
          unit: 'jobs/s',
          values: results.map(({ drainPerS }) => drainPerS),
        }),
      );
      await server.flush();
      await engine.reset();
      const count = scaled(context, JOBS);
      await rates(engine, count, 1);
      const empty = await rates(engine, count, context.runs);
      await fillStore(engine, scaled(context, STORED));
      const stored = await rates(engine, count, context.runs);
      return [
        ...lengthRows,
        { group: groups.decayStored, name: decayRows.empty, unit: 'lifecycles/s', values: empty },
        { group: groups.decayStored, name: decayRows.stored, unit: 'lifecycles/s', values: stored },
      ];
    });
  },
};

/** Lifecycles per second of one run after the other, without emptying the store between them. */
async function rates(engine: SubjectEngine, count: number, runs: number): Promise<number[]> {
  const payload = payloadOf('x');
  const values: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    const start = performance.now();
    await submitAll(engine, 'single', count, payload);
    await drainAll({ by: 'fused calls', engine, workers: WORKERS }, count, payload);
    values.push((count / (performance.now() - start)) * 1000);
  }
  return values;
}

async function fillStore(engine: SubjectEngine, total: number): Promise<void> {
  const payload: Payload = payloadOf('x');
  for (let stored = 0; stored < total; stored += FILL_BATCH) {
    const size = Math.min(FILL_BATCH, total - stored);
    await submitAll(engine, { perCall: size }, size, payload);
    await drainAll({ by: 'batch calls', engine, batch: size }, size, payload);
  }
}
