/** The code of docs/scheduling.md is executed as it stands, on memory and on a server; only the package's name becomes its source. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { sharedValkey } from './support/valkey/index.js';

const root = fileURLToPath(new URL('..', import.meta.url));
// Inside the project, so that its dependencies are found.
const folder = mkdtempSync(join(root, 'node_modules', '.scheduling-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const [, code = ''] = /^```ts\n([\s\S]*?)^```$/m.exec(readFileSync(join(root, 'docs/scheduling.md'), 'utf8')) ?? [];

test.each(['memory', 'valkey'] as const)('a scheduler outside drives the engine on %s', async (kind) => {
  const file = join(folder, `${kind}.mts`);
  const source = (entry: string): string => `from '${join(root, 'src', entry, 'index.ts')}'`;
  writeFileSync(
    file,
    code.replace(/from 'flowfabric\/(\w+)'/g, (_, entry: string) => source(entry)),
  );
  const { VALKEY_URL: _, ...env } = process.env;
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', file], {
    cwd: root,
    env: kind === 'memory' ? env : { ...env, VALKEY_URL: (await sharedValkey()).url },
    timeout: 30_000,
  });
  expect(stdout.trim()).toBe('light, light\n0 more: what is blocked is scanned no longer');
});
