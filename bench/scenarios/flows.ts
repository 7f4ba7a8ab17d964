/** What flows cost: small ones per second and alone, races that are won, and one of ten thousand members. */
import { createIORedisClient, FlowProducer, QueueEvents, RedisConnection, Worker, type Job } from 'bullmq';
import { Redis as Valkey } from 'iovalkey';
import { partitionKeyOf } from '../../model/ids.js';
import type { App } from '../../src/app/api.js';
import { app } from '../../src/app/app.js';
import type { FlowNode } from '../../src/app/flow/nodes.js';
import type { Backend } from '../../src/backend/backend.js';
import { newId } from '../../src/engine/index.js';
import { valkey } from '../../src/valkey/index.js';
import { flowGroups, flowRows } from '../names.js';
import { rowsFrom, type Row } from '../rows.js';
import { alternate, scaled, withServer, type Scenario, type ScenarioContext } from '../scenario.js';
import type { BenchServer } from '../server.js';
import { percentile } from '../statistics.js';
import { inParallel, signal } from '../timing.js';

/** Flows of one measurement, how many are being submitted at a time, and what a worker has in hand. */
const FLOWS = 2_000;
const SUBMITTED_AT_ONCE = 32;
const SLOTS = 50;
const CHILDREN = 10;
/** Flows that run alone, one after the other. */
const ALONE = 300;

/** Races of one measurement, by their size. */
const RACES = 200;
const RACERS = [10, 100, 1_000] as const;
const WINNERS = 3;

const MEMBERS = 10_000;
const PARTITION = 0;
const HOUR_MS = 3_600_000;

/** Runs one small flow and answers when its submitter knows that it is done. */
interface SmallFlows {
  submit(): Promise<void>;
  runAlone(): Promise<void>;
  /** Resolves when so many flows have been completed since the last call. */
  completed(count: number): Promise<void>;
  close(): Promise<void>;
}

export const flowsScenario: Scenario = {
  name: 'flows',
  title: 'flows of a parent and ten children, races that are won, a flow of 10 000 members',
  run: (context) =>
    withServer({ appendonly: false }, async (server) => [
      ...(await smallFlows(context, server)),
      ...(await races(context, server)),
      ...(await largeFlow(context, server)),
    ]),
};

async function smallFlows(context: ScenarioContext, server: BenchServer): Promise<readonly Row[]> {
  const contestants = [
    { name: flowRows.subject, open: openSubject },
    { name: flowRows.bullmq, open: openFlowProducer },
  ].map(({ name, open }) => ({ name, measure: () => measured(context, server, open) }));
  // One round that does not count pays for compiling.
  for (const { measure } of contestants) await measure();
  return (await alternate(contestants, context.runs)).flatMap(({ name, results }) =>
    rowsFrom(results, name, [
      { metric: 'rate', group: flowGroups.rate, unit: 'flows/s' },
      { metric: 'alone', group: flowGroups.alone, unit: 'ms' },
    ]),
  );
}

async function measured(
  context: ScenarioContext,
  server: BenchServer,
  open: (server: BenchServer) => Promise<SmallFlows>,
): Promise<{ rate: number; alone: number }> {
  const flows = await open(server);
  try {
    const waits: number[] = [];
    for (let n = 0; n < scaled(context, ALONE); n++) {
      const startedAt = performance.now();
      await flows.runAlone();
      waits.push(performance.now() - startedAt);
    }
    const count = scaled(context, FLOWS);
    const startedAt = performance.now();
    const all = flows.completed(count);
    await inParallel(count, SUBMITTED_AT_ONCE, () => flows.submit());
    await all;
    return { rate: count / ((performance.now() - startedAt) / 1_000), alone: percentile(waits, 50) };
  } finally {
    await flows.close();
  }
}

/** Counts what ends. */
function counter() {
  let left = 0;
  let all = signal<undefined>();
  return {
    ended: (): void => {
      if (--left === 0) all.resolve(undefined);
    },
    async completed(count: number): Promise<void> {
      left = count;
      all = signal();
      await all.promise;
    },
  };
}

