import { Redis as Valkey } from 'iovalkey';
import { executionIdOf, partitionKeyOf } from '../../model/ids.js';
import type { Backend } from '../../src/backend/backend.js';
import { newId, tailStream } from '../../src/engine/index.js';
import { valkey } from '../../src/valkey/index.js';
import { streamGroups, streamRows } from '../names.js';
import { rowsFrom, type Row } from '../rows.js';
import { alternate, scaled, withServer, type Scenario, type ScenarioContext } from '../scenario.js';
import type { BenchServer } from '../server.js';
import { percentile } from '../statistics.js';
import { inParallel, sleep } from '../timing.js';

const APPENDS = 20_000;
const FRAME = Buffer.alloc(200, 'x');
const PARTITION = 0;
/** Callers that append at once; what one turn of the event loop brings travels together. */
const IN_FLIGHT = 16;
/** Frames that a stream keeps, and the function that it is compared with. */
const KEPT = 10_000;
/** Size of the summary that patches change, bytes. */
const SUMMARY_BYTES = 4_096;
const READERS = 200;
const TOLD_FRAMES = 400;
/** Between two frames that readers wait for, ms. */
const PAUSE_MS = 2;

/** What frames of a stream cost, and how fast those hear of them that follow it. */
export const streamsScenario: Scenario = {
  name: 'streams',
  title: 'frames of 200 bytes: appended, patched, and followed by 200 readers',
  run: (context) =>
    withServer({ appendonly: false }, async (server) => {
      const bare = await bareFunction(server);
      const backend = await valkey({ url: server.address.url, partitions: { count: 1 } });
      try {
        return [...(await rates(context, backend, bare)), ...(await following(context, server, backend))];
      } finally {
        bare.close();
        await backend.close();
      }
    }),
};

interface Appender {
  append(): Promise<unknown>;
}

/** A function that does nothing but one XADD: what any way to keep frames in order costs at least. */
async function bareFunction(server: BenchServer): Promise<Appender & { close(): void }> {
  const client = new Valkey({ host: server.address.host, port: server.address.port, enableAutoPipelining: true });
  const code = `#!lua name=bare
server.register_function('bare_append', function(keys, args)
  return server.call('XADD', keys[1], 'MAXLEN', '=', '${KEPT}', '*', 'p', args[1])
end)`;
  await client.call('FUNCTION', 'LOAD', 'REPLACE', code);
  const commands = client as unknown as {
    fcall(name: string, count: number, keys: string[], args: unknown[]): Promise<unknown>;
  };
  return {
    append: () => commands.fcall('bare_append', 1, ['bare'], [FRAME]),
    close: () => client.disconnect(),
  };
}

/** A stream that is open, and its owner. */
async function openStream(backend: Backend) {
  const executionId = executionIdOf(PARTITION, newId());
  const laneId = `l-${newId()}`;
  await backend.createExecution({
    executionId,
    namespace: 'bench',
    laneId,
    executionKind: 'job',
    creatorIdentity: 'bench',
    policy: { streamPolicy: { maxBytes: 1024 * 1024 * 1024 } },
  });
  const claim = { leaseId: newId(), attemptId: newId() };
  const worker = { workerId: 'w', workerInstanceId: 'w-1', leaseTtlMs: 3_600_000 };
  await backend.claimForWorker({ partition: partitionKeyOf(PARTITION), laneId, ...worker, claims: [claim] });
  return { executionId, attemptIndex: 0, fence: { ...claim, leaseEpoch: 1 } };
}

/** Operations per second of each kind, one caller at a time and 16. */
async function rates(context: ScenarioContext, backend: Backend, bare: Appender): Promise<Row[]> {
  const count = scaled(context, APPENDS);
  const durable = await openStream(backend);
  const summed = await openStream(backend);
  const filling = { k: 'y'.repeat(SUMMARY_BYTES - 250) };
  await backend.appendFrame({ ...summed, patch: JSON.stringify(filling) });
  const patch = JSON.stringify({ last: 'z'.repeat(180) });
  const append = (): Promise<unknown> => backend.appendFrame({ ...durable, payload: FRAME });
  const patching = (): Promise<unknown> => backend.appendFrame({ ...summed, patch });
  const rate = async (inFlight: number, call: () => Promise<unknown>): Promise<number> => {
    const start = performance.now();
    await inParallel(count, inFlight, async () => void (await call()));
    return (count / (performance.now() - start)) * 1_000;
  };
  const rows: Row[] = [];
  for (const [inFlight, group] of [
    [1, streamGroups.one],
    [IN_FLIGHT, streamGroups.sixteen],
  ] as const) {
    const contestants = [
      { name: streamRows.bare, measure: () => rate(inFlight, () => bare.append()) },
      { name: streamRows.durable, measure: () => rate(inFlight, append) },
      { name: streamRows.summary, measure: () => rate(inFlight, patching) },
    ];
    // One uncounted round compiles the code and fills the caches.
    for (const { measure } of contestants) await measure();
    for (const { name, results } of await alternate(contestants, context.runs))
      rows.push({ group, name, unit: 'frames/s', values: results });
  }
  return rows;
}

/** Time from an append to each of the readers, and their connections. */
async function following(context: ScenarioContext, server: BenchServer, writer: Backend): Promise<Row[]> {
  const results = [];
  for (let run = 0; run < context.runs; run++) results.push(await follow(context, server, writer));
  return rowsFrom(results, streamRows.readers, [
    { metric: 'p50Ms', group: streamGroups.p50, unit: 'ms' },
    { metric: 'p99Ms', group: streamGroups.p99, unit: 'ms' },
    { metric: 'connections', group: streamGroups.connections, unit: 'connections' },
  ]);
}

async function follow(context: ScenarioContext, server: BenchServer, writer: Backend) {
  const owner = await openStream(writer);
  const others = await server.clientCount();
  const backend = await valkey({ url: server.address.url });
  try {
    const sentAt: number[] = [];
    const latencies: number[] = [];
    const read = async (): Promise<void> => {
      let after: string | undefined;
      for (;;) {
        const page = await tailStream(backend, { ...owner, after, blockMs: 30_000 });
        const now = performance.now();
        for (const { payload } of page.frames)
          latencies.push(now - (sentAt[Buffer.from(payload).readUInt32BE()] as number));
        after = page.nextCursor;
        if (page.isClosed && !page.hasMore) return;
      }
    };
    const readers = Array.from({ length: READERS }, read);
    await sleep(200);
    const connections = (await server.clientCount()) - others;
    const frames = scaled(context, TOLD_FRAMES);
    for (let n = 0; n < frames; n++) {
      const payload = Buffer.from(FRAME);
      payload.writeUInt32BE(n);
      sentAt.push(performance.now());
      await writer.appendFrame({ ...owner, payload });
      await sleep(PAUSE_MS);
    }
    await writer.completeExecution(owner);
    await Promise.all(readers);
    if (latencies.length !== READERS * frames) throw new Error(`${latencies.length} frames were seen.`);
    return { p50Ms: percentile(latencies, 50), p99Ms: percentile(latencies, 99), connections };
  } finally {
    await backend.close();
  }
}
