import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/**
 * Runs a program to its end without a shell.
 *
 * @param timeoutMs the program is killed after this time; default ten minutes
 * @returns what it wrote to standard output
 * @throws Error with the program's own output if it fails or cannot be started
 */
export const run = async (file: string, args: string[], timeoutMs = 600_000): Promise<string> => {
  const { stdout } = await execute(file, args, {
    timeout: timeoutMs,
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' },
  });
  return stdout;
};

/** Tells whether a program runs and exits with status 0. */
export const succeeds = async (file: string, args: string[], timeoutMs = 20_000): Promise<boolean> =>
  run(file, args, timeoutMs).then(
    () => true,
    () => false,
  );
