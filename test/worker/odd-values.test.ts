/**
 * Whatever users throw, return, log to or listen with: the run ends, with some text as its reason; the slot is free, the
 * next task is done, and nothing is unhandled.
 */
import vm from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { delay, RetryableError, type Logger, type RunFailedError, type TaskContext } from '../../src/index.js';
import { rejectionOf, settles } from '../app/support.js';
import { cyclic, make, ODD, trap, watchUnhandled } from '../support/odd.js';
import { harness, type Harness } from './harness.js';

const odd = fc.constantFrom(...Object.keys(ODD));

const unhandled = watchUnhandled();

/** Runs a task once on a worker with one slot, then a sane one: both end, and nothing is left. */
async function survives(handler: (context: TaskContext) => unknown, log?: Logger): Promise<Harness> {
  unhandled.length = 0;
  const h = harness(() => ({}), log === undefined ? {} : { log });
  const bad = h.a.task('bad', handler as (context: TaskContext) => never);
  const sane = h.a.task('sane', () => 'sane');
  const worker = await h.worker({ slots: 1, leaseTtl: 3_000 });
  const run = await bad.run(undefined);
  await h.pass(10);
  const next = sane.run().result();
  await h.pass(10);
  expect(await next).toBe('sane');
  const info = await run.info();
  expect(['failed', 'completed']).toContain(info.state);
  if (info.state === 'failed') {
    expect(info.failure?.message).not.toBe('');
    const error = (await rejectionOf(run.result())) as RunFailedError;
    expect(error.code).toBe('run_failed');
    expect(error.reason).not.toBe('');
  }
  expect(worker.stats()).toMatchObject({ running: 0, lost: 0 });
  await new Promise((resolve) => setImmediate(resolve));
  expect(unhandled).toEqual([]);
  await h.close();
  return h;
}

describe('odd values', () => {
  it('are numerous', () => expect(Object.keys(ODD).length).toBeGreaterThanOrEqual(40));

  it.each(Object.keys(ODD))('thrown: %s', async (name) => {
    await survives(() => {
      throw make(name);
    });
  });

  it.each(Object.keys(ODD))('rejected late: %s', async (name) => {
    await survives(async () => {
      await Promise.resolve();
      throw make(name);
    });
  });

  it.each(Object.keys(ODD))('returned: %s', async (name) => {
    await survives(() => make(name));
  });

  it.each(Object.keys(ODD))('as a cause, an inner error and a message: %s', async (name) => {
    await survives(() => {
      throw new Error('outer', { cause: make(name) });
    });
    await survives(() => {
      throw new AggregateError([make(name), make(name)], 'several');
    });
    await survives(() => {
      throw Object.assign(new Error('x'), { message: make(name) });
    });
  });

  it('in every place at once', async () => {
    await fc.assert(
      fc.asyncProperty(odd, odd, odd, odd, odd, async (thrown, logged, category, time, said) => {
        const failing = (): never => {
          throw make(logged);
        };
        const rejecting = (): Promise<never> => Promise.reject(make(logged));
        for (const log of [failing, rejecting])
          await survives(
            ({ signal, progress, log: own }) => {
              own.info('hello', make(said));
              signal.addEventListener('abort', failing);
              void progress(make(said) as never, make(thrown) as never);
              throw Object.assign(new RetryableError('x', { cause: make(thrown) }), {
                category: make(category),
                retryAfterMs: make(time),
              });
            },
            { debug: log, info: log, warn: log, error: log },
          );
      }),
      { numRuns: 40 },
    );
  });

  it.each(Object.keys(ODD))('of listeners, of events and of signals: %s', async (name) => {
    unhandled.length = 0;
    const h = harness();
    const task = h.a.task('t', async ({ signal }) => {
      const failing = (): never => {
        throw make(name);
      };
      signal.addEventListener('abort', failing);
      signal.addEventListener('abort', () => Promise.reject(make(name)));
      signal.addEventListener('abort', { handleEvent: failing });
      signal.onabort = failing;
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      throw signal.reason;
    });
    const worker = await h.worker({ leaseTtl: 3_000 });
    for (const type of ['claimed', 'finished', 'leaseLost'] as const) {
      worker.on(type, () => {
        throw make(name);
      });
      worker.on(type, (() => Promise.reject(make(name))) as () => void);
    }
    const run = await task.run();
    await h.pass(10);
    await run.cancel();
    await h.pass(10);
    expect(worker.stats()).toMatchObject({ running: 0, cancelled: 1 });
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).toEqual([]);
    await h.close();
  });
});

