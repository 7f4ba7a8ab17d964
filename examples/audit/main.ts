/**
 * The demo: audits every package installed under a folder, as durable work. `npm start` runs it in this process and
 * keeps it in a folder; with `--backend valkey://host:port` the work is on a server, and processes of their own do it: kill any
 * of them, or all, start again, and what is done stays done. `npm start -- --help` lists the options.
 */
import { fileURLToPath } from 'node:url';

import { AppError, EngineError, embedded, memory, valkey, type BackendSource, type Worker } from '../../src/index.js';
import { collect, endedAmong } from './collect.js';
import { connectionLog, reached } from './connect.js';
import { readOptions, USAGE, type AuditOptions } from './options.js';
import { findPackages } from './packages.js';
import { startProcesses, tellRunning, type WorkerProcesses } from './processes.js';
import { startProgress } from './progress.js';
import { renderReport } from './report.js';
import { auditApp } from './task.js';

/** Packages audited at once in one process: most of the time goes into reading files. */
const SLOTS = 4;
const REFRESH_MS = 250;
const SAME_SIGNAL_MS = 200;

function open({ backend, store }: AuditOptions): BackendSource {
  if (backend === 'memory') return memory();
  return backend === 'embedded' ? embedded({ path: store }) : valkey(backend);
}

async function main(): Promise<void> {
  const options = await readOptions(process.argv.slice(2));
  if (options === undefined) process.stdout.write(USAGE);
  else if (options.isWorker) await work(options);
  else await audit(options);
}

/** One of the worker processes: works until it is told to stop, or its parent is gone. */
async function work(options: AuditOptions): Promise<void> {
  const { app } = auditApp(open(options));
  process.once('disconnect', () => void app.close());
  // The parent can have gone while this process was starting.
  if (process.connected === false) return app.close();
  const worker = await app.worker({ slots: SLOTS, drainTimeout: '10s', handleSignals: true });
  setInterval(() => tellRunning(worker.stats().running), REFRESH_MS).unref();
}

async function audit(options: AuditOptions): Promise<void> {
  const { backend, root, run, workers } = options;
  const isServer = backend !== 'memory' && backend !== 'embedded';
  // Of a server, `reached` says how it stands until it is connected.
  let isReached = !isServer;
  const log = connectionLog(() => isReached);
  const { app, audit: task } = auditApp(open(options), log);
  if (isServer) await reached(app, backend);
  else await app.backend();
  isReached = true;
  const startedAt = performance.now();
  const packages = await findPackages(root);
  if (packages.length === 0) throw new Error(`No installed packages under ${root}`);

  const runs = await task.runMany(
    packages.map((ref) => ({ ...ref, root })),
    ({ path }) => ({ id: `${run}/${path}` }),
  );
  const before = await endedAmong(runs.filter(({ deduplicated }) => deduplicated));
  process.stderr.write(
    `${packages.length} packages under ${root}, run "${run}"${before.size > 0 ? ` (${before.size} done before)` : ''}\n`,
  );

  const worker = isServer ? undefined : await app.worker({ slots: SLOTS });
  const needsProcesses = isServer && before.size < runs.length;
  const processes = !needsProcesses
    ? undefined
    : startProcesses(fileURLToPath(import.meta.url), ['--worker', '--backend', backend], workers);
  const interruption = onInterrupt(async () => {
    await processes?.stop();
    await app.close();
  });

  // What an earlier start of this run did is not counted as work of this one.
  const display = startProgress({ total: packages.length - before.size });
  const state = { done: 0, failed: 0 };
  const refresh = setInterval(() => display.update({ ...state, running: runningOf(worker, processes) }), REFRESH_MS);
  try {
    const collected = await Promise.race([
      collect(packages, runs, (failed, { id }) => {
        if (before.has(id)) return;
        state.done++;
        if (failed) state.failed++;
      }),
      interruption.happened,
    ]);
    display.update({ ...state, running: 0 });
    display.stop();
    if (collected === undefined) {
      process.stderr.write(
        `Interrupted. ${backend === 'memory' ? 'Nothing is kept in memory.' : 'Start it again to go on where it stopped.'}\n`,
      );
      process.exitCode = 130;
      await interruption.handled;
      return;
    }
    const doneBefore = new Set(packages.flatMap(({ path }, at) => (before.has(runs[at]?.id ?? '') ? [path] : [])));
    process.stdout.write(renderReport({ ...collected, doneBefore, durationMs: performance.now() - startedAt }));
  } finally {
    clearInterval(refresh);
    display.stop();
    interruption.stop();
  }
  await processes?.stop();
  await app.close();
}

function runningOf(worker: Worker | undefined, processes: WorkerProcesses | undefined): number {
  return worker?.stats().running ?? processes?.running ?? 0;
}

/** Does `clean` on the first Ctrl-C or SIGTERM; the second one ends the process at once. */
function onInterrupt(clean: () => Promise<void>): {
  happened: Promise<undefined>;
  readonly handled: Promise<void>;
  stop(): void;
} {
  let handled = Promise.resolve();
  let settle: (value: undefined) => void;
  const happened = new Promise<undefined>((resolve) => (settle = resolve));
  let at: number | undefined;
  const listener = (): void => {
    // Launchers pass a signal on that the terminal has sent already: two at once are one.
    if (at !== undefined && performance.now() - at < SAME_SIGNAL_MS) return;
    if (at !== undefined) process.exit(130);
    at = performance.now();
    handled = clean();
    settle(undefined);
  };
  process.on('SIGINT', listener).on('SIGTERM', listener);
  return {
    happened,
    get handled() {
      return handled;
    },
    stop: () => void process.off('SIGINT', listener).off('SIGTERM', listener),
  };
}

main().catch((error: unknown) => {
  const hint = error instanceof EngineError || error instanceof AppError ? ` ${error.hint}` : '';
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}${hint}\n`);
  process.exit(1);
});
