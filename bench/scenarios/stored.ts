import type { SubjectEngine } from '../adapter.js';
import { inChild } from '../in-child.js';
import { drainAll, submitAll, type Form } from '../lifecycle.js';
import { groups, names } from '../names.js';
import { numberedPayloads, TINY_PAYLOAD_BYTES } from '../payload.js';
import { alternate, scaled, withEngine, withServer, type Scenario } from '../scenario.js';
import type { BenchServer } from '../server.js';

const STORED = 1_000_000;
const JOBS = 20_000;
const ROUNDS = 2;

/** Executions that are submitted and drained at a time while the store is filled. */
const FILL = 20_000;

/** Executions in a call while the store is filled. */
const FILL_CALL = 100;

const form: Form = { engine: 'flowfabric', drain: { by: 'fused calls', loops: 16 } };

/** Whether the rate falls with the number of stored executions: an empty server and a full one, in alternation. */
export const storedScenario: Scenario = {
  name: 'stored',
  title: 'submit and drain with 1 000 000 terminal executions stored, against an empty store (minutes)',
  run: (context) =>
    withServer({ appendonly: false }, (empty) =>
      withServer({ appendonly: false }, async (full) => {
        await withEngine('flowfabric', full, (engine) => fill(engine, scaled(context, STORED)));
        const rate = (server: BenchServer, keep: boolean) => async (): Promise<number> => {
          const task = { form, count: scaled(context, JOBS), payloadBytes: TINY_PAYLOAD_BYTES, rounds: ROUNDS, keep };
          const results = await inChild('lifecycles', { ...task, address: server.address });
          return results.at(-1)?.lifecyclePerS ?? Number.NaN;
        };
        const measured = await alternate(
          [
            { name: names.emptyStore, measure: rate(empty, false) },
            { name: names.fullStore, measure: rate(full, true) },
          ],
          context.runs,
        );
        return measured.map(({ name, results }) => ({
          group: groups.stored,
          name,
          unit: 'lifecycles/s',
          values: results,
        }));
      }),
    ),
};

async function fill(engine: SubjectEngine, total: number): Promise<void> {
  const payloads = numberedPayloads(FILL, TINY_PAYLOAD_BYTES);
  for (let stored = 0; stored < total; stored += FILL) {
    const some = payloads.slice(0, Math.min(FILL, total - stored));
    await submitAll(engine, some, FILL_CALL);
    await drainAll(engine, { by: 'batch calls', batch: FILL_CALL }, some);
  }
}
