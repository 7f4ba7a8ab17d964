/** Real files, and a real process that is killed. */
import { fork, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { isAbsolute, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { app, embedded, type TaskContext } from '../../src/index.js';
import { nodeDisk } from '../../src/embedded/disk.js';
import { compact, type FsyncMode } from '../../src/embedded/index.js';

const CHILD = fileURLToPath(new URL('./child.ts', import.meta.url));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'embedded-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('files are readable by their user only', async () => {
  const path = join(folder, 'deep', 'store');
  const backend = await embedded({ path });
  expect(statSync(path).mode & 0o777).toBe(0o700);
  for (const name of readdirSync(path)) expect(statSync(join(path, name)).mode & 0o777, name).toBe(0o600);
  await backend.close();
  expect(readdirSync(path)).toEqual(['00000001.journal']);
});

test('a path that cannot be the folder of a store is an invalid argument', async () => {
  const file = join(folder, 'file');
  writeFileSync(file, '');
  await expect(embedded({ path: file })).rejects.toMatchObject({ code: 'invalid_input' });
  for (const path of ['', 'a\0b', join(file, 'below')])
    await expect(embedded({ path })).rejects.toMatchObject({ code: 'invalid_input' });
  // No folders can be made there, and a caller is not left waiting for one.
  if (process.platform === 'linux')
    await expect(embedded({ path: '/proc/flowfabric/store' })).rejects.toMatchObject({ code: 'invalid_input' });
  await expect(embedded({ path: folder, fsync: 'sometimes' as never })).rejects.toMatchObject({
    code: 'invalid_input',
  });
  await expect(embedded({ path: folder, now: 5 as never })).rejects.toMatchObject({ detail: { field: 'now' } });
  await expect(embedded({ path: folder, snapshotEveryBytes: 0 })).rejects.toMatchObject({ code: 'invalid_input' });
});

test('a relative path stays the same folder when the process changes its working folder', async () => {
  // A thread cannot change it, so what is looked at are the names that the system gets.
  const spies = (['create', 'list', 'syncFolder', 'rename'] as const).map((name) => vi.spyOn(nodeDisk, name));
  const backend = await embedded({ path: relative(process.cwd(), folder) });
  await compact(backend);
  await backend.close();
  const paths = spies.flatMap((spy) => spy.mock.calls.map(([path]) => path));
  expect(paths.length).toBeGreaterThan(5);
  expect(paths.filter((path) => !isAbsolute(path))).toEqual([]);
  vi.restoreAllMocks();
});

test.each([[1_000.75], [Number.NaN], [2 ** 60], [-1], ['soon']])(
  'a clock that answers %s does not make a store that cannot be opened again',
  async (time) => {
    const backend = await embedded({ path: folder, now: () => time as number });
    const made = backend.createExecution({
      executionId: `{fp:0}:${randomUUID()}`,
      ...{ namespace: 'n', laneId: 'l', executionKind: 'k', creatorIdentity: 'test' },
    });
    if (time === 1_000.75) await made;
    else await expect(made).rejects.toMatchObject({ code: 'invalid_input', detail: { field: 'now' } });
    await backend.close();
    await (await embedded({ path: folder })).close();
  },
);

test('an app finds its runs again, and waits for a store that another process holds', async () => {
  const start = () => {
    const a = app({ backend: embedded({ path: folder }) });
    const hello = a.task('hello', ({ input }: TaskContext<{ name: string }>) => `Hello, ${input.name}!`);
    return { a, hello };
  };
  const first = start();
  await first.hello.run({ name: 'World' }, { id: 'one' });
  const second = start();
  const waiting = second.hello.run({ name: 'again' }, { id: 'two' });
  await first.a.close();
  await waiting;
  await second.a.worker();
  expect(await second.hello.get({ id: 'one' }).result()).toBe('Hello, World!');
  expect(await second.hello.get({ id: 'two' }).result()).toBe('Hello, again!');
  await second.a.close();
});

/** Starts a process that creates executions one after the other and tells of each that was answered. */
function startChild(fsync: FsyncMode): { child: ChildProcess; answered: string[]; ended: Promise<unknown> } {
  const answered: string[] = [];
  const child = fork(CHILD, [folder, fsync], { execArgv: ['--import', 'tsx'] });
  child.on('message', (id) => answered.push(id as string));
  const ended = new Promise((resolve) => child.once('exit', resolve));
  return { child, answered, ended };
}

describe('a process that is killed', () => {
  test.each(['always', 'everysec', 'never'] as const)('with fsync %s', async (fsync) => {
    const known = new Set<string>();
    for (const least of [20, 150]) {
      const { child, answered, ended } = startChild(fsync);
      while (answered.length < least) await new Promise((resolve) => child.once('message', resolve));
      child.kill('SIGKILL');
      await ended;
      for (const id of answered) known.add(id);
      const backend = await embedded({ path: folder, fsync });
      for (const executionId of known) expect(await backend.readExecutionState({ executionId })).toBe('waiting');
      await backend.close();
    }
    expect(known.size).toBeGreaterThanOrEqual(170);
  });
});
