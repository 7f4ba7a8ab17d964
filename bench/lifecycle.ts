import type { BenchTask, Engine, Payload, SubjectEngine } from './adapter.js';
import { openEngine, type EngineName } from './engines/index.js';
import { numberedPayloads, Receipts } from './payload.js';
import { ServerMonitor } from './server.js';
import { inParallel, nodeCpuUs, signal, sleep, within } from './timing.js';
import type { ServerAddress } from './adapter.js';

/** Submissions in flight at once when they are made one by one. */
export const SUBMISSIONS_IN_FLIGHT = 32;

/** Loops that claim and complete batches: enough to keep the server busy while one decodes. */
const BATCH_LOOPS = 4;

/** Wait before asking again when others hold all that is left, in milliseconds. */
const EMPTY_CLAIM_WAIT_MS = 1;

/** A drain that takes longer than this has lost work, in milliseconds. */
const DRAIN_LIMIT_MS = 300_000;

/** How work is taken and completed: by the engine's worker, or by this engine's calls without one. */
export type DrainForm =
  | { readonly by: 'worker'; readonly slots: number; readonly batch?: number }
  | { readonly by: 'fused calls'; readonly loops: number }
  | { readonly by: 'batch calls'; readonly batch: number };

/** One engine in one form. */
export interface Form {
  readonly engine: EngineName;
  /** Submissions in one call; one by one when absent. */
  readonly perCall?: number;
  readonly drain: DrainForm;
}

/** What is submitted and drained, and how often. */
export interface LifecycleTask {
  readonly address: ServerAddress;
  readonly form: Form;
  readonly count: number;
  readonly payloadBytes: number;
  /** Rounds one after the other in one process: the first is fresh, the last is warm. */
  readonly rounds: number;
  /** Keeps the data of the server. Default: every round starts on an empty server. */
  readonly keep?: boolean;
}

/** What one round gave; CPU is that of both phases, per lifecycle. */
export type LifecycleResult = Readonly<
  Record<'submitPerS' | 'drainPerS' | 'lifecyclePerS' | 'nodeUs' | 'serverUs', number>
>;

/**
 * Submits work, and when all is stored drains it, as often as is asked for. The clock of the drain runs from starting
 * the workers to the last acknowledged completion. Every job must have run exactly once with its whole payload.
 */
export async function measureLifecycles(task: LifecycleTask): Promise<LifecycleResult[]> {
  const server = new ServerMonitor(task.address);
  const engine = await openEngine(task.form.engine, task.address);
  try {
    const payloads = numberedPayloads(task.count, task.payloadBytes);
    const results: LifecycleResult[] = [];
    for (let round = 0; round < task.rounds; round += 1) {
      if (task.keep !== true) await server.flush();
      await engine.reset();
      results.push(await measureRound(server, engine, task.form, payloads));
    }
    return results;
  } finally {
    await engine.close();
    server.close();
  }
}

async function measureRound(
  server: ServerMonitor,
  engine: Engine,
  form: Form,
  payloads: readonly Payload[],
): Promise<LifecycleResult> {
  const submitted = await metered(server, async () => {
    const start = performance.now();
    await submitAll(engine, payloads, form.perCall);
    return performance.now() - start;
  });
  const drain = await prepareDrain(engine, form.drain, payloads);
  let drained: Metered;
  try {
    drained = await metered(server, drain.run);
  } finally {
    await drain.stop();
  }
  drain.receipts.assertOnceEach();
  const count = payloads.length;
  return {
    submitPerS: (count / submitted.elapsedMs) * 1000,
    drainPerS: (count / drained.elapsedMs) * 1000,
    lifecyclePerS: (count / (submitted.elapsedMs + drained.elapsedMs)) * 1000,
    nodeUs: (submitted.nodeUs + drained.nodeUs) / count,
    serverUs: (submitted.serverUs + drained.serverUs) / count,
  };
}

interface Metered {
  readonly elapsedMs: number;
  readonly nodeUs: number;
  readonly serverUs: number;
}

async function metered(server: ServerMonitor, action: () => Promise<number>): Promise<Metered> {
  const serverBefore = await server.cpuUs();
  const nodeBefore = nodeCpuUs();
  const elapsedMs = await action();
  const nodeUs = nodeCpuUs() - nodeBefore;
  return { elapsedMs, nodeUs, serverUs: (await server.cpuUs()) - serverBefore };
}

