import type { Engine, Payload } from '../adapter.js';
import type { EngineName } from '../engines/index.js';
import { drainAll, submitAll, type DrainForm } from '../lifecycle.js';
import { groups, names } from '../names.js';
import { numberedPayloads, TINY_PAYLOAD_BYTES } from '../payload.js';
import type { Row } from '../rows.js';
import { withEngine, withServer, type Scenario } from '../scenario.js';
import type { BenchServer } from '../server.js';
import { sleep } from '../timing.js';

/** Not reduced in the quick form: the fixed memory of a partition would distort the figure. */
const EXECUTIONS = 20_000;

/** The figure hardly varies: more runs than this add little. */
const MOST_RUNS = 3;

/** The server gives the buffers of idle clients back after about two seconds. */
const SETTLE_MS = 2_500;

const DRAIN: DrainForm = { by: 'worker', slots: 16 };

const SUBJECT = [names.subject, 'flowfabric'] as const;
const PEER = [names.bullmqIovalkey, 'bullmq-iovalkey'] as const;

/** What one system leaves on the server per execution. */
interface Left {
  readonly bytes: number;
  readonly logBytes: number;
  readonly keys: number;
}

/** What one terminal execution leaves behind, and its log beside it. */
export const bytesScenario: Scenario = {
  name: 'bytes',
  title: 'bytes and keys per terminal execution, and of its log',
  run: (context) =>
    withServer({ appendonly: false }, async (server) => {
      const payloads = numberedPayloads(EXECUTIONS, TINY_PAYLOAD_BYTES);
      const rows: Row[] = [];
      for (const [name, engineName] of context.quick ? [SUBJECT] : [SUBJECT, PEER]) {
        const lefts = await measure(server, engineName, payloads, Math.min(context.runs, MOST_RUNS));
        rows.push(
          { group: groups.bytes, name, unit: 'B', values: lefts.map(({ bytes }) => bytes) },
          { group: groups.logBytes, name, unit: 'B', values: lefts.map(({ logBytes }) => logBytes) },
          { group: groups.keys, name, unit: 'keys', values: lefts.map(({ keys }) => keys) },
        );
      }
      return rows;
    }),
};

function measure(
  server: BenchServer,
  engineName: EngineName,
  payloads: readonly Payload[],
  runs: number,
): Promise<Left[]> {
  return withEngine(engineName, server, async (engine) => {
    const lefts: Left[] = [];
    for (let run = 0; run < runs; run += 1) lefts.push(await fill(server, engine, payloads));
    return lefts;
  });
}

async function fill(server: BenchServer, engine: Engine, payloads: readonly Payload[]): Promise<Left> {
  await server.flush();
  await engine.reset();
  await sleep(SETTLE_MS);
  const bytesBefore = await server.usedMemoryBytes();
  const keysBefore = await server.keyCount();
  await submitAll(engine, payloads);
  await drainAll(engine, DRAIN, payloads);
  await sleep(SETTLE_MS);
  const bytesWithLog = await server.usedMemoryBytes();
  await server.trimStreams();
  await sleep(SETTLE_MS);
  const bytesAfter = await server.usedMemoryBytes();
  return {
    bytes: (bytesAfter - bytesBefore) / payloads.length - TINY_PAYLOAD_BYTES,
    logBytes: (bytesWithLog - bytesAfter) / payloads.length,
    keys: ((await server.keyCount()) - keysBefore) / payloads.length,
  };
}