// A prefix of its own is an empty deployment.
const openBackend = (server: BenchServer, partitions?: number): Promise<Backend> =>
  valkey({
    url: server.address.url,
    prefix: `${newId()}:`,
    ...(partitions === undefined ? {} : { partitions: { count: partitions } }),
  });

async function openSubject(server: BenchServer): Promise<SmallFlows> {
  const it = app({ backend: await openBackend(server) });
  const { ended, completed } = counter();
  const child = it.task('child', ({ input }: { input: number }) => input);
  const parent = it.task('parent', ({ input }: { input: number[] }) => input.length);
  const flow = it.flow('flow', (f) =>
    f.run(
      parent,
      Array.from({ length: CHILDREN }, (_, n) => f.run(child, n)),
    ),
  );
  const worker = await it.worker({ slots: SLOTS });
  worker.on('finished', ({ task }) => {
    if (task === 'parent') ended();
  });
  return {
    submit: async () => void (await flow.run(undefined)),
    runAlone: async () => void (await flow.run(undefined).result()),
    completed,
    close: () => it.close(),
  };
}

async function openFlowProducer(server: BenchServer): Promise<SmallFlows> {
  const { host, port } = server.address;
  RedisConnection.clientFactory = (options) =>
    createIORedisClient(new Valkey({ host: options.host, port: options.port, maxRetriesPerRequest: null }));
  const [connection, queueName] = [{ host, port }, newId()];
  const { ended, completed } = counter();
  const producer = new FlowProducer({ connection });
  const events = new QueueEvents(queueName, { connection });
  const worker = new Worker(
    queueName,
    async (job: Job) => (job.name === 'child' ? job.data.n : Object.keys(await job.getChildrenValues()).length),
    { connection, concurrency: SLOTS },
  );
  worker.on('completed', ({ name }) => {
    if (name === 'parent') ended();
  });
  await Promise.all([worker.waitUntilReady(), events.waitUntilReady()]);
  const children = Array.from({ length: CHILDREN }, (_, n) => ({ name: 'child', queueName, data: { n } }));
  const add = () => producer.add({ name: 'parent', queueName, data: {}, children });
  return {
    submit: async () => void (await add()),
    runAlone: async () => void (await (await add()).job.waitUntilFinished(events)),
    completed,
    async close() {
      await worker.close(true);
      await events.close();
      await producer.close();
    },
  };
}

/** A deployment of one partition: an app that declares, and a worker beside it that serves nothing of it but due work. */
async function withDeclared<Result>(
  server: BenchServer,
  action: (it: App, backend: Backend) => Promise<Result>,
): Promise<Result> {
  const backend = await openBackend(server, 1);
  const it = app({ backend, closeBackend: false });
  const other = app({ backend, closeBackend: false });
  other.task('other', { lane: 'other' }, () => undefined);
  try {
    await other.worker();
    return await action(it, backend);
  } finally {
    await other.close();
    await it.close();
    await backend.close();
  }
}

/** From the ending that satisfies a quorum until the last superfluous racer is cancelled, by the size of the group. */
async function races(context: ScenarioContext, server: BenchServer): Promise<readonly Row[]> {
  const contestants = RACERS.map((racers) => ({
    name: flowRows.race(racers),
    measure: () => withDeclared(server, (it, backend) => race(it, backend, server, racers, scaled(context, RACES))),
  }));
  await contestants[0]?.measure();
  return (await alternate(contestants, context.runs)).flatMap(({ name, results }) =>
    rowsFrom(results, name, [
      { metric: 'p99', group: flowGroups.race, unit: 'ms' },
      { metric: 'longest', group: flowGroups.longest, unit: 'ms' },
    ]),
  );
}

