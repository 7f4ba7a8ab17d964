import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** The worker processes of a run. */
export interface WorkerProcesses {
  /** Packages that they are at, as they told last. */
  readonly running: number;
  /** Asks all of them to drain, and resolves when they are gone. */
  stop(): Promise<void>;
}

/** How long a process that died waits before it is started again, in milliseconds. */
const RESTART_MS = 500;
/** How long processes get to drain before they are killed, in milliseconds. */
const STOP_MS = 30_000;

/** In a worker process: tells the parent how many packages it is at. */
export function tellRunning(running: number): void {
  if (process.connected) process.send?.(running);
}

/**
 * Starts `count` processes of `file`, and starts each again that dies.
 *
 * @param file the script; it is run with this process's own Node options
 */
export function startProcesses(file: string, args: readonly string[], count: number): WorkerProcesses {
  const children = new Map<ChildProcess, number>();
  let stopping = false;

  const start = (): void => {
    const child = fork(file, [...args], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    children.set(child, 0);
    child.on('message', (running) => children.set(child, Number(running)));
    child.once('exit', () => {
      children.delete(child);
      if (!stopping) setTimeout(() => stopping || start(), RESTART_MS);
    });
  };
  for (let n = 0; n < count; n++) start();

  return {
    get running() {
      return [...children.values()].reduce((sum, running) => sum + running, 0);
    },
    async stop() {
      stopping = true;
      await Promise.all(
        [...children.keys()].map(async (child) => {
          const gone = once(child, 'exit');
          const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
          // Not by a signal: Ctrl-C reaches every process of a terminal, and a second signal means "at once".
          if (child.connected) child.disconnect();
          await gone;
          clearTimeout(timer);
        }),
      );
    },
  };
}
