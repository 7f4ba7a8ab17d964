import type { BatchEngine, BenchTask, CallEngine, Engine, FusedEngine, Payload, WorkerEngine } from './adapter.js';
import type { BenchServer } from './server.js';
import { median, percentile } from './statistics.js';
import { inParallel, nodeCpuUs, signal, sleep, within } from './timing.js';

/** Submissions in flight at once when they are made one by one (scenario S1). */
export const SUBMISSIONS_IN_FLIGHT = 32;

/** Loops that claim and complete batches: enough to keep the server busy while one decodes. */
const BATCH_LOOPS = 4;

/** Wait before asking again when others hold all that is left, in milliseconds. */
const EMPTY_CLAIM_WAIT_MS = 1;

/** A drain that takes longer than this has lost work, in milliseconds. */
const DRAIN_LIMIT_MS = 300_000;

/** How work is submitted: one by one, or so many per call. */
export type SubmitForm = 'single' | { readonly perCall: number };

/** How work is taken and completed. Every form names the engine that it drives. */
export type DrainForm =
  | { readonly by: 'calls'; readonly engine: CallEngine; readonly workers: number }
  | { readonly by: 'fused calls'; readonly engine: FusedEngine; readonly workers: number }
  | { readonly by: 'batch calls'; readonly engine: BatchEngine; readonly batch: number }
  | { readonly by: 'worker'; readonly engine: WorkerEngine; readonly slots: number; readonly batch?: number };

/** What one run of submit and drain gave. */
export type LifecycleResult = Readonly<
  Record<
    | 'submitPerS'
    | 'drainPerS'
    | 'lifecyclePerS'
    | 'nodeUs'
    | 'serverUs'
    | 'completeP50Ms'
    | 'completeP95Ms'
    | 'completeP99Ms',
    number
  >
>;

/**
 * Submits `count` pieces of work, and when all are stored drains them. The clock of the drain runs from
 * starting the workers to the last acknowledged completion; their connections are warm before.
 * CPU is that of both phases, per lifecycle, in microseconds. Complete-call latencies are NaN
 * where the engine's own worker makes the calls.
 */
export async function measureLifecycle(
  server: BenchServer,
  work: { readonly submit: SubmitForm; readonly drain: DrainForm; readonly count: number; readonly payload: Payload },
): Promise<LifecycleResult> {
  const { count, payload, drain } = work;
  await server.flush();
  await drain.engine.reset();
  const submitted = await metered(server, async () => {
    const start = performance.now();
    await submitAll(drain.engine, work.submit, count, payload);
    return performance.now() - start;
  });
  const completeMs: number[] = [];
  const run = await prepareDrain(drain, count, payload, completeMs);
  let drained: Metered;
  try {
    drained = await metered(server, run.go);
  } finally {
    await run.stop();
  }
  return {
    submitPerS: (count / submitted.value) * 1000,
    drainPerS: (count / drained.value) * 1000,
    lifecyclePerS: (count / (submitted.value + drained.value)) * 1000,
    nodeUs: (submitted.nodeUs + drained.nodeUs) / count,
    serverUs: (submitted.serverUs + drained.serverUs) / count,
    completeP50Ms: median(completeMs),
    completeP95Ms: percentile(completeMs, 95),
    completeP99Ms: percentile(completeMs, 99),
  };
}

interface Metered {
  readonly value: number;
  readonly nodeUs: number;
  readonly serverUs: number;
}

async function metered(server: BenchServer, action: () => Promise<number>): Promise<Metered> {
  const serverBefore = await server.cpuUs();
  const nodeBefore = nodeCpuUs();
  const value = await action();
  const nodeUs = nodeCpuUs() - nodeBefore;
  return { value, nodeUs, serverUs: (await server.cpuUs()) - serverBefore };
}

/** Submits `count` pieces of work of one payload. */
export async function submitAll(engine: Engine, form: SubmitForm, count: number, payload: Payload): Promise<void> {
  if (form === 'single') {
    await inParallel(count, SUBMISSIONS_IN_FLIGHT, () => engine.submit({ payload }));
    return;
  }
  for (let done = 0; done < count; done += form.perCall) {
    const size = Math.min(form.perCall, count - done);
    await engine.submitMany(Array.from({ length: size }, () => ({ payload })));
  }
}

/** Drains `count` stored pieces of work and checks that each arrived whole. */
export async function drainAll(drain: DrainForm, count: number, payload: Payload): Promise<void> {
  const run = await prepareDrain(drain, count, payload, []);
  try {
    await run.go();
  } finally {
    await run.stop();
  }
}

/** A drain whose connections are warm; `go` gives its duration in milliseconds. */
interface PreparedDrain {
  go(): Promise<number>;
  stop(): Promise<void>;
}

