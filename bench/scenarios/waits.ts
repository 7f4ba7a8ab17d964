import { createIORedisClient, DelayedError, Queue, RedisConnection, Worker, type Job } from 'bullmq';
import { Redis as Valkey } from 'iovalkey';
import { executionIdOf, partitionKeyOf } from '../../model/ids.js';
import type { ArgsOf } from '../../model/machine.js';
import { app } from '../../src/app/app.js';
import type { Backend } from '../../src/backend/backend.js';
import { newId } from '../../src/engine/index.js';
import { valkey } from '../../src/valkey/index.js';
import { waitGroups, waitRows } from '../names.js';
import { rowsFrom, type Row } from '../rows.js';
import { alternate, scaled, withServer, type Scenario, type ScenarioContext } from '../scenario.js';
import type { BenchServer } from '../server.js';
import { percentile } from '../statistics.js';
import { signal, sleep } from '../timing.js';

/** Waits that are woken, one at a time; cycles and composites of one measurement. */
const WAKES = 200;
const CYCLES = 2_000;
const COMPOSITES = 20;
const MEMBERS = 64;
const PARTITION = 0;
const HOUR_MS = 3_600_000;

const LIBRARY = `#!lua name=bare
server.register_function('bare_hset', function(keys, argv) return server.call('HSET', keys[1], argv[1], argv[2]) end)`;

/** What waiting costs: the way from a signal to the end of the work, a whole cycle, and signals to large conditions. */
export const waitsScenario: Scenario = {
  name: 'waits',
  title: 'suspended work: woken by a signal, a whole cycle, a condition of 64 members',
  run: (context) =>
    withServer({ appendonly: false }, async (server) => {
      const backend = await valkey({ url: server.address.url, prefix: `${newId()}:`, partitions: { count: 1 } });
      try {
        return [...(await woken(context, server)), ...(await calls(context, server, backend))];
      } finally {
        await backend.close();
      }
    }),
};

interface Latencies {
  readonly p50: number;
  readonly p99: number;
}

/**
 * From the signal until the worker that waits knows that its completion is stored, ms; BullMQ parks a job and promotes it.
 */
async function woken(context: ScenarioContext, server: BenchServer): Promise<readonly Row[]> {
  const count = scaled(context, WAKES);
  const contestants = [
    { name: waitRows.subject, measure: () => wakes(server, count) },
    { name: waitRows.bullmq, measure: () => promotions(server, count) },
  ];
  // One round that does not count pays for compiling.
  for (const { measure } of contestants) await measure();
  return (await alternate(contestants, context.runs)).flatMap(({ name, results }) =>
    rowsFrom(results, name, [
      { metric: 'p50', group: waitGroups.woken('p50'), unit: 'ms' },
      { metric: 'p99', group: waitGroups.woken('p99'), unit: 'ms' },
    ]),
  );
}

const latenciesOf = (all: readonly number[]): Latencies => ({ p50: percentile(all, 50), p99: percentile(all, 99) });

async function wakes(server: BenchServer, count: number): Promise<Latencies> {
  const backend = await valkey({ url: server.address.url, prefix: `${newId()}:` });
  const a = app({ backend });
  const task = a.task('bench', async ({ waitFor }) => {
    await waitFor('go');
  });
  try {
    const worker = await a.worker({ slots: 1 });
    let ended = signal<undefined>();
    worker.on('finished', ({ outcome }) => {
      if (outcome === 'completed') ended.resolve(undefined);
    });
    const latencies: number[] = [];
    for (let n = 0; n < count; n++) {
      ended = signal<undefined>();
      const run = await task.run(undefined);
      while ((await run.state()) !== 'suspended') await sleep(1);
      const sentAt = performance.now();
      await run.signal('go');
      await ended.promise;
      latencies.push(performance.now() - sentAt);
    }
    return latenciesOf(latencies);
  } finally {
    await a.close();
  }
}

/** The same with a job that its worker moves to the delayed ones, until it is promoted. */
async function promotions(server: BenchServer, count: number): Promise<Latencies> {
  const { host, port } = server.address;
  RedisConnection.clientFactory = (options) =>
    createIORedisClient(new Valkey({ host: options.host, port: options.port, maxRetriesPerRequest: null }));
  const connection = { host, port };
  const queue = new Queue(newId(), { connection });
  let parked = signal<Job>();
  let ended = signal<undefined>();
  const worker = new Worker(
    queue.name,
    async (job, token) => {
      if (job.data.isOver) return;
      await job.updateData({ isOver: true });
      await job.moveToDelayed(Date.now() + HOUR_MS, token);
      parked.resolve(job);
      throw new DelayedError();
    },
    { connection },
  );
  worker.on('completed', () => ended.resolve(undefined));
  try {
    await worker.waitUntilReady();
    const latencies: number[] = [];
    for (let n = 0; n < count; n++) {
      [parked, ended] = [signal<Job>(), signal<undefined>()];
      await queue.add('job', { isOver: false });
      const job = await parked.promise;
      await sleep(1);
      const sentAt = performance.now();
      await job.promote();
      await ended.promise;
      latencies.push(performance.now() - sentAt);
    }
    return latenciesOf(latencies);
  } finally {
    await worker.close(true);
    await queue.close();
  }
}