describe('functions of the context', () => {
  it('reject when they are awaited, and do not end the process otherwise', async () => {
    unhandled.length = 0;
    const h = harness();
    const errors: unknown[] = [];
    const task = h.a.task('t', async ({ signal, progress }) => {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      void progress(50);
      errors.push(await rejectionOf(progress(60)));
    });
    const worker = await h.worker();
    const run = await task.run();
    await h.pass(10);
    await run.cancel('enough');
    await h.pass(10);
    expect(errors).toMatchObject([{ code: 'cancelled' }]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).toEqual([]);
    expect(worker.stats().running).toBe(0);
    await h.close();
  });

  it('never settle in calls after the end of the handler, and one of them is logged', async () => {
    const h = harness();
    const settled: Promise<boolean>[] = [];
    const task = h.a.task('t', ({ step, sleep, waitFor, approval, waitpoint, progress, stream }) => {
      const late = [() => step('s', () => 1), () => sleep('1s'), () => waitFor('x'), () => approval('x')];
      const rest = [() => waitpoint('x'), () => progress(1), () => stream.text('x')];
      setImmediate(() => setImmediate(() => settled.push(...[...late, ...rest].map((call) => settles(call())))));
    });
    await h.worker();
    const result = task.run().result();
    await h.pass(10);
    await result;
    await h.pass(10);
    expect(await Promise.all(settled)).toEqual(Array.from({ length: 7 }, () => false));
    expect(h.said.filter(([, text]) => text.includes('was called after the handler had returned'))).toHaveLength(1);
    await h.close();
  });

  it.each(Object.keys(ODD))('log any value as a message: %s', async (name) => {
    await survives(({ log }) => {
      log.info(make(name) as string, make(name));
      log.error(make(name) as string);
    });
  });

  it('refuse invalid names of steps and conditions of waits, with a clear message', async () => {
    const h = harness();
    const errors: unknown[] = [];
    const task = h.a.task('t', async ({ step, waitFor }) => {
      const names: unknown[] = [10n, cyclic(), Symbol('s'), trap(), undefined];
      for (const name of names) errors.push(await rejectionOf(step(name as string, () => 1)));
      const conditions: unknown[] = [
        { type: 'all', of: 5 },
        { type: 'any', of: [{ type: 'all', of: {} }] },
        { type: 'count', n: 1, names: Symbol('s') },
        { type: 'count', n: 0, names: ['a'] },
        { type: 'name', name: 7 },
      ];
      for (const condition of conditions)
        errors.push(await rejectionOf(Promise.resolve().then(() => waitFor(condition as never))));
    });
    await h.worker();
    const result = task.run().result();
    await h.pass(10);
    await result;
    expect(errors).toHaveLength(10);
    for (const error of errors) expect(error).toMatchObject({ code: 'invalid_definition' });
    await h.close();
  });

  it('accept dates of another realm', async () => {
    const h = harness();
    const date = (): Date => vm.runInNewContext('new Date(0)') as Date;
    const task = h.a.task('t', async ({ sleepUntil, resumes }: TaskContext) => {
      if (resumes === 0) return delay(date());
      await sleepUntil(date());
      return 'awake';
    });
    await h.worker();
    const result = task.run(undefined).result();
    await h.pass(100);
    expect(await result).toBe('awake');
    await h.close();
  });

  it('accept a progress of negative zero', async () => {
    const h = harness();
    const task = h.a.task('t', ({ progress }) => progress(-0));
    await h.worker();
    const result = task.run().result();
    await h.pass(10);
    await result;
    await h.close();
  });

  it('refuse an invalid progress', async () => {
    const h = harness();
    const errors: unknown[] = [];
    const task = h.a.task('t', async ({ progress }) => {
      for (const wrong of [-1, 101, NaN, '50', undefined]) errors.push(await rejectionOf(progress(wrong as never)));
      errors.push(await rejectionOf(progress(50, {} as never)));
    });
    await h.worker();
    const result = task.run().result();
    await h.pass(10);
    await result;
    expect(errors).toHaveLength(6);
    for (const error of errors)
      expect(error).toMatchObject({ code: 'invalid_definition', name: 'InvalidDefinitionError' });
    expect((errors[1] as Error).message).toBe('Task "t": progress must be a number from 0 to 100, not 101');
    await h.close();
  });

  it('do not give access to the state of the worker', async () => {
    const h = harness();
    const task = h.a.task('t', ({ fence, tags }) => {
      expect(() => Object.assign(fence, { leaseId: 'x' })).toThrow(TypeError);
      expect(() => Object.assign(tags, { 'team.name': 'x' })).toThrow(TypeError);
    });
    await h.worker();
    const run = await task.run(undefined, { tags: { 'team.name': 'a' } });
    await h.pass(10);
    expect(await run.state()).toBe('completed');
    await h.close();
  });

  it('cause no warning of a leak, however many listeners the signal has', async () => {
    const warnings: string[] = [];
    const listen = (warning: Error): void => void warnings.push(warning.name);
    process.on('warning', listen);
    const h = harness();
    const task = h.a.task('t', async ({ signal }) => {
      for (let n = 0; n < 50; n++) signal.addEventListener('abort', () => undefined);
    });
    await h.worker();
    const result = task.run().result();
    await h.pass(10);
    await result;
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', listen);
    expect(warnings).toEqual([]);
    await h.close();
  });
});