async function race(
  it: App,
  backend: Backend,
  server: BenchServer,
  racers: number,
  count: number,
): Promise<{ p99: number; longest: number }> {
  const run = it.task('racer', { lane: 'race' }, () => 1);
  const judge = it.task('judge', { lane: 'judge' }, ({ input }: { input: number[] }) => input.length);
  const flow = it.flow('race', (f) =>
    f.run(
      judge,
      f.quorum(
        WINNERS,
        Array.from({ length: racers }, () => f.run(run, undefined)),
      ),
    ),
  );
  const waits: number[] = [];
  let longest = 0;
  for (let n = 0; n < count; n++) {
    const { id: flowId } = await flow.run(undefined);
    // A walk lets the members of a large flow go once it is sealed; what it takes is no part of the race.
    await membersAre(backend, flowId, 'waiting', racers);
    const owners = await claimed(backend, 'race', WINNERS);
    for (const owner of owners.slice(1)) await backend.completeExecution(owner);
    await server.watchCalls();
    const startedAt = performance.now();
    await backend.completeExecution(owners[0] as (typeof owners)[number]);
    await membersAre(backend, flowId, 'cancelled', racers - WINNERS);
    waits.push(performance.now() - startedAt);
    longest = Math.max(longest, await server.longestCallMs());
    await backend.cancelFlowHeader({ flowId });
  }
  return { p99: percentile(waits, 99), longest };
}

/** Owners of so many executions of a lane. */
async function claimed(backend: Backend, laneId: string, count: number) {
  const answer = await backend.claimForWorker({
    ...{ partition: partitionKeyOf(PARTITION), laneId, workerId: 'w', workerInstanceId: 'w-1', leaseTtlMs: HOUR_MS },
    claims: Array.from({ length: count }, () => ({ leaseId: newId(), attemptId: newId() })),
  });
  if (answer.kind !== 'claimed' || answer.executions.length !== count) throw new Error('Too few could be claimed.');
  return answer.executions.map(({ executionId, leaseId, leaseEpoch, attemptId }) => ({
    executionId,
    fence: { leaseId, leaseEpoch, attemptId },
  }));
}

/** Looks without a pause until so many members of a flow are in a state. */
async function membersAre(
  backend: Backend,
  flowId: string,
  state: 'waiting' | 'cancelled',
  count: number,
): Promise<void> {
  for (;;) {
    const flow = await backend.describeFlow({ flowId });
    if (flow?.members[state] === count) return;
  }
}

/** A flow in which each member but the first few waits for two others: stored, and cancelled until the last has ended. */
async function largeFlow(context: ScenarioContext, server: BenchServer): Promise<readonly Row[]> {
  const members = scaled(context, MEMBERS);
  const results: Awaited<ReturnType<typeof storedAndCancelled>>[] = [];
  for (let n = 0; n < context.runs; n++)
    results.push(await withDeclared(server, (it, backend) => storedAndCancelled(it, backend, server, members)));
  return (['created', 'cancelled'] as const).flatMap((what) =>
    rowsFrom(
      results.map((result) => result[what]),
      flowRows[what],
      [
        { metric: 'seconds', group: flowGroups.large, unit: 's' },
        { metric: 'longest', group: flowGroups.longest, unit: 'ms' },
      ],
    ),
  );
}

async function storedAndCancelled(it: App, backend: Backend, server: BenchServer, members: number) {
  const work = it.task('work', { lane: 'large' }, () => undefined);
  const flow = it.flow('large', (f) => {
    const nodes: FlowNode<undefined>[] = [];
    for (let n = 0; n < members; n++) {
      const after = [nodes[n - 1], nodes[n - 7]].filter((node) => node !== undefined);
      nodes.push(f.run(work, undefined, { after }));
    }
  });
  const timed = async <Result>(action: () => Promise<Result>) => {
    await server.watchCalls();
    const startedAt = performance.now();
    const result = await action();
    const seconds = (performance.now() - startedAt) / 1_000;
    return { result, seconds, longest: await server.longestCallMs() };
  };
  const created = await timed(async () => flow.run(undefined));
  const { id: flowId } = created.result;
  const cancelled = await timed(async () => {
    await backend.cancelFlowHeader({ flowId });
    await membersAre(backend, flowId, 'cancelled', members);
  });
  return { created, cancelled };
}
