import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { groups } from '../names.js';
import type { Row } from '../rows.js';
import type { Scenario } from '../scenario.js';

const run = promisify(execFile);

/** The package by its own name, which leads to the built main entry wherever this file was compiled to. */
const PACKAGE = 'flowfabric';

/** How long a program waits for `import` of the main entry, with nothing in Node's memory. */
export const coldImportScenario: Scenario = {
  name: 'cold-import',
  title: 'cold import of the main entry',
  run: async (context) => {
    const modules = [
      { name: 'iovalkey', specifier: 'iovalkey' },
      { name: 'bullmq', specifier: 'bullmq' },
    ];
    if (existsSync(fileURLToPath(import.meta.resolve(PACKAGE))))
      modules.unshift({ name: 'flowfabric', specifier: PACKAGE });
    else context.note('Cold import measures only the peers: run npm run build first.');
    const measured = modules.map((module) => ({ ...module, values: [] as number[] }));
    for (const { specifier } of measured) await startMs(`import ${JSON.stringify(specifier)};`);
    for (let round = 0; round < context.runs; round += 1) {
      const bareMs = await startMs('');
      for (const { specifier, values } of measured) {
        values.push((await startMs(`import ${JSON.stringify(specifier)};`)) - bareMs);
      }
    }
    return measured.map(({ name, values }): Row => ({ group: groups.coldImport, name, unit: 'ms', values }));
  },
};

/** Milliseconds from starting Node to its end, with `source` as an ES module. */
async function startMs(source: string): Promise<number> {
  const start = performance.now();
  await run(process.execPath, ['--input-type=module', '--eval', `${source}\nprocess.exit(0);`], {
    cwd: new URL('..', import.meta.url),
  });
  return performance.now() - start;
}
