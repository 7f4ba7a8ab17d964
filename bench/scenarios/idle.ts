import type { IdleEngine } from '../adapter.js';
import { groups, names } from '../names.js';
import { rowsFrom, type Row } from '../rows.js';
import { withEngine, withServer, type Scenario } from '../scenario.js';
import type { BenchServer } from '../server.js';
import { sleep } from '../timing.js';

const SLOTS = 100;
const LANES = 100;

/** How long is watched, in milliseconds. */
const WATCH_MS = 10_000;

/** Shorter than this, sweeps and blocking commands that last seconds are not seen at all, in milliseconds. */
const SHORTEST_WATCH_MS = 6_000;

/** Wait until start-up work is over, in milliseconds. */
const SETTLE_MS = 2_000;

/** Nothing happens in a run but the passing of time: more than this adds little. */
const MOST_RUNS = 3;

interface IdleCost {
  readonly commandsPerS: number;
  readonly cpuPercent: number;
  readonly clients: number;
}

/** What a worker costs that serves a hundred lanes while there is no work. */
export const idleLanesScenario: Scenario = {
  name: 'idle-lanes',
  title: 'an idle worker of 100 lanes on 16 partitions: claims per second',
  run: (context) =>
    withServer({ appendonly: false }, (server) =>
      withEngine('flowfabric', server, async (engine) => {
        const claimsPerS: number[] = [];
        const commandsPerS: number[] = [];
        const worker = await engine.idleLanes(LANES);
        try {
          await sleep(SETTLE_MS);
          for (let run = 0; run < Math.min(context.runs, MOST_RUNS); run += 1) {
            const claimsBefore = worker.claims();
            const watchMs = watchMsOf(context.scale);
            commandsPerS.push((await watch(server, watchMs)).commandsPerS);
            claimsPerS.push(((worker.claims() - claimsBefore) / watchMs) * 1_000);
          }
        } finally {
          await worker.stop();
        }
        return [
          { group: groups.idleLanes, name: names.subjectWorker, unit: 'claims/s', values: claimsPerS },
          { group: groups.idleLanesCommands, name: names.subjectWorker, unit: 'commands/s', values: commandsPerS },
        ];
      }),
    ),
};

/** What a hundred worker slots cost while there is no work. */
export const idleSlotsScenario: Scenario = {
  name: 'idle-slots',
  title: '100 idle worker slots of one lane: commands, CPU, connections',
  notQuick: true,
  run: (context) =>
    withServer({ appendonly: false }, async (server) => {
      const watchMs = watchMsOf(context.scale);
      const systems = [
        { name: names.serverAlone, measure: () => watch(server, watchMs) },
        {
          name: names.bullmqIovalkey,
          measure: () => withEngine('bullmq-iovalkey', server, (engine) => watchSlots(server, engine, watchMs)),
        },
        {
          name: names.subjectWorker,
          measure: () => withEngine('flowfabric', server, (engine) => watchSlots(server, engine, watchMs)),
        },
      ];
      const rows: Row[] = [];
      for (const { name, measure } of systems) {
        const results: IdleCost[] = [];
        for (let run = 0; run < Math.min(context.runs, MOST_RUNS); run += 1) results.push(await measure());
        rows.push(
          ...rowsFrom(results, name, [
            { metric: 'commandsPerS', group: groups.idleCommands, unit: 'commands/s' },
            { metric: 'cpuPercent', group: groups.idleCpu, unit: '%' },
            { metric: 'clients', group: groups.idleClients, unit: 'connections' },
          ]),
        );
      }
      return rows;
    }),
};

const watchMsOf = (scale: number): number => Math.max(SHORTEST_WATCH_MS, WATCH_MS * scale);

async function watchSlots(server: BenchServer, engine: IdleEngine, watchMs: number): Promise<IdleCost> {
  await server.flush();
  await engine.reset();
  const workers = await engine.idleWorkers(SLOTS);
  try {
    await sleep(SETTLE_MS);
    return await watch(server, watchMs);
  } finally {
    await workers.stop();
  }
}

async function watch(server: BenchServer, watchMs: number): Promise<IdleCost> {
  await server.resetStatistics();
  const cpuBefore = await server.cpuUs();
  const start = performance.now();
  await sleep(watchMs);
  const elapsedMs = performance.now() - start;
  const cpuUs = (await server.cpuUs()) - cpuBefore;
  let commands = 0;
  // Commands inside a function are counted too: they are work of the server all the same.
  for (const { calls } of (await server.commandCounts()).values()) commands += calls;
  return {
    commandsPerS: (commands / elapsedMs) * 1000,
    cpuPercent: (cpuUs / (elapsedMs * 1000)) * 100,
    clients: await server.clientCount(),
  };
}
