/** Work of a kind that a worker cannot run is not claimed by it, on any lane. */
import { afterEach, expect, it } from 'vitest';
import { app, memory, type App } from '../../src/index.js';
import { memoryApp, rejectionOf } from '../app/support.js';

let a: App;
afterEach(async () => {
  await a.close();
});

it('work that no live worker can run delays no other work, and is done once a capable worker starts', async () => {
  const backend = memory({ partitions: { count: 2 } });
  const other = app({ backend, closeBackend: false });
  const known = other.task('known', { lane: 'shared' }, () => 'served');
  const worker = await other.worker();
  a = app({ backend });
  const orphan = a.task('orphan', { lane: 'shared' }, () => 'done');
  const runs = await orphan.runMany(Array.from({ length: 300 }, () => undefined));
  for (let i = 0; i < 5; i++) expect(await known.run().result({ timeout: '20s' })).toBe('served');
  expect(worker.stats()).toMatchObject({ claimed: 5, completed: 5 });
  await a.worker({ slots: 10 });
  expect(new Set(await Promise.all(runs.map((run) => run.result())))).toEqual(new Set(['done']));
  expect(worker.stats().claimed).toBe(5);
  await other.close();
});

it('tasks defined after the start of a worker are claimed too, also by a worker of named lanes', async () => {
  a = memoryApp();
  a.task('first', { lane: 'shared' }, () => 1);
  const worker = await a.worker({ lanes: ['shared'], sweepInterval: '10m' });
  const run = await a.task('second', { lane: 'shared' }, () => 2).run();
  expect(await run.result({ timeout: '20s' })).toBe(2);
  expect(worker.stats().completed).toBe(1);
});

it('a worker with onUnhandled: fail fails work that it has no task for', async () => {
  const backend = memory();
  const other = app({ backend, closeBackend: false });
  other.task('known', { lane: 'shared' }, () => 1);
  await other.worker({ onUnhandled: 'fail' });
  a = app({ backend });
  const run = a.task('unknown', { lane: 'shared', retry: { failures: 5 } }, () => 'done').run();
  expect(await rejectionOf(run.result({ timeout: '20s' }))).toMatchObject({
    code: 'run_failed',
    category: 'no_handler',
  });
  await expect(other.worker({ onUnhandled: 'ignore' as 'leave' })).rejects.toThrow("must be 'leave' or 'fail'");
  await other.close();
});
