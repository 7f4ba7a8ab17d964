/** Limits in time, and how soon what happens in one process is known in another. */
import { expect } from 'vitest';
import {
  backoff,
  delay,
  RetryableError,
  type TaskAbort,
  type EngineError,
  type TaskContext,
} from '../../../src/index.js';
import { deferred, pause, rejectionOf, until } from '../support.js';
import { typesOf } from './runs.js';
import { refusalOf, soon, within, type Scenario } from './world.js';

export const TIMES: readonly Scenario[] = [
  {
    name: 'an attempt ends at its timeout: the handler is told, and its late result is refused',
    run: async ({ open }) => {
      const a = await open();
      const [told, over] = [deferred<unknown>(), deferred()];
      const slow = a.task('slow', { timeout: { attempt: '2s' } }, async ({ signal }: TaskContext<void>) => {
        signal.addEventListener('abort', () => told.resolve(signal.reason));
        await pause(2_250);
        over.resolve();
        return 'late';
      });
      await a.worker();
      const run = slow.run();
      const error = await within(rejectionOf(run.result()), 2_000);
      const abort = (await within(told.promise)) as TaskAbort;
      await over.promise;
      await pause(20);
      const { startedAt = 0, endedAt = 0, ...info } = await run.info();
      expect(endedAt - startedAt).toBeGreaterThanOrEqual(2_000);
      expect(endedAt - startedAt).toBeLessThan(2_000 + soon());
      return { error: await refusalOf(() => Promise.reject(error)), abort: abort.code, state: info.state };
    },
  },
  {
    name: 'an attempt ends by time: a result after its end is refused where no process applies due work',
    run: async ({ open }) => {
      const a = await open();
      const slow = a.task('slow', { timeout: { attempt: '50ms' } }, async () => {
        await pause(250);
        return 'late';
      });
      const worker = await a.worker({ engine: false });
      const finished = deferred<string>();
      worker.on('finished', ({ outcome }) => finished.resolve(outcome));
      const run = slow.run();
      expect(await within(finished.promise, 50)).not.toBe('completed');
      expect(await run.state()).not.toBe('completed');
      // Another process notices.
      const b = await open();
      b.task('any', () => 1);
      await b.worker();
      return within(refusalOf(() => run.result()));
    },
  },
  {
    name: 'an attempt that timed out is retried, and only the retry counts',
    run: async ({ open }) => {
      const a = await open();
      const retry = { failures: 1, backoff: backoff.fixed('20ms') };
      const task = a.task('t', { timeout: { attempt: '2s' }, retry }, async ({ attempt }: TaskContext<void>) => {
        if (attempt === 1) await pause(2_250);
        return attempt;
      });
      await a.worker({ slots: 2 });
      const run = task.run();
      expect(await within(run.result(), 2_020)).toBe(2);
      await pause(500);
      expect(await run.info()).toMatchObject({ result: 2, attempts: 2, state: 'completed' });
    },
  },
  {
    name: 'a retry waits for its backoff, or as long as the error says, and no longer',
    run: async ({ open }) => {
      const a = await open();
      const times: number[] = [];
      const retry = { failures: 3, backoff: backoff.exponential('100ms', { max: '150ms', jitter: false }) };
      const task = a.task('t', { retry }, ({ attempt }: TaskContext<void>) => {
        times.push(performance.now());
        if (attempt === 3) throw new RetryableError('busy', { retryAfter: '30ms' });
        if (attempt < 4) throw new Error('no');
      });
      await a.worker();
      await within(task.run().result(), 280, 4);
      const waits = times.slice(1).map((time, index) => time - (times[index] as number));
      [100, 150, 30].forEach((least, index) => {
        expect(waits[index]).toBeGreaterThan(least - 2);
        expect(waits[index]).toBeLessThan(least + soon());
      });
    },
  },
  {
    name: 'a delay holds a run back, and `delay()` parks its attempt, each as long as it says',
    run: async ({ open }) => {
      const a = await open();
      const task = a.task('t', ({ resumes, attempt }: TaskContext<void>) =>
        resumes === 0 ? delay('100ms') : [attempt, resumes],
      );
      await a.worker();
      const run = await task.run(undefined, { delay: '2s' });
      const { state, delayedUntil = 0, createdAt } = await run.info();
      expect(state).toBe('delayed');
      // It counts from the call, which the store hears of a little later, by an estimate of the clock of the store.
      expect(delayedUntil - createdAt).toBeLessThanOrEqual(2_020);
      expect(delayedUntil - createdAt).toBeGreaterThan(0);
      expect(await within(run.result(), 0, 3)).toEqual([1, 1]);
      const { endedAt = 0 } = await run.info();
      // Timers of Node end up to a millisecond early.
      expect(endedAt - delayedUntil).toBeGreaterThanOrEqual(99);
      return within(typesOf(run.events()));
    },
  },
  {
    name: 'a deadline ends a run wherever it is: waiting, running, suspended',
    run: async ({ open }) => {
      const a = await open();
      const heard = deferred<unknown>();
      const nobody = a.task('nobody', { timeout: { total: '100ms' } });
      const runs = a.task('runs', async ({ signal }: TaskContext<void>) => {
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
        heard.resolve((signal.reason as TaskAbort).code);
      });
      const waits = a.task('waits', ({ waitFor }: TaskContext<void>) => waitFor('never'));
      await a.worker({ slots: 2, tasks: [runs, waits] });
      const waiting = await within(
        refusalOf(() => nobody.run(undefined).result()),
        100,
      );
      // Long enough for both runs to be where they are to end.
      const options = { deadline: '4s' } as const;
      const [running, suspended] = [runs.run(undefined, options), waits.run(undefined, options)];
      await until(async () => (await running.state()) === 'active' && (await suspended.state()) === 'suspended');
      const ends = await within(Promise.all([running, suspended].map((run) => refusalOf(() => run.result()))), 0, 3);
      return { ends: [waiting, ...ends], heard: await within(heard.promise) };
    },
  },
  {
    name: 'a cancellation reaches the handler in another process, and the waiting caller, at once',
    run: async ({ open }) => {
      const [a, b] = [await open(), await open()];
      const [begun, told] = [deferred(), deferred<TaskAbort>()];
      const define = (on: typeof a) =>
        on.task('t', async ({ signal }: TaskContext<void>) => {
          begun.resolve();
          await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
          told.resolve(signal.reason as TaskAbort);
          return 'late';
        });
      define(b);
      await b.worker();
      const run = await define(a).run();
      await within(begun.promise);
      const waiting = refusalOf(() => run.result());
      expect(await run.cancel({ reason: 'changed mind' })).toBe(true);
      const { code, message } = await within(told.promise);
      const error = await within(waiting);
      expect(await run.cancel()).toBe(true);
      const { state, cancelReason, cancelledBy } = await run.info();
      return { code, message, error, state, cancelReason, cancelledBy };
    },
  },
  {
    name: 'work starts and results arrive at once, in another process too, however idle the worker was',
    run: async ({ open }) => {
      const [a, b] = [await open(), await open()];
      const task = b.task('t', ({ input }: TaskContext<number>) => input);
      await b.worker();
      const asked = a.task<number, number>('t');
      for (const idleMs of [0, 300, 0]) {
        await pause(idleMs);
        expect(await within(asked.run(idleMs).result())).toBe(idleMs);
      }
      // A wait that began before the run had a worker, beside more waits than one.
      const runs = await asked.runMany(Array.from({ length: 40 }, (_, index) => index));
      expect(await within(Promise.all(runs.map((run) => run.result())))).toHaveLength(40);
      expect(task.name).toBe('t');
    },
  },
  {
    name: 'a wait for a result ends in time, by its signal, and at the end of the app',
    run: async ({ open }) => {
      const a = await open({ closeBackend: true });
      const run = await a.task('t', () => 1).run();
      const late = await within(
        refusalOf(() => run.result({ timeout: '100ms' })),
        100,
      );
      const at = AbortSignal.timeout(50);
      const aborted = await within(refusalOf(() => run.result({ signal: at })));
      const left = refusalOf(() => run.result());
      await until(async () => (await run.state()) === 'waiting');
      await within(a.close());
      // The message names the backend.
      const { code, name } = (await rejectionOf(run.state())) as EngineError;
      return { late, aborted, left: await left, code, name };
    },
  },
  {
    name: 'a purged run is not found, and its own id is free again',
    run: async ({ open }) => {
      const a = await open();
      const task = a.task('t', () => 1);
      await a.worker();
      const run = await task.run(undefined, { id: 'own' });
      expect(await run.result()).toBe(1);
      await (await a.backend()).purgeExecution({ executionId: run.id });
      return {
        result: await within(refusalOf(() => run.result())),
        byOwnId: await refusalOf(() => task.get({ id: 'own' }).result()),
        again: await refusalOf(() => task.run(undefined, { id: 'own' }).result()),
      };
    },
  },
  {
    name: 'an app that closes waits for its handlers, then hands back what is left: the attempt continues elsewhere',
    run: async ({ open }) => {
      const [a, b] = [await open(), await open()];
      const [begun, heard] = [deferred(), deferred<string>()];
      let count = 0;
      const define = (on: typeof a) =>
        on.task('t', async ({ input, signal, attempt, resumes }: TaskContext<string>) => {
          if (++count === 2) begun.resolve();
          if (input === 'ends') await pause(100);
          else if (resumes === 0) {
            await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
            heard.resolve((signal.reason as TaskAbort).code);
            throw signal.reason;
          }
          return [attempt, resumes];
        });
      define(a);
      await a.worker({ slots: 2 });
      const [ends, hangs] = await define(b).runMany(['ends', 'hangs']);
      await begun.promise;
      await within(a.close({ timeout: '3s' }), 0, 3);
      expect(await ends?.state()).toBe('completed');
      expect(await hangs?.state()).toBe('waiting');
      await b.worker();
      return [await heard.promise, await within(ends?.result() as never), await within(hangs?.result() as never)];
    },
  },
  {
    name: 'a deadline that has passed ends the run as expired, and its handler is not called',
    run: async ({ open }) => {
      const a = await open();
      let calls = 0;
      const task = a.task('t', () => ++calls);
      await a.worker();
      const past = new Date(Date.now() - 60_000);
      const runs = [
        await task.run(undefined, { deadline: past }),
        await task.run(undefined, { deadline: past, delay: '1h' }),
      ];
      const ends: unknown[] = [];
      for (const run of runs) ends.push(await refusalOf(() => within(run.result())), await run.state());
      return { ends, calls };
    },
  },
];
