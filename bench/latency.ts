import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Engine, ServerAddress } from './adapter.js';
import { openEngine, type EngineName } from './engines/index.js';
import { startChild } from './in-child.js';
import { numberedPayloads, TINY_PAYLOAD_BYTES } from './payload.js';
import { ServerMonitor } from './server.js';
import { percentile } from './statistics.js';
import { signal, sleep, within } from './timing.js';

/** Pause between jobs, in milliseconds: the worker is idle and waiting again when the next comes. */
const PAUSE_MS = 2;

/** A job that takes longer is lost, in milliseconds. */
const JOB_LIMIT_MS = 30_000;

/** Slots of the worker: some are free at any time. */
const SLOTS = 16;

/** One job at a time on an idle system. */
export interface LatencyTask {
  readonly address: ServerAddress;
  readonly engine: EngineName;
  /** Jobs in a round. */
  readonly count: number;
  /** Rounds in one process: the first is fresh, the last is warm. */
  readonly rounds: number;
  /** Whether the worker is in another process than the submitter. */
  readonly elsewhere: boolean;
}

export type ResultTask = Omit<LatencyTask, 'elsewhere'>;

/** A worker for another process to be served by. */
export interface ServeTask {
  readonly address: ServerAddress;
  readonly engine: EngineName;
}

/** Milliseconds. */
export interface LatencyResult {
  readonly p50: number;
  readonly p99: number;
}

/** Messages of a serving process: it is ready, or a completion was acknowledged at a time of its own clock. */
type Said = 'ready' | { readonly completedAtNs: string };

/** From the submit call to the acknowledged completion, as the worker learns of it. */
export async function measureLatency(task: LatencyTask): Promise<LatencyResult[]> {
  return withOpened(task, async (engine) => {
    let completed = signal<bigint>();
    const worker = task.elsewhere
      ? await startElsewhere(task, (at) => completed.resolve(at))
      : await startHere(engine, (at) => completed.resolve(at));
    try {
      return await rounds(task, async (index, payload) => {
        completed = signal<bigint>();
        const start = process.hrtime.bigint();
        const submitted = engine.submit({ payload });
        const end = await within(JOB_LIMIT_MS, completed.promise, () => `${engine.name} lost job ${index}.`);
        await submitted;
        return end - start;
      });
    } finally {
      await worker.stop();
    }
  });
}

/** From the submit call until the submitter has the result, of work that another process carries out. */
export async function measureResult(task: ResultTask): Promise<LatencyResult[]> {
  return withOpened(task, async (engine) => {
    const worker = await startElsewhere(task, () => undefined);
    try {
      return await rounds(task, async (index, payload) => {
        const start = process.hrtime.bigint();
        const waited = engine.submitAndWait?.({ payload });
        if (waited === undefined) throw new Error(`${engine.name} offers no waiting for results.`);
        await within(JOB_LIMIT_MS, waited, () => `${engine.name} lost job ${index}.`);
        return process.hrtime.bigint() - start;
      });
    } finally {
      await worker.stop();
    }
  });
}

async function withOpened<Result>(
  { address, engine: name }: ServeTask,
  action: (engine: Engine) => Promise<Result>,
): Promise<Result> {
  const server = new ServerMonitor(address);
  const engine = await openEngine(name, address);
  try {
    await server.flush();
    await engine.reset();
    return await action(engine);
  } finally {
    await engine.close();
    server.close();
  }
}

async function rounds(
  { count, rounds: roundCount }: { readonly count: number; readonly rounds: number },
  job: (index: number, payload: ReturnType<typeof numberedPayloads>[number]) => Promise<bigint>,
): Promise<LatencyResult[]> {
  const payloads = numberedPayloads(count, TINY_PAYLOAD_BYTES);
  const results: LatencyResult[] = [];
  for (let round = 0; round < roundCount; round += 1) {
    const latenciesMs: number[] = [];
    for (const [index, payload] of payloads.entries()) {
      await sleep(PAUSE_MS);
      latenciesMs.push(Number(await job(index, payload)) / 1e6);
    }
    results.push({ p50: percentile(latenciesMs, 50), p99: percentile(latenciesMs, 99) });
  }
  return results;
}

interface Stoppable {
  stop(): Promise<void>;
}

async function startHere(engine: Engine, onCompleted: (atNs: bigint) => void): Promise<Stoppable> {
  const worker = await engine.createWorker({
    slots: SLOTS,
    onTask: () => undefined,
    onCompleted: () => {
      onCompleted(process.hrtime.bigint());
    },
  });
  worker.start();
  return worker;
}

async function startElsewhere({ address, engine }: ServeTask, onCompleted: (atNs: bigint) => void): Promise<Stoppable> {
  const child: ChildProcess = startChild('serve', { address, engine });
  const ready = signal<undefined>();
  child.on('message', (said: Said) => {
    if (said === 'ready') ready.resolve(undefined);
    // The clock of hrtime is that of the machine, the same in every process.
    else if (typeof said === 'object' && 'completedAtNs' in said) onCompleted(BigInt(said.completedAtNs));
  });
  await within(JOB_LIMIT_MS, ready.promise, () => 'The worker in another process did not start.');
  return {
    stop: async () => {
      const exited = once(child, 'exit');
      child.send('stop');
      await exited;
    },
  };
}

/** Serves until this process is told to stop. */
export async function serve({ address, engine: name }: ServeTask): Promise<undefined> {
  const engine = await openEngine(name, address);
  const told = once(process, 'message');
  const worker = await startHere(engine, (atNs) => {
    process.send?.({ completedAtNs: String(atNs) } satisfies Said);
  });
  process.send?.('ready' satisfies Said);
  await told;
  await worker.stop();
  await engine.close();
  return undefined;
}