async function prepareDrain(
  drain: DrainForm,
  count: number,
  payload: Payload,
  completeMs: number[],
): Promise<PreparedDrain> {
  const state: DrainState = {
    left: count,
    completed: 0,
    check: (task) => {
      if (task.payload.length !== payload.text.length) {
        throw new Error(`${drain.engine.name} delivered ${task.payload.length} bytes of ${payload.text.length}.`);
      }
    },
    completeMs,
  };
  const lost = (): string => `${drain.engine.name} completed ${state.completed} of ${count} in ${DRAIN_LIMIT_MS} ms.`;
  if (drain.by === 'worker') return prepareWorkerDrain(drain, count, state, lost);
  const loops = drain.by === 'batch calls' ? BATCH_LOOPS : drain.workers;
  await drain.engine.connect(loops);
  return {
    go: async () => {
      const start = performance.now();
      const all = Promise.all(Array.from({ length: loops }, (_, worker) => drainLoop(drain, worker, state)));
      await within(DRAIN_LIMIT_MS, all, lost);
      return performance.now() - start;
    },
    stop: async () => {
      // The loops end by themselves when nothing is left.
    },
  };
}

async function prepareWorkerDrain(
  drain: Extract<DrainForm, { by: 'worker' }>,
  count: number,
  state: DrainState,
  lost: () => string,
): Promise<PreparedDrain> {
  const finished = signal<number>();
  const worker = await drain.engine.createWorker({
    slots: drain.slots,
    batch: drain.batch,
    onTask: state.check,
    onCompleted: (completions) => {
      state.completed += completions;
      if (state.completed === count) finished.resolve(performance.now());
    },
  });
  return {
    go: async () => {
      const start = performance.now();
      worker.start();
      return (await within(DRAIN_LIMIT_MS, finished.promise, lost)) - start;
    },
    stop: () => worker.stop(),
  };
}

/** What the loops of one drain share. */
interface DrainState {
  /** Tasks that no loop has set out to claim yet. */
  left: number;
  completed: number;
  check(task: BenchTask): void;
  readonly completeMs: number[];
}

function drainLoop(drain: Exclude<DrainForm, { by: 'worker' }>, worker: number, state: DrainState): Promise<void> {
  switch (drain.by) {
    case 'calls':
      return drainByCalls(drain.engine, worker, state);
    case 'fused calls':
      return drainByFusedCalls(drain.engine, worker, state);
    case 'batch calls':
      return drainByBatches(drain.engine, drain.batch, worker, state);
  }
}

/** Claims one of the tasks that are left; undefined when others have them all. */
async function claimOne(engine: CallEngine, worker: number, state: DrainState): Promise<BenchTask | undefined> {
  while (state.left > 0) {
    // Set aside before asking, so that no loop blocks for a task that can't come.
    state.left -= 1;
    const task = await engine.claim(worker);
    if (task !== null) {
      state.check(task);
      return task;
    }
    state.left += 1;
    await sleep(EMPTY_CLAIM_WAIT_MS);
  }
  return undefined;
}

async function drainByCalls(engine: CallEngine, worker: number, state: DrainState): Promise<void> {
  let task = await claimOne(engine, worker, state);
  while (task !== undefined) {
    const start = performance.now();
    await engine.complete(task, worker);
    state.completeMs.push(performance.now() - start);
    state.completed += 1;
    task = await claimOne(engine, worker, state);
  }
}

async function drainByFusedCalls(engine: FusedEngine, worker: number, state: DrainState): Promise<void> {
  let task = await claimOne(engine, worker, state);
  while (task !== undefined) {
    const next = await completeAndTakeNext(engine, task, worker, state);
    state.completed += 1;
    task = next ?? (await claimOne(engine, worker, state));
  }
}

async function completeAndTakeNext(
  engine: FusedEngine,
  task: BenchTask,
  worker: number,
  state: DrainState,
): Promise<BenchTask | undefined> {
  const start = performance.now();
  if (state.left === 0) {
    await engine.complete(task, worker);
    state.completeMs.push(performance.now() - start);
    return undefined;
  }
  state.left -= 1;
  const next = await engine.completeAndClaim(task, worker);
  state.completeMs.push(performance.now() - start);
  if (next === null) {
    state.left += 1;
    return undefined;
  }
  state.check(next);
  return next;
}

async function drainByBatches(engine: BatchEngine, batch: number, worker: number, state: DrainState): Promise<void> {
  while (state.left > 0) {
    const wanted = Math.min(batch, state.left);
    state.left -= wanted;
    const tasks = await engine.claimMany(worker, wanted);
    state.left += wanted - tasks.length;
    if (tasks.length === 0) {
      await sleep(EMPTY_CLAIM_WAIT_MS);
      continue;
    }
    tasks.forEach((task) => {
      state.check(task);
    });
    const start = performance.now();
    await engine.completeMany(tasks, worker);
    state.completeMs.push(performance.now() - start);
    state.completed += tasks.length;
  }
}
