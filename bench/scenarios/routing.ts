import type { BenchTask, SubjectEngine } from '../adapter.js';
import { SUBMISSIONS_IN_FLIGHT } from '../lifecycle.js';
import { names, routingGroups, routingModes, type RoutingMode } from '../names.js';
import { payloadOf, seededIntegers } from '../payload.js';
import { rowsFrom, type Row } from '../rows.js';
import { scaled, withEngine, withServer, type Scenario } from '../scenario.js';
import type { BenchServer } from '../server.js';
import { percentile } from '../statistics.js';
import { inParallel, signal, sleep, within } from '../timing.js';

const WORKERS = 100;
const CAPABILITIES = 10;
const TASKS = 1_000;

/** Workers are waiting when the first task comes, in milliseconds. */
const START_UP_MS = 250;

/** After this time an unclaimed execution counts as not routed, in milliseconds. */
const ROUTING_LIMIT_MS = 60_000;

/** What each worker can do, and what each task needs. */
interface Crowd {
  /** Capabilities of each worker, by number. */
  readonly workers: readonly (readonly number[])[];
  /** The capability that each task needs. */
  readonly tasks: readonly number[];
}

/** Capability routing with plenty, uneven and almost no suitable workers. */
export const routingScenario: Scenario = {
  name: 'routing',
  title: 'capability routing, 100 workers of one slot, 1 000 tasks',
  notQuick: true,
  run: (context) =>
    withServer({ appendonly: false }, (server) =>
      withEngine('flowfabric', server, async (engine) => {
        const crowds = routingModes.map((mode) => ({ mode, crowd: crowdOf(mode, scaled(context, TASKS)) }));
        // One round that does not count pays for compiling.
        for (const { crowd } of crowds) await measureRouting(server, engine, crowd);
        const rows: Row[] = [];
        for (const { mode, crowd } of crowds) {
          const results: RoutingResult[] = [];
          for (let run = 0; run < context.runs; run += 1) results.push(await measureRouting(server, engine, crowd));
          rows.push(
            ...rowsFrom(results, names.subjectWorker, [
              { metric: 'netPerS', group: routingGroups.net(mode), unit: 'claims/s' },
              { metric: 'p50Ms', group: routingGroups.p50(mode), unit: 'ms' },
              { metric: 'p99Ms', group: routingGroups.p99(mode), unit: 'ms' },
              { metric: 'routedPercent', group: routingGroups.routed(mode), unit: '%' },
            ]),
          );
        }
        return rows;
      }),
    ),
};

/** The crowd of a mode: the same in every run. */
function crowdOf(mode: RoutingMode, taskCount: number): Crowd {
  const below = seededIntegers(7);
  const all = Array.from({ length: CAPABILITIES }, (_, capability) => capability);
  const someFromTwoUp = (count: number): number[] => {
    const chosen = new Set<number>();
    while (chosen.size < count) chosen.add(2 + below(CAPABILITIES - 2));
    return [...chosen];
  };
  const workerOf = (worker: number): readonly number[] => {
    if (mode === 'happy') return all;
    if (mode === 'scarce') return worker === 0 ? all : [0];
    return worker < 10 ? [0, 1, ...someFromTwoUp(5)] : someFromTwoUp(3);
  };
  const taskOf = (): number => {
    if (mode === 'happy') return below(CAPABILITIES);
    if (mode === 'scarce') return below(10) === 0 ? 1 + below(CAPABILITIES - 1) : 0;
    return below(2) === 0 ? below(2) : 2 + below(CAPABILITIES - 2);
  };
  return {
    workers: Array.from({ length: WORKERS }, (_, worker) => workerOf(worker)),
    tasks: Array.from({ length: taskCount }, taskOf),
  };
}

interface RoutingResult {
  readonly netPerS: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly routedPercent: number;
}

async function measureRouting(server: BenchServer, engine: SubjectEngine, crowd: Crowd): Promise<RoutingResult> {
  await server.flush();
  await engine.reset();
  const submittedAt: number[] = [];
  const latenciesMs: number[] = [];
  let claimed = 0;
  const finished = signal<number>();
  const workers = await startWorkers(engine, crowd, (worker, task) => {
    const index = taskIndex(task);
    const needed = crowd.tasks[index];
    claimed += 1;
    if (needed !== undefined && crowd.workers[worker]?.includes(needed) === true) {
      latenciesMs.push(performance.now() - (submittedAt[index] ?? Number.NaN));
    }
    if (claimed === crowd.tasks.length) finished.resolve(performance.now());
  });
  try {
    await sleep(START_UP_MS);
    const start = performance.now();
    await inParallel(crowd.tasks.length, SUBMISSIONS_IN_FLIGHT, async (index) => {
      submittedAt[index] = performance.now();
      await engine.submit({
        payload: payloadOf(String(index)),
        requires: [capabilityName(crowd.tasks[index] ?? 0)],
      });
    });
    const end = await endOf(finished.promise);
    return {
      netPerS: (claimed / (end - start)) * 1000,
      p50Ms: percentile(latenciesMs, 50),
      p99Ms: percentile(latenciesMs, 99),
      routedPercent: (latenciesMs.length / crowd.tasks.length) * 100,
    };
  } finally {
    await workers.stop();
  }
}

/** The time of the last claim, or of giving up; unclaimed executions show as not routed. */
async function endOf(finished: Promise<number>): Promise<number> {
  return within(ROUTING_LIMIT_MS, finished, () => 'not all claimed').catch(() => performance.now());
}

/** Workers of one slot each; `onClaim` hears of every task and of the worker that got it. */
async function startWorkers(
  engine: SubjectEngine,
  crowd: Crowd,
  onClaim: (worker: number, task: BenchTask) => void,
): Promise<{ stop(): Promise<void> }> {
  const workers = await Promise.all(
    crowd.workers.map((numbers, worker) =>
      engine.createWorker({
        slots: 1,
        capabilities: numbers.map(capabilityName),
        onTask: (task) => {
          onClaim(worker, task);
        },
        onCompleted: () => undefined,
      }),
    ),
  );
  for (const worker of workers) worker.start();
  return {
    stop: async () => {
      await Promise.all(workers.map((worker) => worker.stop()));
    },
  };
}

function capabilityName(capability: number): string {
  return `capability-${capability}`;
}

/** The payload of a task is its index: engines mint their own ids. */
function taskIndex(task: BenchTask): number {
  const { payload } = task;
  return Number(typeof payload === 'string' ? payload : Buffer.from(payload).toString('latin1'));
}
