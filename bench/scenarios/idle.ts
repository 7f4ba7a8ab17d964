import type { IdleEngine, ServerAddress } from '../adapter.js';
import { BullmqEngine } from '../engines/bullmq.js';
import { groups, names } from '../names.js';
import { rowsFrom, type Row } from '../rows.js';
import { withEngine, withServer, type Scenario } from '../scenario.js';
import type { BenchServer } from '../server.js';
import { sleep } from '../timing.js';

const IDLE_SLOTS = 100;

/** How long is watched, in milliseconds. */
const WATCH_MS = 10_000;

/** Shorter than this, blocking commands that last seconds are not seen at all, in milliseconds. */
const SHORTEST_WATCH_MS = 6_000;

/** Wait until start-up work is over, in milliseconds. */
const SETTLE_MS = 2_000;

/** Nothing happens in a run but the passing of time: more than this adds little. */
const MOST_RUNS = 3;

/** What a hundred worker slots cost while there is no work. */
export const idleScenario: Scenario = {
  name: 'idle',
  title: '100 idle worker slots for 10 s',
  run: async (context) => {
    const systems: { name: string; open: (address: ServerAddress) => Promise<IdleEngine> }[] = [
      { name: names.bullmq, open: (address) => BullmqEngine.connect(address) },
    ];
    const { subject } = context;
    if (subject !== undefined) {
      systems.push({
        name: names.subjectWorker,
        open: (address) => subject.createFlowFabricEngine(address),
      });
    }
    const alone: IdleCost[] = [];
    const watched = systems.map(({ name, open }) => ({ name, open, results: [] as IdleCost[] }));
    const watchMs = Math.max(SHORTEST_WATCH_MS, WATCH_MS * context.scale);
    await withServer({ appendonly: false }, async (server) => {
      for (let run = 0; run < Math.min(context.runs, MOST_RUNS); run += 1) {
        alone.push(await watch(server, watchMs));
        for (const { open, results } of watched) {
          await server.flush();
          // One engine at a time: its connections are counted.
          results.push(await withEngine(open, server, (engine) => watchIdle(server, engine, watchMs)));
        }
      }
    });
    const added = watched.map(
      ({ name, results }): Row => ({
        group: groups.idleCpuAdded,
        name,
        unit: '%',
        values: results.map(({ cpuPercent }, run) => cpuPercent - (alone[run]?.cpuPercent ?? 0)),
      }),
    );
    const rows = [{ name: names.serverAlone, results: alone }, ...watched].flatMap(({ name, results }) =>
      rowsFrom(results, name, [
        { metric: 'commandsPerS', group: groups.idleCommands, unit: 'commands/s' },
        { metric: 'cpuPercent', group: groups.idleCpu, unit: '%' },
        { metric: 'clients', group: groups.idleClients, unit: 'connections' },
      ]),
    );
    return [...rows, ...added];
  },
};

interface IdleCost {
  readonly commandsPerS: number;
  readonly cpuPercent: number;
  readonly clients: number;
}

async function watchIdle(server: BenchServer, engine: IdleEngine, watchMs: number): Promise<IdleCost> {
  await engine.reset();
  const workers = await engine.idleWorkers(IDLE_SLOTS);
  try {
    return await watch(server, watchMs);
  } finally {
    await workers.stop();
  }
}

async function watch(server: BenchServer, watchMs: number): Promise<IdleCost> {
  await sleep(SETTLE_MS);
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
