/** What operators see and do: holds, priorities, lanes, workers, and why a run does not run. */
import { expect } from 'vitest';
import { backoff, child, delay, type TaskContext } from '../../../src/index.js';
import { deferred, pause, until } from '../support.js';
import { refusalOf, within, type Scenario } from './world.js';

async function all<T>(rows: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const row of rows) found.push(row);
  return found;
}

export const OPERATORS: readonly Scenario[] = [
  {
    name: 'a held run waits, a released one starts at once, a running one goes on',
    run: async ({ open }) => {
      const [a, b] = [await open(), await open()];
      const go = deferred();
      const task = a.task('t', async ({ input }: TaskContext<string>) => {
        if (input === 'runs') await go.promise;
        return input;
      });
      const held = await task.run('held');
      const other = b.get(held.id);
      await other.hold({ reason: 'why', requestedBy: 'ann' });
      await a.worker({ slots: 2 });
      const running = await task.run('runs');
      await within(until(async () => (await running.state()) === 'active'));
      await running.hold();
      go.resolve();
      expect(await within(running.result())).toBe('runs');
      const { state, waitsFor, hold } = await held.info();
      await other.release({ requestedBy: 'ann' });
      expect(await within(held.result())).toBe('held');
      return {
        ...{ state, waitsFor, hold },
        ended: await refusalOf(() => held.hold()),
        priority: await refusalOf(() => held.setPriority(5)),
        tooHigh: await refusalOf(() => held.setPriority(9_001)),
      };
    },
  },
  {
    name: 'a paused lane gives no work, a drained one takes none, and resumed it does both at once',
    run: async ({ open }) => {
      const [a, b] = [await open(), await open()];
      const task = a.task('t', { lane: 'mail:out' }, ({ input }: TaskContext<number>) => input);
      await a.worker();
      expect(await task.run(0).result()).toBe(0);
      const lane = b.lane('mail:out');
      await lane.pause({ reason: 'down', requestedBy: 'ann' });
      const paused = await lane.state();
      const run = await task.run(1);
      await pause(100);
      const { sentence, because } = await run.explain();
      await lane.drain({ reason: 'moving' });
      expect(await within(run.result())).toBe(1);
      const drained = await within(refusalOf(() => task.run(2)));
      const many = await within(refusalOf(() => task.runMany([2])));
      await lane.resume();
      expect(await within(task.run(3).result())).toBe(3);
      return { paused, sentence, because, drained, many, open: (await lane.state()).state };
    },
  },
  {
    name: 'workers of all processes are listed with what they do, until they are drained',
    run: async ({ open }) => {
      const [a, b] = [await open(), await open()];
      const begun = deferred();
      const go = deferred();
      const task = a.task('t', { lane: 'l', needs: ['gpu'] }, async () => {
        begun.resolve();
        await go.promise;
      });
      const worker = await a.worker({ slots: 3, capabilities: ['gpu', 'eu'], workerId: 'pool' });
      const rows = await within(
        (async () => {
          for (;;) {
            const found = await all(b.workers({ lane: 'l' }));
            if (found.length > 0) return found;
            await pause(10);
          }
        })(),
      );
      expect(rows[0]?.id).toBe(worker.workerInstanceId);
      const run = await task.run();
      await begun.promise;
      const held = (await all(b.runs({ worker: worker.workerInstanceId }))).map(({ id }) => id === run.id);
      go.resolve();
      await run.result();
      await worker.close();
      await within(until(async () => (await all(b.workers())).length === 0));
      return { rows: rows.map(({ id: _, ...row }) => row), held, filtered: await all(b.workers({ task })) };
    },
  },
  {
    name: 'why a run does not run is the same sentence with the same data',
    run: async ({ open }) => {
      const a = await open();
      const [begun, go] = [deferred(), deferred()];
      const running = a.task('running', async () => {
        begun.resolve();
        await go.promise;
      });
      const fails = a.task('fails', { retry: { failures: 1, backoff: backoff.fixed('1h') } }, () => {
        throw new Error('no');
      });
      const ends = a.task('ends', () => 1);
      const waits = a.task('waits', ({ waitFor }: TaskContext<void>) => waitFor('go', { timeout: '1h' }));
      const sleeps = a.task('sleeps', ({ sleep }: TaskContext<void>) => sleep('1h'));
      const approves = a.task('approves', ({ approval }: TaskContext<void>) => approval('deploy', { approvals: 2 }));
      const parent = a.task('parent', ({ children }: TaskContext<void>) => children.all([child(waits, undefined)]));
      const nobody = a.task('nobody');
      const gpu = a.task('gpu', { needs: ['gpu'] }, () => 1);
      const tasks = [running, fails, ends, waits, sleeps, approves, parent, gpu];
      const before = await ends.run();
      const [orphan, delayed] = [await nobody.run(undefined), await ends.run(undefined, { delay: '1h' })];
      const notYet = await before.explain();
      await a.worker({ slots: 4, tasks });
      const runs = await Promise.all([
        ...[running.run(undefined), fails.run(undefined), ends.run(undefined), waits.run(undefined)],
        ...[sleeps.run(undefined), approves.run(undefined), parent.run(undefined), gpu.run(undefined)],
      ]);
      const settled = [
        'active',
        'delayed',
        'completed',
        'suspended',
        'suspended',
        'suspended',
        'waiting_children',
        'waiting',
      ];
      await begun.promise;
      await until(async () => {
        const states = await Promise.all(runs.map((run) => run.state()));
        const { suspended } = (await a.counts()).states;
        return suspended === 4 && states.every((state, index) => state === settled[index]);
      });
      await within(until(async () => (await all(a.workers())).length === 1));
      const told = { notYet, orphan: await orphan.explain(), delayed: await delayed.explain() };
      const others = await Promise.all(runs.map(async (run) => [await run.explain(), (await run.info()).waitsFor]));
      go.resolve();
      return { told, others };
    },
  },
  {
    name: 'a run that is delayed after it lost its worker says that it did',
    run: async ({ open }) => {
      const [a, b] = [await open(), await open()];
      const begun = deferred();
      const task = a.task('t', ({ attempt, signal }: TaskContext) => {
        if (attempt > 1) return delay('1h');
        begun.resolve();
        return new Promise<undefined>((resolve) => signal.addEventListener('abort', () => resolve(undefined)));
      });
      const worker = await a.worker();
      const run = await task.run();
      await begun.promise;
      await within(until(async () => (await all(b.workers())).length === 1));
      await b.markWorkerDead(worker.workerInstanceId, { revoke: true });
      await within(until(async () => (await run.state()) === 'delayed'));
      const { because, sentence } = await run.explain();
      expect(sentence).toContain('It has lost its worker once lately');
      return { because, remainder: sentence.slice(sentence.indexOf('. ')) };
    },
  },
];