/** Calls of the engine, one after the other, µs. */
async function calls(context: ScenarioContext, server: BenchServer, backend: Backend): Promise<readonly Row[]> {
  const bare = new Valkey({ host: server.address.host, port: server.address.port });
  await bare.call('FUNCTION', 'LOAD', 'REPLACE', LIBRARY);
  const cycles = scaled(context, CYCLES);
  const contestants = [
    { name: waitRows.cycle, measure: () => cycle(backend, cycles) },
    { name: waitRows.bare, measure: () => bareCalls(bare, cycles) },
    { name: waitRows.single, measure: () => deliveries(backend, scaled(context, COMPOSITES), 1) },
    { name: waitRows.composite, measure: () => deliveries(backend, scaled(context, COMPOSITES), MEMBERS) },
  ];
  try {
    // One round that does not count pays for compiling.
    for (const { measure } of contestants) await measure();
    return (await alternate(contestants, context.runs)).map(({ name, results }) => ({
      group: name === waitRows.single || name === waitRows.composite ? waitGroups.deliver : waitGroups.cycle,
      name,
      unit: 'µs',
      values: results,
    }));
  } finally {
    bare.disconnect();
  }
}

/** An execution that is owned, with its owner. */
async function owned(backend: Backend, laneId: string) {
  const executionId = executionIdOf(PARTITION, newId());
  const naming = { namespace: 'bench', laneId, executionKind: 'job', creatorIdentity: 'bench' };
  await backend.createExecution({ executionId, ...naming });
  return { executionId, fence: await claimed(backend, laneId) };
}

async function claimed(backend: Backend, laneId: string) {
  const claim = { leaseId: newId(), attemptId: newId() };
  const worker = { workerId: 'w', workerInstanceId: 'w-1', leaseTtlMs: HOUR_MS };
  const answer = await backend.claimForWorker({
    partition: partitionKeyOf(PARTITION),
    laneId,
    ...worker,
    claims: [claim],
  });
  if (answer.kind !== 'claimed') throw new Error('Nothing was there to be claimed.');
  const [{ leaseId, leaseEpoch, attemptId }] = answer.executions as [(typeof answer.executions)[number]];
  return { leaseId, leaseEpoch, attemptId };
}

const single = (waitpointKey: string) => ({ type: 'single', waitpointKey, matcher: { type: 'wildcard' } }) as const;

/** Suspends on so many waitpoints, all of which have to be signalled; answers them. */
async function suspend(backend: Backend, owner: Awaited<ReturnType<typeof owned>>, members: number): Promise<string[]> {
  const waitpoints = Array.from({ length: members }, (_, n) => ({ waitpointId: newId(), waitpointKey: `go ${n}` }));
  const conditions = waitpoints.map(({ waitpointKey }) => single(waitpointKey));
  const resumeCondition: ArgsOf<'suspendExecution'>['resumeCondition'] =
    members === 1 ? single('go 0') : { type: 'all_of', members: conditions };
  await backend.suspendExecution({ ...owner, suspensionId: newId(), waitpoints, resumeCondition });
  return waitpoints.map(({ waitpointId }) => waitpointId);
}

const approve = (backend: Backend, executionId: string, waitpointId: string): Promise<unknown> =>
  backend.deliverApprovalSignal({
    ...{ executionId, waitpointId, signalId: newId(), signalName: 'go', idempotencySuffix: 'one' },
  });

/** One execution after the other: suspended, signalled, claimed again, completed. µs for the four calls. */
async function cycle(backend: Backend, count: number): Promise<number> {
  const laneId = newId();
  let us = 0;
  for (let n = 0; n < count; n++) {
    const owner = await owned(backend, laneId);
    const startedAt = performance.now();
    const [waitpointId] = (await suspend(backend, owner, 1)) as [string];
    await approve(backend, owner.executionId, waitpointId);
    const fence = await claimed(backend, laneId);
    await backend.completeExecution({ executionId: owner.executionId, fence });
    us += (performance.now() - startedAt) * 1_000;
  }
  return us / count;
}

async function bareCalls(client: Valkey, count: number): Promise<number> {
  const key = newId();
  const startedAt = performance.now();
  for (let n = 0; n < count; n++)
    for (let each = 0; each < 4; each++) await client.fcall('bare_hset', 1, key, `f${n % 100}`, 'value');
  return ((performance.now() - startedAt) * 1_000) / count;
}

/** Signals to conditions of so many members, one after the other, each to a waitpoint of its own. µs for one. */
async function deliveries(backend: Backend, composites: number, members: number): Promise<number> {
  const laneId = newId();
  const rounds = (composites * MEMBERS) / members;
  let us = 0;
  for (let round = 0; round < rounds; round++) {
    const owner = await owned(backend, laneId);
    const waitpointIds = await suspend(backend, owner, members);
    const startedAt = performance.now();
    for (const waitpointId of waitpointIds) await approve(backend, owner.executionId, waitpointId);
    us += (performance.now() - startedAt) * 1_000;
    const fence = await claimed(backend, laneId);
    await backend.completeExecution({ executionId: owner.executionId, fence });
  }
  return us / (rounds * members);
}
