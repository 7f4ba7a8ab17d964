/** What a caller in JavaScript, or with options from a file, can get wrong. */
import { afterEach, expect, it } from 'vitest';
import {
  app,
  memory,
  InvalidDefinitionError,
  type App,
  type AppOptions,
  type RunOptions,
  type TaskSettings,
  type WorkerOptions,
  count,
  embedded,
} from '../../src/index.js';
import { memoryApp, rejectionOf } from './support.js';

let a: App = memoryApp();
afterEach(() => a.close());

const refused = (start: string) =>
  expect.objectContaining({ code: 'invalid_definition', message: expect.stringContaining(start) as string }) as Error;

it('an app says that it needs a backend', () => {
  a = memoryApp();
  for (const options of [undefined, null, {}, { backend: undefined }, { backend: 'valkey://localhost' }]) {
    expect(() => app(options as unknown as AppOptions)).toThrow(refused('An app needs a backend'));
  }
});

it('unknown options are refused by name, and the known ones are named', async () => {
  a = memoryApp();
  expect(() => app({ backend: memory(), logger: console } as AppOptions)).toThrow(
    refused('The app: there is no option "logger"; the options are backend, namespace, log,'),
  );
  const define = (options: unknown) => () => a.task('t', options as TaskSettings, () => 1);
  expect(define({ retries: 3 })).toThrow(
    refused('Task "t": there is no option "retries"; the options are input, output, lane,'),
  );
  expect(define({ retry: { attempts: 3 } })).toThrow(
    refused('Task "t", retry: there is no option "attempts"; the options are failures, crashes, backoff'),
  );
  expect(define({ timeout: { run: '1s' } })).toThrow(
    refused('Task "t", timeout: there is no option "run"; the options are attempt, total'),
  );
  expect(define({ retry: 3 })).toThrow(refused('Task "t", retry: the options must be an object'));
  expect(define(null)).toThrow(refused('Task "t": the options must be an object'));
  const task = a.task('t', { retry: { failures: 1 }, timeout: { total: '1m' } }, () => 1);
  const options = { dealy: '1s' } as RunOptions;
  const message = 'Run of task "t": there is no option "dealy"; the options are id, idempotencyKey,';
  expect(await rejectionOf(task.run(undefined, options))).toEqual(refused(message));
  expect(await rejectionOf(task.runMany([undefined], () => options))).toEqual(refused(message));
  expect(await rejectionOf(a.worker({ concurrency: 5 } as WorkerOptions))).toEqual(
    refused('The worker: there is no option "concurrency"; the options are tasks, lanes,'),
  );
  expect(await rejectionOf(a.worker({ engine: { interval: 5 } } as WorkerOptions))).toBeInstanceOf(
    InvalidDefinitionError,
  );
});

it('options of everything that is asked of a run, a budget or a backend are known or refused', async () => {
  a = memoryApp();
  const run = await a.task('t', () => 1).run();
  const budget = a.budget('b', { limits: { tokens: { hard: 1 } } });
  const wrong = { timeOut: '1s' } as never;
  const start = 'there is no option "timeOut"';
  for (const call of [
    () => run.result(wrong),
    () =>
      a
        .task('u', () => 1)
        .run()
        .result(wrong),
    () => run.hold(wrong),
    () => run.release(wrong),
    () => run.replay(wrong),
    async () => run.events(wrong),
    () => budget.bill(wrong),
    () => budget.report({ tokens: 1 }, wrong),
    () => a.close(wrong),
    async () => count(2, 'vote', wrong),
  ])
    expect((await rejectionOf(call())) as Error).toMatchObject({
      code: 'invalid_definition',
      message: expect.stringContaining(start) as string,
    });
  for (const call of [
    async () => memory(wrong),
    async () => memory('valkey://localhost' as never),
    async () => memory(null as never),
    async () => memory({ partitions: { counts: 4 } as never }),
    async () => memory({ partitions: 4 as never }),
    () => embedded({ path: '/nowhere', sync: 'always' } as never),
    () => embedded(undefined as never),
  ])
    expect((await rejectionOf(call())) as Error).toMatchObject({ code: 'invalid_input' });
});
