/** Progress goes out once a second and run at most, and the latest before the run ends. */
import { afterEach, describe, expect, it } from 'vitest';
import { backoff, EngineError, type Backend, type TaskContext } from '../../src/index.js';
import { deferred, settles } from '../app/support.js';
import { harness, type Commands, type Harness } from './harness.js';

let h: Harness;
afterEach(() => h.close());

/** All progress that reaches the store, with its time, and the endings. */
function watched(): { seen: [number, number | string][] } {
  const seen: [number, number | string][] = [];
  h = harness((inner, clock) => {
    const startedAt = clock.now();
    return {
      updateProgress: (async (args: Parameters<Backend['updateProgress']>[0]) => {
        seen.push([clock.now() - startedAt, args.progressPct as number]);
        return inner.updateProgress(args);
      }) as Backend['updateProgress'],
      execute: (async (commands: Commands) => {
        for (const { name, args } of commands) {
          if (name === 'updateProgress') seen.push([clock.now() - startedAt, args.progressPct as number]);
          else if (name === 'completeExecution' || name === 'failExecution') seen.push([clock.now() - startedAt, name]);
        }
        return inner.execute(commands);
      }) as Backend['execute'],
    };
  });
  return { seen };
}

describe('progress', () => {
  it('is sent at once first, then once a second, and the latest with the ending', async () => {
    const { seen } = watched();
    const wait = (ms: number): Promise<void> => new Promise((resolve) => void h.clock.after(ms, resolve));
    const task = h.a.task('t', async ({ progress }) => {
      for (let percent = 0; percent < 35; percent++) {
        await progress(percent);
        await wait(100);
      }
      await progress(99, 'last');
    });
    await h.worker();
    const run = await task.run();
    await h.pass(10_000);
    expect(seen).toEqual([
      [0, 0],
      [1_000, 9],
      [2_000, 19],
      [3_000, 29],
      [3_500, 99],
      [3_500, 'completeExecution'],
    ]);
    expect((await run.info()).progress).toMatchObject({ percent: 99, message: 'last' });
  });

  it('does not make a handler wait for the second to pass', async () => {
    const { seen } = watched();
    const task = h.a.task('t', async ({ progress }) => {
      for (let percent = 1; percent <= 100; percent++) await progress(percent);
    });
    await h.worker();
    const result = task.run().result();
    await h.pass(0);
    await result;
    expect(seen).toEqual([
      [0, 1],
      [0, 100],
      [0, 'completeExecution'],
    ]);
  });

  it('is sent before a failure too, and not after the end', async () => {
    const { seen } = watched();
    const late = deferred<unknown>();
    const task = h.a.task(
      't',
      { retry: { failures: 1, backoff: backoff.fixed('1h') } },
      async ({ progress }: TaskContext<undefined>) => {
        await progress(1);
        await progress(2);
        setImmediate(() => late.resolve(settles(progress(3))));
        throw new Error('no');
      },
    );
    await h.worker();
    await task.run();
    await h.pass(30_000);
    expect(seen.map(([, what]) => what)).toEqual([1, 2, 'failExecution']);
    expect(await late.promise).toBe(false);
  });

  it('that is refused aborts the handler, also when it was held back first', async () => {
    watched();
    const heard: unknown[] = [];
    const task = h.a.task('t', async ({ progress, signal, executionId, attempt }) => {
      if (attempt > 1) return;
      await progress(1);
      await h.inner.revokeLease({ executionId });
      await progress(2);
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      heard.push(signal.reason, await progress(3).catch((error: unknown) => error));
    });
    await h.worker({ leaseTtl: 60_000 });
    await task.run();
    await h.pass(1_100);
    expect(heard).toMatchObject([{ code: 'lease_revoked' }, { code: 'lease_revoked' }]);
  });

  it('that meets a fault fails no handler, and is sent again until the run ends or it is stored', async () => {
    let faults = 0;
    h = harness((inner) => ({
      updateProgress: async (args) => {
        if (++faults > 3) return inner.updateProgress(args);
        throw new EngineError('call_timeout', 'no.');
      },
    }));
    const task = h.a.task('t', async ({ progress }) => {
      await progress(1, 'first');
      await h.sleep(60_000);
    });
    await h.worker({ leaseTtl: 60_000 });
    const run = await task.run();
    await h.pass(2_900);
    expect([faults, (await run.info()).progress]).toEqual([3, undefined]);
    await h.pass(10_000);
    expect(faults).toBe(4);
    expect((await run.info()).progress).toMatchObject({ percent: 1, message: 'first' });
  });

  it('that met a fault goes with the ending, and gives way to newer progress', async () => {
    const { promise, resolve } = deferred<void>();
    h = harness(() => ({
      updateProgress: async () => {
        await promise;
        throw new EngineError('call_timeout', 'no.');
      },
    }));
    const task = h.a.task('t', async ({ progress }) => {
      const first = progress(1);
      await h.sleep(1_000);
      const second = progress(2);
      resolve();
      await Promise.all([first, second]);
    });
    await h.worker();
    const run = await task.run();
    await h.pass(1_500);
    expect([await run.state(), (await run.info()).progress]).toMatchObject(['completed', { percent: 2 }]);
  });

  it('is not repeated once the worker has lost the run', async () => {
    let calls = 0;
    h = harness(() => ({
      updateProgress: async () => {
        calls++;
        throw new EngineError('call_timeout', 'no.');
      },
    }));
    const task = h.a.task('t', async ({ progress }) => {
      await progress(1);
      await h.sleep(600_000);
    });
    await h.worker({ leaseTtl: 6_000, abortGrace: 1_200_000 });
    const run = await task.run();
    await h.pass(1_500);
    await run.cancel();
    await h.pass(3_000);
    const callsThen = calls;
    await h.pass(60_000);
    expect(calls).toBe(callsThen);
  });
});
