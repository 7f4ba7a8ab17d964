import { spawn } from 'node:child_process';

/** Ends a server that its parent did not live to stop. */
export interface Watchdog {
  /** Lets the watchdog end without doing anything. */
  disarm(): void;
}

/** Arguments: a folder to remove or nothing, then the command that kills. A line on standard input disarms it. */
export const watchdogScript =
  'folder=$1; shift; read -r _ && exit 0; "$@"; [ -z "$folder" ] || { sleep 0.2; rm -rf "$folder"; }';

/**
 * Starts a small shell that waits for this process (or worker thread) to be
 * gone, however it ended, SIGKILL included: the pipe to the shell closes then.
 * It kills the server and removes the server's folder.
 *
 * @param killCommand the program and arguments that kill the server
 * @param folder a folder to remove then, if any
 */
export const startWatchdog = (killCommand: string[], folder?: string): Watchdog => {
  const child = spawn('sh', ['-c', watchdogScript, 'sh', folder ?? '', ...killCommand], {
    stdio: ['pipe', 'ignore', 'ignore'],
    // Its own process group, or Ctrl-C would end it before it has done its work.
    detached: true,
  });
  child.unref();
  // The pipe must not keep this process alive; every pipe of a child is a socket that can be unreferenced.
  if ('unref' in child.stdin && typeof child.stdin.unref === 'function') child.stdin.unref();
  child.stdin.on('error', () => undefined);
  return { disarm: () => void child.stdin.end('\n') };
};
