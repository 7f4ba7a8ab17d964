import { Redis as Valkey } from 'iovalkey';
import { app } from '../../src/app/app.js';
import { newId } from '../../src/engine/index.js';
import { valkey } from '../../src/valkey/index.js';
import type { Step } from '../../src/worker/steps/step.js';
import { groups, stepRows } from '../names.js';
import type { Row } from '../rows.js';
import { alternate, scaled, withServer, type Scenario } from '../scenario.js';
import type { BenchServer } from '../server.js';
import { inParallel, signal } from '../timing.js';

/** Steps of one measurement. */
const STEPS = 4_000;
const IN_FLIGHT = 16;
const AT_ONCE = 10;

const LIBRARY = `#!lua name=bare
server.register_function('bare_hset', function(keys, argv) return server.call('HSET', keys[1], argv[1], argv[2]) end)`;

const VALUE = { ok: true };
const STORED = JSON.stringify(VALUE);

/** Microseconds. */
interface Timings {
  readonly one: number;
  readonly many: number;
  readonly ten: number;
}

/** What a step of a handler costs, beside a function that does nothing but one HSET, through the same client. */
export const stepsScenario: Scenario = {
  name: 'steps',
  title: 'steps of handlers, against a function of one HSET',
  run: (context) =>
    withServer({ appendonly: false }, async (server) => {
      const count = scaled(context, STEPS);
      // One round that does not count pays for compiling.
      await measureSteps(server, Math.min(count, 500));
      const contestants = [
        { name: stepRows.step, measure: () => measureSteps(server, count) },
        { name: stepRows.bare, measure: () => measureBare(server, count) },
      ];
      const [steps, bare] = (await alternate(contestants, context.runs)).map(({ results }) => results);
      const row = (group: string, name: string, timings: readonly Timings[] = [], of: keyof Timings): Row => ({
        group,
        name,
        unit: 'µs',
        values: timings.map((each) => each[of]),
      });
      return [
        row(groups.stepAlone, stepRows.step, steps, 'one'),
        row(groups.stepAlone, stepRows.bare, bare, 'one'),
        row(groups.stepInFlight, stepRows.step, steps, 'many'),
        row(groups.stepInFlight, stepRows.bare, bare, 'many'),
        row(groups.stepsAtOnce, stepRows.ten, steps, 'ten'),
        row(groups.stepsAtOnce, stepRows.one, steps, 'one'),
      ];
    }),
};

/** Of a call: one after the other; so many at a time; ten begun together. */
async function timed(count: number, call: (loop: number, index: number) => Promise<unknown>): Promise<Timings> {
  const one = await microseconds(count, () => inParallel(count, 1, (index) => discard(call(0, index))));
  const many = await microseconds(count, () =>
    inParallel(IN_FLIGHT, IN_FLIGHT, async (loop) => {
      for (let index = 0; index < count / IN_FLIGHT; index++) await call(1 + loop, index);
    }),
  );
  const tens = Math.ceil(count / AT_ONCE);
  const ten = await microseconds(tens, async () => {
    for (let round = 0; round < tens; round++)
      await Promise.all(Array.from({ length: AT_ONCE }, (_, each) => call(1 + IN_FLIGHT, round * AT_ONCE + each)));
  });
  return { one, many, ten };
}

const discard = async (call: Promise<unknown>): Promise<void> => void (await call);

async function microseconds(count: number, work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return ((performance.now() - start) * 1_000) / count;
}

/** Steps in handlers of the product, each loop in a run of its own. */
async function measureSteps(server: BenchServer, count: number): Promise<Timings> {
  const backend = await valkey({ url: server.address.url, prefix: `${newId()}:` });
  const a = app({ backend });
  const loops = 2 + IN_FLIGHT;
  const steps: Step[] = [];
  const ready = signal<undefined>();
  const done = signal<undefined>();
  const task = a.task('bench', async ({ step }) => {
    steps.push(step);
    if (steps.length === loops) ready.resolve(undefined);
    await done.promise;
  });
  try {
    await a.worker({ slots: loops });
    const runs = await Promise.all(Array.from({ length: loops }, () => task.run(undefined)));
    await ready.promise;
    const timings = await timed(count, (loop, index) => (steps[loop] as Step)(`s${index}`, () => VALUE));
    done.resolve(undefined);
    await Promise.all(runs.map((run) => run.result()));
    return timings;
  } finally {
    await a.close();
  }
}

async function measureBare(server: BenchServer, count: number): Promise<Timings> {
  const client = new Valkey({ host: server.address.host, port: server.address.port });
  const prefix = newId();
  try {
    await client.call('FUNCTION', 'LOAD', 'REPLACE', LIBRARY);
    return await timed(count, (loop, index) => client.fcall('bare_hset', 1, `${prefix}:${loop}`, `s${index}`, STORED));
  } finally {
    client.disconnect();
  }
}
