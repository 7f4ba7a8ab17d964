import type { EngineName } from '../engines/index.js';
import { inChild } from '../in-child.js';
import type { LatencyResult } from '../latency.js';
import { groups, names } from '../names.js';
import { rowsFromRounds, type Row } from '../rows.js';
import { alternate, scaled, withServer, type Scenario, type ScenarioContext } from '../scenario.js';

/** Jobs of a round, one at a time. */
const JOBS = 200;

/** One round that finds the code cold, one that finds it compiled. */
const ROUNDS = 2;

const engines: readonly { readonly name: string; readonly engine: EngineName }[] = [
  { name: names.bullmqIovalkey, engine: 'bullmq-iovalkey' },
  { name: names.bullmqIoredis, engine: 'bullmq-ioredis' },
  { name: names.list, engine: 'list' },
  { name: names.beeQueue, engine: 'bee-queue' },
  { name: names.groupmq, engine: 'groupmq' },
  { name: names.subjectWorker, engine: 'flowfabric' },
];

/** Those whose submitter can wait for the result of what another process does. */
const waiting = engines.filter(({ engine }) => engine !== 'list' && engine !== 'groupmq');

type Measure = (
  engine: EngineName,
  task: { readonly count: number; readonly rounds: number },
) => Promise<LatencyResult[]>;

type GroupOf = (percentile: 'p50' | 'p99') => string;

async function compare(
  context: ScenarioContext,
  systems: typeof engines,
  groupOf: GroupOf,
  measureWith: (address: { host: string; port: number; url: string }) => Measure,
): Promise<readonly Row[]> {
  return withServer({ appendonly: false }, async (server) => {
    const measure = measureWith(server.address);
    const measured = await alternate(
      systems
        .filter(({ engine }) => !context.quick || engine !== 'bullmq-ioredis')
        .map(({ name, engine }) => ({
          name,
          measure: () => measure(engine, { count: scaled(context, JOBS), rounds: ROUNDS }),
        })),
      context.runs,
    );
    return measured.flatMap(({ name, results }) =>
      rowsFromRounds(results, name, [
        { metric: 'p50', group: groupOf('p50'), unit: 'ms' },
        { metric: 'p99', group: groupOf('p99'), unit: 'ms' },
      ]),
    );
  });
}

/** From the submit call to the acknowledged completion, with the worker in the process that submits. */
export const latencyScenario: Scenario = {
  name: 'latency',
  title: 'idle latency from submit to completed, one job at a time, worker in the same process',
  run: (context) =>
    compare(
      context,
      engines,
      (percentile) => groups.latency('here', percentile),
      (address) => (engine, task) => inChild('latency', { ...task, address, engine, elsewhere: false }),
    ),
};

/** The same with the worker in another process. */
export const latencyElsewhereScenario: Scenario = {
  name: 'latency-elsewhere',
  title: 'the same with the worker in another process',
  run: (context) =>
    compare(
      context,
      engines,
      (percentile) => groups.latency('elsewhere', percentile),
      (address) => (engine, task) => inChild('latency', { ...task, address, engine, elsewhere: true }),
    ),
};

/** From the submit call until the submitter has the result from a worker in another process. */
export const resultScenario: Scenario = {
  name: 'result',
  title: 'run.result() of work that another process carries out',
  run: (context) =>
    compare(
      context,
      waiting,
      groups.result,
      (address) => (engine, task) => inChild('result', { ...task, address, engine }),
    ),
};
