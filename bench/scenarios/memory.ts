import type { Payload } from '../adapter.js';
import { BullmqEngine } from '../engines/bullmq.js';
import { drainAll, submitAll, type DrainForm, type SubmitForm } from '../lifecycle.js';
import { groups, names } from '../names.js';
import { fillerPayload, payloadOf, S1_PAYLOAD_BYTES } from '../payload.js';
import type { Row } from '../rows.js';
import { scaled, withEngine, withServer, type Scenario } from '../scenario.js';
import type { BenchServer } from '../server.js';
import { sleep } from '../timing.js';

const EXECUTIONS = 20_000;

/** The figure hardly varies: more runs than this add little. */
const MOST_RUNS = 3;

/** The server gives the buffers of idle clients back after about two seconds. */
const SETTLE_MS = 2_500;

/** One system and how it is filled. */
interface Filling {
  readonly name: string;
  readonly engine: DrainForm['engine'];
  readonly submit: SubmitForm;
  readonly drain: DrainForm;
  /** Removes what is history and not the execution itself. */
  trim(): Promise<void>;
}

/** What one terminal execution leaves behind. */
export const memoryScenario: Scenario = {
  name: 'memory',
  title: 'bytes and keys per terminal execution, logs trimmed',
  run: (context) =>
    withServer({ appendonly: false }, async (server) => {
      const count = scaled(context, EXECUTIONS);
      const runs = Math.min(context.runs, MOST_RUNS);
      const rows = await withEngine(
        (address) => BullmqEngine.connect(address),
        server,
        (bullmq) =>
          measureFilling(
            server,
            { count, runs },
            {
              name: names.bullmq,
              engine: bullmq,
              submit: { perCall: 1000 },
              drain: { by: 'worker', engine: bullmq, slots: 100 },
              trim: () => Promise.resolve(),
            },
          ),
      );
      const { subject } = context;
      if (subject === undefined) return rows;
      const subjectRows = await withEngine(
        (address) => subject.createFlowFabricEngine(address),
        server,
        (engine) =>
          measureFilling(
            server,
            { count, runs },
            {
              name: names.subjectFused,
              engine,
              submit: 'single',
              drain: { by: 'fused calls', engine, workers: 16 },
              trim: () => engine.trimLog(),
            },
          ),
      );
      return [...rows, ...subjectRows];
    }),
};

async function measureFilling(
  server: BenchServer,
  size: { readonly count: number; readonly runs: number },
  filling: Filling,
): Promise<Row[]> {
  const bytesOf: { group: string; payload: Payload; values: number[] }[] = [
    { group: groups.memoryTiny, payload: payloadOf('x'), values: [] },
    { group: groups.memoryLarge, payload: fillerPayload(S1_PAYLOAD_BYTES), values: [] },
  ];
  const keys: number[] = [];
  for (let run = 0; run < size.runs; run += 1) {
    for (const { payload, values } of bytesOf) {
      const left = await fill(server, filling, size.count, payload);
      values.push(left.bytes / size.count - payload.bytes.length);
      keys.push(left.keys / size.count);
    }
  }
  return [
    ...bytesOf.map(({ group, values }): Row => ({ group, name: filling.name, unit: 'B', values })),
    { group: groups.memoryKeys, name: filling.name, unit: 'keys', values: keys },
  ];
}

async function fill(
  server: BenchServer,
  filling: Filling,
  count: number,
  payload: Payload,
): Promise<{ bytes: number; keys: number }> {
  await server.flush();
  await filling.engine.reset();
  await sleep(SETTLE_MS);
  const bytesBefore = await server.usedMemoryBytes();
  const keysBefore = await server.keyCount();
  await submitAll(filling.engine, filling.submit, count, payload);
  await drainAll(filling.drain, count, payload);
  await filling.trim();
  await sleep(SETTLE_MS);
  return {
    bytes: (await server.usedMemoryBytes()) - bytesBefore,
    keys: (await server.keyCount()) - keysBefore,
  };
}
