import type { ArgsOf } from '../../model/machine.js';
import { valkey } from '../../src/valkey/index.js';
import { completeAndClaim, createMany } from '../calls.js';
import { CallgrindServer } from '../callgrind.js';
import type { Instructions } from '../callgrind-dump.js';
import type { Payload } from '../adapter.js';
import { openEngine } from '../engines/index.js';
import { drainAll, submitAll } from '../lifecycle.js';
import { groups, instructionRows, names } from '../names.js';
import { LARGE_PAYLOAD_BYTES, numberedPayloads, TINY_PAYLOAD_BYTES } from '../payload.js';
import type { Row } from '../rows.js';
import { scaled, type Scenario } from '../scenario.js';

/** Commands of one kind in a call: a single one, half of what sixteen slots send, and a full group of placed creations. */
const CALL_SIZES = [1, 8, 16] as const;

/** Lifecycles that are counted per figure. */
const LIFECYCLES = 1_280;

/** With fewer lifecycles, starting and stopping the count would distort the figure. */
const LEAST_LIFECYCLES = 480;

/** Executions that wait in the partition before counting starts, so that its indexes have their usual form. */
const WAITING = 2_000;

/** Creations in a call outside the count. */
const FILL_CALL = 50;

/** Calls before counting, so that one-time work of the server is not counted. */
const WARM_UP_CALLS = 8;

/** The server is some fifty times slower than usual while it is counted, in milliseconds. */
const CALL_TIMEOUT_MS = 60_000;

/** Jobs of BullMQ before counting starts. */
const WARM_UP_JOBS = 100;

const TINY = [groups.instructionsTiny, TINY_PAYLOAD_BYTES] as const;
const LARGE = [groups.instructionsLarge, LARGE_PAYLOAD_BYTES] as const;

/** The options that a task of an app usually has. */
const TASK: Partial<ArgsOf<'createExecution'>> = {
  policy: {
    retryPolicy: {
      maxRetries: 5,
      backoff: { type: 'exponential', initialDelayMs: 1_000, maxDelayMs: 300_000, multiplier: 2, jitter: true },
      retryableCategories: [],
    },
    timeoutPolicy: { attemptTimeoutMs: 30_000 },
  },
  tags: { 'shop.region': 'eu' },
};

const TASK_CALL_SIZES = [1, 16] as const;

/**
 * Instructions of the whole server process for one lifecycle: a creation, then its completion together with the claim
 * of the next. Commands go through `backend.execute`, as batches of the product's worker do, one call at a time: calls
 * that are in flight together would be joined, and a call would no longer have the size that its row names.
 */
export const instructionsScenario: Scenario = {
  name: 'instructions',
  title: 'server instructions per lifecycle, under callgrind (needs valgrind)',
  run: async (context) => {
    const server = await CallgrindServer.start();
    try {
      const rows: Row[] = [];
      const count = Math.max(LEAST_LIFECYCLES, scaled(context, LIFECYCLES));
      for (const [group, bytes] of context.quick ? [TINY] : [TINY, LARGE]) {
        const payload = numberedPayloads(1, bytes)[0]?.bytes ?? Buffer.alloc(bytes);
        for (const size of CALL_SIZES) rows.push(...(await countLifecycles(server, group, size, count, payload)));
        if (!context.quick) rows.push(await countBullmq(server, group, count, bytes));
      }
      const payload = Buffer.from('{}');
      for (const size of TASK_CALL_SIZES)
        rows.push(...(await countLifecycles(server, groups.instructionsTask, size, count, payload, TASK)));
      return rows;
    } finally {
      await server.stop();
    }
  },
};

async function countLifecycles(
  server: CallgrindServer,
  group: string,
  size: number,
  count: number,
  payload: Buffer,
  more: Partial<ArgsOf<'createExecution'>> = {},
): Promise<Row[]> {
  // A prefix of its own is an empty deployment.
  const backend = await valkey({
    url: server.address.url,
    prefix: `${payload.byteLength}-${size}-${Object.keys(more).length}:`,
    partitions: { count: 1 },
    callTimeoutMs: CALL_TIMEOUT_MS,
  });
  try {
    const calls = Math.max(2, Math.floor(count / size));
    const work = { inputPayload: payload, ...more };
    for (let stored = 0; stored < WAITING; stored += FILL_CALL) await createMany(backend, FILL_CALL, work);
    for (let call = 0; call < WARM_UP_CALLS; call += 1) await createMany(backend, size, work);
    const created = await server.measure(async () => {
      for (let call = 0; call < calls; call += 1) await createMany(backend, size, work);
    });
    let held = await completeAndClaim(backend, [], size);
    for (let call = 0; call < WARM_UP_CALLS; call += 1) held = await completeAndClaim(backend, held, size);
    const drained = await server.measure(async () => {
      for (let call = 0; call < calls; call += 1) held = await completeAndClaim(backend, held, size);
    });
    return rowsOf(group, size, calls * size, created, drained);
  } finally {
    await backend.close();
  }
}

/** For comparison: BullMQ with jobs added one by one and a worker of 16 slots. */
async function countBullmq(server: CallgrindServer, group: string, count: number, bytes: number): Promise<Row> {
  const engine = await openEngine('bullmq-iovalkey', server.address);
  try {
    const lifecycles = async (payloads: readonly Payload[]): Promise<void> => {
      await submitAll(engine, payloads);
      await drainAll(engine, { by: 'worker', slots: 16 }, payloads);
    };
    await lifecycles(numberedPayloads(WARM_UP_JOBS, bytes));
    const { total } = await server.measure(() => lifecycles(numberedPayloads(count, bytes)));
    return { group, name: names.bullmqIovalkey, unit: 'instructions', values: [total / count] };
  } finally {
    await engine.close();
  }
}

function rowsOf(group: string, size: number, lifecycles: number, created: Instructions, drained: Instructions): Row[] {
  const per = (instructions: number): number[] => [instructions / lifecycles];
  const row = (name: string, values: readonly number[]): Row => ({ group, name, unit: 'instructions', values });
  return [
    row(instructionRows.create(size), per(created.total)),
    row(instructionRows.completeAndClaim(size), per(drained.total)),
    row(instructionRows.lifecycle(size), per(created.total + drained.total)),
    ...[...created.byObject]
      .map(([object, total]) => [object, total + (drained.byObject.get(object) ?? 0)] as const)
      .filter(([, total]) => total > (created.total + drained.total) / 100)
      .sort(([, a], [, b]) => b - a)
      .map(([object, total]) => row(instructionRows.inObject(size, object), per(total))),
  ];
}
