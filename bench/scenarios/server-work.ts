import type { BenchTask, SubjectEngine } from '../adapter.js';
import { drainAll, submitAll } from '../lifecycle.js';
import { groups, operations } from '../names.js';
import { payloadOf } from '../payload.js';
import type { Row } from '../rows.js';
import { scaled, withSubject, type Scenario } from '../scenario.js';
import type { BenchServer } from '../server.js';
import { inParallel } from '../timing.js';

/** Calls in flight while counting; the counts do not depend on it. */
const IN_FLIGHT = 16;

/** What the server did for one operation, on average. */
interface ServerWork {
  /** Commands other than FCALL: those inside functions, and those that the client sent beside them. */
  readonly calls: number;
  /** Time inside FCALL, in microseconds. */
  readonly us: number;
}

/** Server work of one lifecycle without a payload, from the server's own counters. */
export const serverWorkScenario: Scenario = {
  name: 'server-work',
  title: 'server calls and time per operation, without a payload',
  run: (context) =>
    withSubject(context, async (server, engine) => {
      const count = scaled(context, 10_000);
      const samples: Record<keyof typeof operations, ServerWork[]> = {
        submit: [],
        claim: [],
        complete: [],
        lifecycle: [],
        fused: [],
      };
      for (let run = 0; run < context.runs; run += 1) {
        const { submit, claim, complete } = await measureSteps(server, engine, count);
        samples.submit.push(submit);
        samples.claim.push(claim);
        samples.complete.push(complete);
        samples.lifecycle.push(sum(submit, claim, complete));
        samples.fused.push(await measureFused(server, engine, count));
      }
      return (Object.keys(samples) as (keyof typeof operations)[]).flatMap((key): Row[] => [
        {
          group: groups.serverCalls,
          name: operations[key],
          unit: 'calls',
          values: samples[key].map(({ calls }) => calls),
        },
        { group: groups.serverUs, name: operations[key], unit: 'µs', values: samples[key].map(({ us }) => us) },
      ]);
    }),
};

async function measureSteps(
  server: BenchServer,
  engine: SubjectEngine,
  count: number,
): Promise<{ submit: ServerWork; claim: ServerWork; complete: ServerWork }> {
  await emptyStore(server, engine);
  const submit = await counted(server, count, () => submitAll(engine, 'single', count, payloadOf('')));
  const tasks: { task: BenchTask; worker: number }[] = [];
  const claim = await counted(server, count, () =>
    inParallel(count, IN_FLIGHT, async (index) => {
      const worker = index % IN_FLIGHT;
      const task = await engine.claim(worker);
      if (task === null) throw new Error(`Nothing to claim after ${tasks.length} of ${count} claims.`);
      tasks.push({ task, worker });
    }),
  );
  const complete = await counted(server, count, () =>
    inParallel(count, IN_FLIGHT, async (index) => {
      const held = tasks[index];
      if (held === undefined) throw new Error(`Claim ${index} gave no task.`);
      await engine.complete(held.task, held.worker);
    }),
  );
  return { submit, claim, complete };
}

async function measureFused(server: BenchServer, engine: SubjectEngine, count: number): Promise<ServerWork> {
  await emptyStore(server, engine);
  await submitAll(engine, 'single', count, payloadOf(''));
  return counted(server, count, () =>
    drainAll({ by: 'fused calls', engine, workers: IN_FLIGHT }, count, payloadOf('')),
  );
}

async function emptyStore(server: BenchServer, engine: SubjectEngine): Promise<void> {
  await server.flush();
  await engine.reset();
  await engine.connect(IN_FLIGHT);
}

async function counted(server: BenchServer, count: number, action: () => Promise<void>): Promise<ServerWork> {
  await server.resetStatistics();
  await action();
  let calls = 0;
  let us = 0;
  for (const [command, work] of await server.commandCounts()) {
    if (command.startsWith('fcall')) us += work.usec;
    else calls += work.calls;
  }
  return { calls: calls / count, us: us / count };
}

function sum(...parts: readonly ServerWork[]): ServerWork {
  return {
    calls: parts.reduce((total, { calls }) => total + calls, 0),
    us: parts.reduce((total, { us }) => total + us, 0),
  };
}
