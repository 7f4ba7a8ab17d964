/** The runnable examples, run as a reader runs them. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sharedValkey } from '../support/valkey/index.js';

const project = fileURLToPath(new URL('../..', import.meta.url));

async function run(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  return promisify(execFile)(process.execPath, ['--import', 'tsx', ...args], { cwd: project, timeout: 50_000 });
}

describe('hello', () => {
  it('says hello, and ends', async () => {
    expect((await run('examples/hello.ts')).stdout).toBe('Hello, World!\n');
  });
});

describe('the audit', () => {
  let root: string;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'audited-'));
    for (const [name, manifest] of [
      ['good', { name: 'good', version: '1.0.0', license: 'MIT' }],
      ['bare', { name: 'bare', version: '2.0.0' }],
    ] as const) {
      await mkdir(join(root, 'node_modules', name), { recursive: true });
      await writeFile(join(root, 'node_modules', name, 'package.json'), JSON.stringify(manifest));
      await writeFile(join(root, 'node_modules', name, 'index.js'), 'export const a = 1;\n');
    }
  });

  afterEach(async () => {
    await rm(root, { recursive: true, force: true });
  });

  it('runs in memory and reports what it found and what failed', async () => {
    const { stdout } = await run('examples/audit/main.ts', '--root', root);
    expect(stdout).toMatch(/Packages\s+2\s+1 failed/);
    expect(stdout).toMatch(/bare@2\.0\.0\s+LICENCE_MISSING/);
  });

  it('runs on a server with processes, and does nothing twice when it is run again', async () => {
    const { url } = await sharedValkey();
    const args = [
      'examples/audit/main.ts',
      '--root',
      root,
      '--backend',
      url,
      '--run',
      `test-${process.pid}-${Date.now()}`,
    ];
    const first = await run(...args);
    expect(first.stdout).toMatch(/Packages\s+2\s+1 failed/);
    expect(first.stderr).not.toContain('done before');
    const second = await run(...args);
    expect(second.stderr).toContain('(2 done before)');
    expect(second.stdout).toMatch(/bare@2\.0\.0\s+LICENCE_MISSING/);
  }, 60_000);
});