/** Submits one piece of work per payload: `perCall` in a call, or one by one with 32 in flight. */
export async function submitAll(engine: Engine, payloads: readonly Payload[], perCall?: number): Promise<void> {
  const submissions = payloads.map((payload) => ({ payload }));
  if (perCall === undefined) {
    await inParallel(submissions.length, SUBMISSIONS_IN_FLIGHT, (index) =>
      engine.submit(submissions[index] as { payload: Payload }),
    );
    return;
  }
  for (let done = 0; done < submissions.length; done += perCall) {
    await engine.submitMany(submissions.slice(done, done + perCall));
  }
}

/** Drains stored work and checks that each piece ran once. */
export async function drainAll(engine: Engine, form: DrainForm, payloads: readonly Payload[]): Promise<void> {
  const drain = await prepareDrain(engine, form, payloads);
  try {
    await drain.run();
  } finally {
    await drain.stop();
  }
  drain.receipts.assertOnceEach();
}

/** A drain whose connections are open; `run` gives its duration in milliseconds. */
interface PreparedDrain {
  readonly receipts: Receipts;
  run(): Promise<number>;
  stop(): Promise<void>;
}

async function prepareDrain(engine: Engine, form: DrainForm, payloads: readonly Payload[]): Promise<PreparedDrain> {
  const receipts = new Receipts(engine.name, payloads);
  if (form.by === 'worker') return prepareWorkerDrain(engine, form, payloads.length, receipts);
  const state: CallDrain = { engine: engine as SubjectEngine, left: payloads.length, receipts };
  const loops =
    form.by === 'fused calls'
      ? Array.from({ length: form.loops }, () => () => drainByFusedCalls(state))
      : Array.from({ length: BATCH_LOOPS }, () => () => drainByBatches(state, form.batch));
  return {
    receipts,
    run: async () => {
      const start = performance.now();
      await within(DRAIN_LIMIT_MS, Promise.all(loops.map((loop) => loop())), () => `${engine.name} lost work.`);
      return performance.now() - start;
    },
    // The loops end by themselves when nothing is left.
    stop: () => Promise.resolve(),
  };
}

async function prepareWorkerDrain(
  engine: Engine,
  { slots, batch }: Extract<DrainForm, { by: 'worker' }>,
  count: number,
  receipts: Receipts,
): Promise<PreparedDrain> {
  const finished = signal<number>();
  let completed = 0;
  const worker = await engine.createWorker({
    slots,
    batch,
    onTask: (task) => {
      receipts.note(task.payload);
    },
    onCompleted: () => {
      completed += 1;
      if (completed === count) finished.resolve(performance.now());
    },
  });
  const lost = (): string => `${engine.name} completed ${completed} of ${count} in ${DRAIN_LIMIT_MS} ms.`;
  return {
    receipts,
    run: async () => {
      const start = performance.now();
      worker.start();
      return (await within(DRAIN_LIMIT_MS, finished.promise, lost)) - start;
    },
    stop: () => worker.stop(),
  };
}

/** State that the loops of one drain by calls share. */
interface CallDrain {
  readonly engine: SubjectEngine;
  /** Tasks that no loop has set out to claim yet. */
  left: number;
  readonly receipts: Receipts;
}

/** Claims up to so many of the tasks that are left; empty when others have them all. */
async function claimSome(state: CallDrain, most: number): Promise<readonly BenchTask[]> {
  while (state.left > 0) {
    // Set aside before asking, so that no loop waits for a task that can't come.
    const wanted = Math.min(most, state.left);
    state.left -= wanted;
    const tasks = await state.engine.claim(wanted);
    state.left += wanted - tasks.length;
    for (const task of tasks) state.receipts.note(task.payload);
    if (tasks.length > 0) return tasks;
    await sleep(EMPTY_CLAIM_WAIT_MS);
  }
  return [];
}

async function drainByFusedCalls(state: CallDrain): Promise<void> {
  let [task] = await claimSome(state, 1);
  while (task !== undefined) {
    task = (await completeAndTakeNext(state, task)) ?? (await claimSome(state, 1))[0];
  }
}

async function completeAndTakeNext(state: CallDrain, task: BenchTask): Promise<BenchTask | undefined> {
  if (state.left === 0) {
    await state.engine.complete([task]);
    return undefined;
  }
  state.left -= 1;
  const next = await state.engine.completeAndClaim(task);
  if (next === null) {
    state.left += 1;
    return undefined;
  }
  state.receipts.note(next.payload);
  return next;
}

async function drainByBatches(state: CallDrain, batch: number): Promise<void> {
  for (let tasks = await claimSome(state, batch); tasks.length > 0; tasks = await claimSome(state, batch)) {
    await state.engine.complete(tasks);
  }
}
