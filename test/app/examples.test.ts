/** The runnable examples, run as a reader runs them. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hostOf } from '../../examples/audit/connect.js';
import { freePort, sharedValkey, startValkey } from '../support/valkey/index.js';
import { until } from './support.js';

const project = fileURLToPath(new URL('../..', import.meta.url));

async function run(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  return promisify(execFile)(process.execPath, ['--import', 'tsx', ...args], { cwd: project, timeout: 120_000 });
}

describe('hello', () => {
  it('prints its greeting, and ends', async () => {
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

  it('runs in memory and reports its findings and its failures', async () => {
    const { stdout } = await run('examples/audit/main.ts', '--root', root, '--backend', 'memory');
    expect(stdout).toMatch(/Packages\s+2\s+1 failed/);
    expect(stdout).toMatch(/bare@2\.0\.0\s+LICENCE_MISSING/);
  });

  it('is kept in a folder unless told otherwise, and a second run repeats no work', async () => {
    const args = ['examples/audit/main.ts', '--root', root, '--store', join(root, 'store')];
    expect((await run(...args)).stderr).not.toContain('done before');
    const second = await run(...args);
    expect(second.stderr).toContain('(2 done before)');
    expect(second.stdout).toMatch(/Packages\s+2\s+1 failed, 2 done before/);
  });

  it('runs on a server with several processes, and a second run repeats no work', async () => {
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
    expect(second.stdout).toMatch(/Packages\s+2\s+1 failed, 2 done before/);
    expect(second.stdout).toMatch(/Throughput\s+0\.0 packages\/s/);
    expect(second.stdout).toMatch(/bare@2\.0\.0\s+LICENCE_MISSING/);
  });

  it('reports a missing server, how to start one, and that it waits; and continues once the server is there', async () => {
    const port = await freePort();
    const address = `valkey://127.0.0.1:${port}`;
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', 'examples/audit/main.ts', '--root', root, '--backend', address],
      { cwd: project, stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let stderr = '';
    child.stderr.on('data', (chunk) => (stderr += String(chunk)));
    const exited = once(child, 'exit');
    await until(() => stderr.includes('Ctrl-C ends.'), 60_000);
    expect(stderr).toContain(`No server answers at 127.0.0.1:${port}. Start one, with one of these:`);
    expect(stderr).toContain(`valkey-server --port ${port}`);
    expect(stderr).toMatch(/Waiting for the server: connecting, \d+ s/);
    const server = await startValkey({ port });
    expect(await exited).toEqual([0, null]);
    expect(stderr).toContain(`Connected to 127.0.0.1:${port}.`);
    await server.stop();
    expect(hostOf('valkey://user:secret@db.example')).toBe('db.example:6379');
  });

  it('ends at once when the server refuses the login', async () => {
    const { url } = await sharedValkey();
    const wrong = url.replace('://', '://nobody:wrong@');
    const failing = run('examples/audit/main.ts', '--root', root, '--backend', wrong).catch((error: unknown) => error);
    expect(await failing).toMatchObject({ code: 1, stderr: expect.stringContaining('server_refused') as string });
  });
});
