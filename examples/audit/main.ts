/**
 * The demo: audits every package installed under a folder, as durable work. `npm start` runs it in this process and
 * in memory; with `--backend valkey://host:port` the work is on a server, and processes of their own do it: kill any
 * of them, or all, start again, and what is done stays done. `npm start -- --help` lists the options.
 */
import { fileURLToPath } from 'node:url';

import { memory, type Backend, type Worker } from '../../src/index.js';
import { collect, countEnded } from './collect.js';
import { readOptions, USAGE, type AuditOptions } from './options.js';
import { findPackages } from './packages.js';
import { startProcesses, type WorkerProcesses } from './processes.js';
import { startProgress } from './progress.js';
import { renderReport } from './report.js';
import { auditApp } from './task.js';

/** Packages audited at once in one process: most of the time goes into reading files. */
const SLOTS = 4;
const REFRESH_MS = 250;
const SAME_SIGNAL_MS = 200;

async function open(backend: string): Promise<Backend> {
  if (backend === 'memory') return memory();
  // Only who works with a server loads its client.
  const { valkey } = await import('../../src/valkey/index.js');
  return valkey(backend);
}

async function main(): Promise<void> {
  const options = await readOptions(process.argv.slice(2));
  if (options === undefined) process.stdout.write(USAGE);
  else if (options.isWorker) await work(options);
  else await audit(options);
}

/** One of the worker processes: works until it is told to stop, or its parent is gone. */
async function work({ backend }: AuditOptions): Promise<void> {
  const { app } = auditApp(await open(backend));
  process.once('disconnect', () => void app.close());
  // The parent can have gone while this process was starting.
  if (process.connected === false) return app.close();
  await app.worker({ slots: SLOTS, leaseTtlMs: 10_000, drainTimeout: '10s', handleSignals: true });
}

async function audit(options: AuditOptions): Promise<void> {
  const { backend, root, run, workers } = options;
  const startedAt = performance.now();
  const packages = await findPackages(root);
  if (packages.length === 0) throw new Error(`No installed packages under ${root}`);

  const { app, audit: task } = auditApp(await open(backend));
  const runs = await task.runMany(
    packages.map((ref) => ({ ...ref, root })),
    ({ path }) => ({ id: `${run}/${path}` }),
  );
  const doneBefore = await countEnded(runs.filter(({ deduplicated }) => deduplicated));
  process.stderr.write(
    `${packages.length} packages under ${root}, run "${run}"${doneBefore > 0 ? ` (${doneBefore} done before)` : ''}\n`,
  );

  const inMemory = backend === 'memory';
  const worker = inMemory ? await app.worker({ slots: SLOTS }) : undefined;
  const needsProcesses = !inMemory && doneBefore < runs.length;
  const processes = !needsProcesses
    ? undefined
    : startProcesses(fileURLToPath(import.meta.url), ['--worker', '--backend', backend], workers);
  const interruption = onInterrupt(async () => {
    await processes?.stop();
    await app.close();
  });

  const display = startProgress({ total: packages.length });
  const state = { done: 0, failed: 0 };
  const refresh = setInterval(() => display.update({ ...state, running: runningOf(worker, processes) }), REFRESH_MS);
  try {
    const collected = await Promise.race([
      collect(packages, runs, (failed) => {
        state.done++;
        if (failed) state.failed++;
      }),
      interruption.happened,
    ]);
    display.update({ ...state, running: 0 });
    display.stop();
    if (collected === undefined) {
      process.stderr.write(
        `Interrupted. ${inMemory ? 'Nothing is kept in memory.' : 'Start it again to go on where it stopped.'}\n`,
      );
      process.exitCode = 130;
      await interruption.handled;
      return;
    }
    process.stdout.write(renderReport({ ...collected, durationMs: performance.now() - startedAt }));
  } finally {
    clearInterval(refresh);
    display.stop();
    interruption.stop();
  }
  await processes?.stop();
  await app.close();
}

function runningOf(worker: Worker | undefined, processes: WorkerProcesses | undefined): number {
  return worker?.stats().running ?? (processes?.alive ?? 0) * SLOTS;
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
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
