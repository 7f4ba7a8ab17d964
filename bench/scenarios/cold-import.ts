import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { groups } from '../names.js';
import type { Row } from '../rows.js';
import type { Scenario } from '../scenario.js';

const run = promisify(execFile);

/** The root of the package, whether this file is compiled (one folder deeper) or not. */
const ROOT = fileURLToPath(new URL('.', import.meta.resolve('flowfabric/package.json')));

/** The package by its own name, which leads to the built main entry. */
const MODULES = ['flowfabric', 'iovalkey', 'ioredis', 'bullmq', 'bee-queue', 'groupmq'];

/** How long a program waits for `import` of the main entry, with nothing in Node's memory. */
export const coldImportScenario: Scenario = {
  name: 'cold-import',
  title: 'cold import of the main entry, as it is built',
  run: async (context) => {
    // An existing build may be out of date.
    await run('npm', ['run', '--silent', 'build'], { cwd: ROOT });
    const measured = MODULES.map((name) => ({ name, values: [] as number[] }));
    for (const { name } of measured) await startMs(importOf(name));
    for (let round = 0; round < context.runs; round += 1) {
      const bareMs = await startMs('');
      for (const { name, values } of measured) values.push((await startMs(importOf(name))) - bareMs);
    }
    return measured.map(({ name, values }): Row => ({ group: groups.coldImport, name, unit: 'ms', values }));
  },
};

const importOf = (name: string): string => `import ${JSON.stringify(name)};`;

/** Milliseconds from starting Node to its end, with `source` as an ES module. */
async function startMs(source: string): Promise<number> {
  const start = performance.now();
  await run(process.execPath, ['--input-type=module', '--eval', `${source}\nprocess.exit(0);`], { cwd: ROOT });
  return performance.now() - start;
}
