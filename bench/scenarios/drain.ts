import type { EngineName } from '../engines/index.js';
import { inChild } from '../in-child.js';
import type { DrainForm, Form, LifecycleResult } from '../lifecycle.js';
import { labels, lifecycleGroups, names, submitSuffix } from '../names.js';
import { LARGE_PAYLOAD_BYTES, TINY_PAYLOAD_BYTES } from '../payload.js';
import { rowsFromRounds, type Column, type Row } from '../rows.js';
import { alternate, scaled, withServer, type Scenario, type ScenarioContext } from '../scenario.js';

/** Jobs per `addBulk`, `saveAll` and RPUSH of the others. */
const PEER_BULK = 1_000;

/** One round that finds the code cold, one that does not count, one that finds it compiled. */
const ROUNDS = 3;

interface NamedForm {
  readonly name: string;
  readonly form: Form;
}

interface Work {
  readonly label: string;
  readonly count: number;
  readonly payloadBytes: number;
  readonly appendonly: boolean;
  readonly forms: readonly NamedForm[];
}

const BULLMQ = [
  [names.bullmqIovalkey, 'bullmq-iovalkey'],
  [names.bullmqIoredis, 'bullmq-ioredis'],
] as const;

const OTHERS = [
  [names.beeQueue, 'bee-queue'],
  [names.groupmq, 'groupmq'],
] as const;

/** Peers with so many slots, each submitting one by one and in batches. */
function peers(engines: readonly (readonly [string, EngineName])[], slots: number): NamedForm[] {
  const drain: DrainForm = { by: 'worker', slots };
  return engines.flatMap(([name, engine]) => [
    { name: name + submitSuffix.single, form: { engine, drain } },
    { name: name + submitSuffix.batched, form: { engine, perCall: PEER_BULK, drain } },
  ]);
}

const oneByOne = ({ name }: NamedForm): boolean => name.endsWith(submitSuffix.single);

/** This engine with one task in hand per slot, and in batches. */
function subject(slots: number, batch: number): NamedForm[] {
  const engine = 'flowfabric';
  return [
    { name: names.subjectFused, form: { engine, drain: { by: 'fused calls', loops: slots } } },
    { name: names.subjectWorker, form: { engine, drain: { by: 'worker', slots } } },
    { name: names.subjectBatchCalls, form: { engine, perCall: batch, drain: { by: 'batch calls', batch } } },
    { name: names.subjectBatchWorker, form: { engine, perCall: batch, drain: { by: 'worker', slots, batch } } },
  ];
}

const list = (slots: number): NamedForm => ({
  name: names.list,
  form: { engine: 'list', perCall: PEER_BULK, drain: { by: 'worker', slots } },
});

/** One form of each peer, and every form of this engine. */
const inQuickForm = (named: NamedForm): boolean =>
  named.form.engine === 'flowfabric' || (oneByOne(named) && named.form.engine !== 'bullmq-ioredis');

/** Every form in a process of its own, in alternation. */
async function compare(context: ScenarioContext, work: Work): Promise<readonly Row[]> {
  return withServer({ appendonly: work.appendonly }, async (server) => {
    const forms = context.quick ? work.forms.filter(inQuickForm) : work.forms;
    const measured = await alternate(
      forms.map(({ name, form }) => ({
        name,
        measure: () =>
          inChild('lifecycles', {
            address: server.address,
            form,
            count: scaled(context, work.count),
            payloadBytes: work.payloadBytes,
            rounds: ROUNDS,
          }),
      })),
      context.runs,
    );
    return measured.flatMap(({ name, results }) => rowsFromRounds(results, name, columnsOf(work.label)));
  });
}

const columnsOf = (label: string): Column<keyof LifecycleResult>[] => [
  { metric: 'drainPerS', group: lifecycleGroups.drain(label), unit: 'jobs/s' },
  { metric: 'lifecyclePerS', group: lifecycleGroups.lifecycle(label), unit: 'jobs/s' },
  { metric: 'submitPerS', group: lifecycleGroups.submit(label), unit: 'jobs/s' },
  { metric: 'nodeUs', group: lifecycleGroups.nodeCpu(label), unit: 'µs' },
  { metric: 'serverUs', group: lifecycleGroups.serverCpu(label), unit: 'µs' },
];

/** 10 000 jobs of 4 KiB, 16 slots, batches of 50. */
export const drainScenario: Scenario = {
  name: 'drain',
  title: 'submit and drain 10 000 × 4 KiB, 16 slots, one in hand and in batches of 50',
  run: (context) =>
    compare(context, {
      label: labels.drain,
      count: 10_000,
      payloadBytes: LARGE_PAYLOAD_BYTES,
      appendonly: false,
      forms: [list(16), ...peers([...BULLMQ, ...OTHERS], 16), ...subject(16, 50)],
    }),
};

/** The same with the append-only file synced every second. */
export const aofScenario: Scenario = {
  name: 'aof',
  title: 'the same under appendonly everysec, against BullMQ',
  run: (context) =>
    compare(context, {
      label: labels.aof,
      count: 10_000,
      payloadBytes: LARGE_PAYLOAD_BYTES,
      appendonly: true,
      forms: [...peers(BULLMQ, 16), ...subject(16, 50)],
    }),
};

/** 20 000 tiny jobs, 100 slots, batches of 100: the engines without the bytes. */
export const tinyScenario: Scenario = {
  name: 'tiny',
  title: 'submit and drain 20 000 tiny payloads, 100 slots, one in hand and in batches of 100',
  run: (context) =>
    compare(context, {
      label: labels.tiny,
      count: 20_000,
      payloadBytes: TINY_PAYLOAD_BYTES,
      appendonly: false,
      forms: [list(100), ...peers([...BULLMQ, ...OTHERS], 100), ...subject(100, 100)],
    }),
};

/** 20 000 tiny jobs with few slots: what a job costs Node where little can be joined. */
export const tiny16Scenario: Scenario = {
  name: 'tiny-16',
  title: 'submit and drain 20 000 tiny payloads, 16 slots with one in hand: CPU of Node',
  run: (context) =>
    compare(context, {
      label: labels.tiny16,
      count: 20_000,
      payloadBytes: TINY_PAYLOAD_BYTES,
      appendonly: false,
      forms: [...peers([...BULLMQ, ...OTHERS], 16).filter(oneByOne), ...subject(16, 100).slice(0, 2)],
    }),
};
