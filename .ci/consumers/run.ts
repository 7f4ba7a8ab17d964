import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** One thing that a user's project does with the package. */
export interface Check {
  readonly name: string;
  /** @throws Error with what the program printed when it fails */
  run(): Promise<void>;
}

/** How many checks run at a time. */
const AT_A_TIME = 2;

/** Longest time of one program, in milliseconds. */
const PROGRAM_TIMEOUT_MS = 180_000;

/**
 * Runs a program to its end.
 *
 * @returns what it printed to standard output
 * @throws Error with everything that it printed, if its status is not 0
 */
export function program(command: string, args: readonly string[], cwd: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { cwd, timeout: PROGRAM_TIMEOUT_MS, maxBuffer: 2 ** 24 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${stdout}${stderr}`.trim().split('\n').slice(0, 30).join('\n') || error.message));
    });
  });
}

/** Runs a script with this Node or another one. @throws Error unless it prints `expected` */
export async function expectOutput(node: string, script: string, expected: string, cwd: string): Promise<void> {
  const printed = await program(node, [script], cwd);
  if (!printed.includes(expected)) throw new Error(`${script} printed ${JSON.stringify(printed)}, not ${expected}`);
}

/** A folder of its own below the consumer's, whose modules are of the given type. */
export function folderOfType(parent: string, type: 'module' | 'commonjs'): string {
  mkdirSync(join(parent, 'work'), { recursive: true });
  const folder = mkdtempSync(join(parent, 'work', `${type}-`));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type }));
  return folder;
}

/** Runs all checks, prints a line for each, and answers the names of those that failed. */
export async function runChecks(checks: readonly Check[]): Promise<string[]> {
  const failed: string[] = [];
  const waiting = [...checks];
  const lane = async (): Promise<void> => {
    for (let check = waiting.shift(); check !== undefined; check = waiting.shift()) {
      const start = performance.now();
      try {
        await check.run();
        console.log(`ok    ${check.name} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
      } catch (error) {
        failed.push(check.name);
        console.log(`FAIL  ${check.name}\n${(error as Error).message}`);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, lane));
  return failed;
}
