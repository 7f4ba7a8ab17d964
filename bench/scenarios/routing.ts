import type { BenchTask, CallEngine, WorkerEngine } from '../adapter.js';
import { alternate } from '../alternate.js';
import { SUBMISSIONS_IN_FLIGHT } from '../lifecycle.js';
import { names, routingGroups, routingModes, type RoutingMode } from '../names.js';
import { payloadOf, seededIntegers } from '../payload.js';
import { rowsFrom, type Row } from '../rows.js';
import { scaled, withSubject, type Scenario } from '../scenario.js';
import type { BenchServer } from '../server.js';
import { percentile } from '../statistics.js';
import { inParallel, signal, sleep, within } from '../timing.js';

const WORKERS = 100;
const CAPABILITIES = 10;

/** The pause before the first submit that the published figures include, in milliseconds. */
const START_UP_MS = 250;

/** Wait of a worker that found nothing it may take, in milliseconds. */
const EMPTY_CLAIM_WAIT_MS = 5;

/** After this time what is not claimed counts as not routed, in milliseconds. */
const ROUTING_LIMIT_MS = 60_000;

/** Who can do what, and what each task needs. */
interface Crowd {
  /** Capabilities of each worker, by number. */
  readonly workers: readonly (readonly number[])[];
  /** The capability that each task needs. */
  readonly tasks: readonly number[];
}

/** Capability routing with plenty, uneven and almost no suitable workers (scenario S5). */
export const routingScenario: Scenario = {
  name: 'routing',
  title: 'S5: capability routing, 100 workers, 1 000 tasks',
  run: (context) =>
    withSubject(context, async (server, engine) => {
      const rows: Row[] = [];
      for (const mode of routingModes) {
        const crowd = crowdOf(mode, scaled(context, 1_000));
        const measured = await alternate(
          [
            { name: names.subjectCalls, measure: () => measureRouting(server, engine, crowd, byCalls(engine)) },
            { name: names.subjectWorker, measure: () => measureRouting(server, engine, crowd, byWorkers(engine)) },
          ],
          context.runs,
        );
        for (const { name, results } of measured) {
          rows.push(
            ...rowsFrom(results, name, [
              { metric: 'netPerS', group: routingGroups.net(mode), unit: 'claims/s' },
              { metric: 'wallPerS', group: routingGroups.wall(mode), unit: 'claims/s' },
              { metric: 'p50Ms', group: routingGroups.p50(mode), unit: 'ms' },
              { metric: 'p99Ms', group: routingGroups.p99(mode), unit: 'ms' },
              { metric: 'routedPercent', group: routingGroups.routed(mode), unit: '%' },
            ]),
          );
        }
      }
      return rows;
    }),
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
  readonly wallPerS: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly routedPercent: number;
}

/** Starts all workers; `onClaim` hears of every task and of the worker that got it. */
type StartWorkers = (
  crowd: Crowd,
  onClaim: (worker: number, task: BenchTask) => void,
) => Promise<{ start(): void; stop(): Promise<void> }>;

async function measureRouting(
  server: BenchServer,
  engine: CallEngine & WorkerEngine,
  crowd: Crowd,
  startWorkers: StartWorkers,
): Promise<RoutingResult> {
  await server.flush();
  await engine.reset();
  const submittedAt: number[] = [];
  const latenciesMs: number[] = [];
  let claimed = 0;
  const finished = signal<number>();
  const workers = await startWorkers(crowd, (worker, task) => {
    const index = taskIndex(task);
    const needed = crowd.tasks[index];
    claimed += 1;
    if (needed !== undefined && crowd.workers[worker]?.includes(needed) === true) {
      latenciesMs.push(performance.now() - (submittedAt[index] ?? Number.NaN));
    }
    if (claimed === crowd.tasks.length) finished.resolve(performance.now());
  });
  const wallStart = performance.now();
  let netStart: number;
  let end: number;
  workers.start();
  try {
    await sleep(START_UP_MS);
    netStart = performance.now();
    await inParallel(crowd.tasks.length, SUBMISSIONS_IN_FLIGHT, async (index) => {
      submittedAt[index] = performance.now();
      await engine.submit({
        payload: payloadOf(String(index)),
        requires: [capabilityName(crowd.tasks[index] ?? 0)],
      });
    });
    end = await endOf(finished.promise);
  } finally {
    await workers.stop();
  }
  return {
    netPerS: (claimed / (end - netStart)) * 1000,
    wallPerS: (claimed / (end - wallStart)) * 1000,
    p50Ms: percentile(latenciesMs, 50),
    p99Ms: percentile(latenciesMs, 99),
    routedPercent: (latenciesMs.length / crowd.tasks.length) * 100,
  };
}

/** The time of the last claim, or of giving up: what was not claimed shows as not routed. */
async function endOf(finished: Promise<number>): Promise<number> {
  return within(ROUTING_LIMIT_MS, finished, () => 'not all claimed').catch(() => performance.now());
}

/** Workers that poll by plain calls. */
function byCalls(engine: CallEngine): StartWorkers {
  return async (crowd, onClaim) => {
    await engine.connect(crowd.workers.length);
    let stopping = false;
    let loops: Promise<unknown> = Promise.resolve();
    const serve = async (worker: number, capabilities: readonly string[]): Promise<void> => {
      while (!stopping) {
        const task = await engine.claim(worker, { capabilities });
        if (task === null) {
          await sleep(EMPTY_CLAIM_WAIT_MS);
          continue;
        }
        onClaim(worker, task);
        await engine.complete(task, worker);
      }
    };
    return {
      start: () => {
        loops = Promise.all(crowd.workers.map((numbers, worker) => serve(worker, numbers.map(capabilityName))));
        // A failure is thrown by stop; until then it must not end the process.
        loops.catch(() => undefined);
      },
      stop: async () => {
        stopping = true;
        await loops;
      },
    };
  };
}

/** The engine's own workers, one slot each. */
function byWorkers(engine: WorkerEngine): StartWorkers {
  return async (crowd, onClaim) => {
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
    return {
      start: () => {
        for (const worker of workers) worker.start();
      },
      stop: async () => {
        await Promise.all(workers.map((worker) => worker.stop()));
      },
    };
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
