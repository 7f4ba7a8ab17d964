import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** The worker processes of a run. */
export interface WorkerProcesses {
  /** Worker processes that are alive. */
  readonly alive: number;
  /** Asks all of them to drain, and resolves when they are gone. */
  stop(): Promise<void>;
}

/** How long a process that died waits before it is started again, in milliseconds. */
const RESTART_MS = 500;
/** How long processes get to drain before they are killed, in milliseconds. */
const STOP_MS = 30_000;

/**
 * Starts `count` processes of `file`, and starts each again that dies.
 *
 * @param file the script; it is run with this process's own Node options
 */
export function startProcesses(file: string, args: readonly string[], count: number): WorkerProcesses {
  const children = new Set<ChildProcess>();
  let stopping = false;

  const start = (): void => {
    const child = fork(file, [...args], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    children.add(child);
    child.once('exit', () => {
      children.delete(child);
      if (!stopping) setTimeout(() => stopping || start(), RESTART_MS);
    });
  };
  for (let n = 0; n < count; n++) start();

  return {
    get alive() {
      return children.size;
    },
    async stop() {
      stopping = true;
      await Promise.all(
        [...children].map(async (child) => {
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
