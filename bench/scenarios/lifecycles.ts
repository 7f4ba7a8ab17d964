import type { Payload } from '../adapter.js';
import { alternate, type Contestant } from '../alternate.js';
import { measureLifecycle, type DrainForm, type LifecycleResult, type SubmitForm } from '../lifecycle.js';
import { labels, lifecycleGroups, names } from '../names.js';
import { fillerPayload, payloadOf, S1_PAYLOAD_BYTES } from '../payload.js';
import { rowsFrom, type Row } from '../rows.js';
import { scaled, withEngines, type Engines, type Scenario, type ScenarioContext } from '../scenario.js';
import type { BenchServer } from '../server.js';

/** Jobs per call where a peer submits in bulk. */
const BULK_SIZE = 1000;

/** One form of one system. */
interface Form {
  readonly name: string;
  readonly submit: SubmitForm;
  readonly drain: DrainForm;
}

/** The forms of a scenario with many workers. */
function manyWorkerForms(engines: Engines, size: { readonly slots: number; readonly batch: number }): Form[] {
  const { list, bullmq, subject } = engines;
  const { slots, batch } = size;
  const bulk = { perCall: BULK_SIZE };
  const forms: Form[] = [
    { name: names.list, submit: bulk, drain: { by: 'calls', engine: list, workers: slots } },
    { name: names.bullmqBulkSmall, submit: bulk, drain: { by: 'worker', engine: bullmq, slots: 16 } },
    { name: names.bullmqBulkLarge, submit: bulk, drain: { by: 'worker', engine: bullmq, slots: 100 } },
    { name: names.bullmqAdd, submit: 'single', drain: { by: 'worker', engine: bullmq, slots: 100 } },
  ];
  if (subject === undefined) return forms;
  const many = { perCall: batch };
  return [
    ...forms,
    { name: names.subjectCalls, submit: 'single', drain: { by: 'calls', engine: subject, workers: slots } },
    { name: names.subjectFused, submit: 'single', drain: { by: 'fused calls', engine: subject, workers: slots } },
    { name: names.subjectWorker, submit: 'single', drain: { by: 'worker', engine: subject, slots } },
    { name: names.subjectBatchCalls, submit: many, drain: { by: 'batch calls', engine: subject, batch } },
    { name: names.subjectBatchWorker, submit: many, drain: { by: 'worker', engine: subject, slots, batch } },
  ];
}

/** The forms of one worker with one task in hand. */
function oneWorkerForms({ list, bullmq, subject }: Engines): Form[] {
  const bulk = { perCall: BULK_SIZE };
  const forms: Form[] = [
    { name: names.list, submit: bulk, drain: { by: 'calls', engine: list, workers: 1 } },
    { name: names.bullmqOne, submit: bulk, drain: { by: 'worker', engine: bullmq, slots: 1 } },
  ];
  if (subject === undefined) return forms;
  return [
    ...forms,
    { name: names.subjectFused, submit: 'single', drain: { by: 'fused calls', engine: subject, workers: 1 } },
    { name: names.subjectWorker, submit: 'single', drain: { by: 'worker', engine: subject, slots: 1 } },
  ];
}

/** Measures all forms in alternation and gives one row per metric and form. */
async function compareForms(
  context: ScenarioContext,
  server: BenchServer,
  forms: readonly Form[],
  work: { readonly label: string; readonly count: number; readonly payload: Payload },
): Promise<Row[]> {
  const contestants = forms.map(
    ({ name, submit, drain }): Contestant<LifecycleResult> => ({
      name,
      measure: (scale) =>
        measureLifecycle(server, {
          submit,
          drain,
          payload: work.payload,
          count: Math.max(1, Math.round(work.count * scale)),
        }),
    }),
  );
  const measured = await alternate(contestants, context.runs);
  return measured
    .flatMap(({ name, results }) => lifecycleRows(work.label, name, results))
    .filter((row) => !row.values.some(Number.isNaN));
}

function lifecycleRows(label: string, name: string, results: readonly LifecycleResult[]): Row[] {
  return rowsFrom(results, name, [
    { metric: 'submitPerS', group: lifecycleGroups.submit(label), unit: 'jobs/s' },
    { metric: 'drainPerS', group: lifecycleGroups.drain(label), unit: 'jobs/s' },
    { metric: 'lifecyclePerS', group: lifecycleGroups.lifecycle(label), unit: 'jobs/s' },
    { metric: 'nodeUs', group: lifecycleGroups.nodeCpu(label), unit: 'µs' },
    { metric: 'serverUs', group: lifecycleGroups.serverCpu(label), unit: 'µs' },
    { metric: 'completeP50Ms', group: lifecycleGroups.completeP50(label), unit: 'ms' },
    { metric: 'completeP95Ms', group: lifecycleGroups.completeP95(label), unit: 'ms' },
    { metric: 'completeP99Ms', group: lifecycleGroups.completeP99(label), unit: 'ms' },
  ]);
}

function s1(name: string, title: string, label: string, appendonly: boolean): Scenario {
  return {
    name,
    title,
    run: (context) =>
      withEngines(context, { appendonly }, (server, engines) =>
        compareForms(context, server, manyWorkerForms(engines, { slots: 16, batch: 50 }), {
          label,
          count: scaled(context, 10_000),
          payload: fillerPayload(S1_PAYLOAD_BYTES),
        }),
      ),
  };
}

/** S1: 10 000 × 4 KiB, 16 workers. */
export const s1Scenario = s1('s1', 'submit and drain 10 000 × 4 KiB, 16 workers', labels.s1, false);

/** S1 with the append-only file synced every second. */
export const s1AofScenario = s1('s1-aof', 'the same under appendonly everysec', labels.s1Aof, true);

/** 20 000 jobs of one byte, 100 slots, batches of 100: the engines without the bytes. */
export const tinyScenario: Scenario = {
  name: 'tiny',
  title: 'submit and drain 20 000 tiny payloads, 100 slots',
  run: (context) =>
    withEngines(context, { appendonly: false }, (server, engines) =>
      compareForms(context, server, manyWorkerForms(engines, { slots: 100, batch: 100 }), {
        label: labels.tiny,
        count: scaled(context, 20_000),
        payload: payloadOf('x'),
      }),
    ),
};

/** 5 000 jobs of one byte, one worker with one in hand: round trips, not throughput. */
export const oneWorkerScenario: Scenario = {
  name: 'one-worker',
  title: 'submit and drain 5 000 tiny payloads, one worker with one task in hand',
  run: (context) =>
    withEngines(context, { appendonly: false }, (server, engines) =>
      compareForms(context, server, oneWorkerForms(engines), {
        label: labels.oneWorker,
        count: scaled(context, 5_000),
        payload: payloadOf('x'),
      }),
    ),
};
