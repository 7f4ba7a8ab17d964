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
  backoff,
  count,
  embedded,
} from '../../src/index.js';
import { Placer, startTimerLoop, Subscriptions, WorkFinder } from '../../src/engine/index.js';
import { testApp, testEngine } from '../../src/testing/index.js';
import { aclOf, valkey } from '../../src/valkey/index.js';
import { memoryApp, rejectionOf } from './support.js';

let a: App = memoryApp();
afterEach(() => a.close());

const refused = (start: string) =>
  expect.objectContaining({ code: 'invalid_definition', message: expect.stringContaining(start) as string }) as Error;

it('an app requires a backend', () => {
  a = memoryApp();
  for (const options of [undefined, null, {}, { backend: undefined }, { backend: 'valkey://localhost' }]) {
    expect(() => app(options as unknown as AppOptions)).toThrow(refused('An app needs a backend'));
  }
});

it('unknown options are refused by name, with a list of the known ones', async () => {
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
  expect(await rejectionOf(a.worker({ engine: { filter: { nam: 'x' } } } as WorkerOptions))).toMatchObject({
    message: expect.stringContaining('nam: is no option of the filter of app.worker({ engine }); there are namespace,'),
  });
});

it('every call about a run, a budget or a backend refuses unknown options', async () => {
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

it('an unknown option is refused in the name of the call that got it, with the options of this call', async () => {
  a = memoryApp();
  const run = await a.task('t', () => 1).run();
  const budget = a.budget('b', { limits: { tokens: { hard: 1 } } });
  const flow = a.flow('f', (f) => f.run(a.task('u', () => 1)));
  const started = await flow.run(undefined);
  const worker = await a.worker();
  const wrong = { timeOut: '1s' } as never;
  const first = (list: AsyncIterable<unknown>): Promise<unknown> => list[Symbol.asyncIterator]().next();
  const operator = 'the options are reason, requestedBy';
  const calls: Readonly<Record<string, readonly [call: () => unknown, known: string]>> = {
    result: [() => run.result(wrong), 'the options are timeout, signal'],
    cancel: [() => run.cancel(wrong), 'the only option is reason'],
    hold: [() => run.hold(wrong), operator],
    release: [() => run.release(wrong), operator],
    replay: [() => run.replay(wrong), `${operator}, steps`],
    setPriority: [() => run.setPriority(1, wrong), 'the only option is requestedBy'],
    events: [() => run.events(wrong), 'the only option is signal'],
    stream: [() => first(run.stream(wrong)), 'the options are '],
    summary: [() => run.summary(wrong), 'the only option is attempt'],
    signal: [() => run.signal('s', null, wrong), 'the options are '],
    'cancel of a flow': [() => started.cancel(wrong), 'the options are reason, running, wait'],
    bill: [() => budget.bill(wrong), 'the only option is days'],
    report: [() => budget.report({ tokens: 1 }, wrong), 'the only option is key'],
    bills: [() => first(a.bills(wrong)), 'the options are scope'],
    workers: [() => first(a.workers(wrong)), 'the options are '],
    markWorkerDead: [() => a.markWorkerDead(worker.workerInstanceId, wrong), 'the options are '],
    'deadLetters.replay': [() => a.deadLetters.replay({}, wrong), 'the options are dryRun, limit, reason'],
    drain: [() => worker.drain(wrong), 'the only option is timeout'],
    close: [() => a.close(wrong), 'the only option is timeout'],
  };
  for (const [name, [call, known]] of Object.entries(calls)) {
    const told = await outcomeOf(call);
    expect([name, told]).toMatchObject([name, { code: 'invalid_definition' }]);
    expect.soft((told as Error).message).toContain(`${name}: there is no option "timeOut"; ${known}`);
  }
  expect(await outcomeOf(() => run.setPriority(1, { reason: 'not stored' } as never))).toEqual(
    refused('setPriority: there is no option "reason"'),
  );
});

/** What stands in the place of options most often by mistake. */
const NO_OPTIONS: Readonly<Record<string, unknown>> = {
  'a list': [],
  'a Map': new Map([['slots', 5]]),
  'a promise': Promise.resolve({ id: 'x' }),
  'a date': new Date(0),
  'a string': '5s',
  null: null,
};

const outcomeOf = async (call: () => unknown): Promise<unknown> => {
  try {
    return await call();
  } catch (error) {
    return error;
  }
};

it.each(Object.entries(NO_OPTIONS))('%s is refused wherever options are expected', async (_, wrong) => {
  a = memoryApp();
  const options = wrong as never;
  const backend = memory();
  const task = a.task('t', () => 1);
  const run = await task.run();
  const budget = a.budget('b', { limits: { tokens: { hard: 1 } } });
  const flow = a.flow('f', (f) => f.run(task));
  const inApp: Readonly<Record<string, () => unknown>> = {
    task: () => a.task('t1', options, () => 1),
    retry: () => a.task('t2', { retry: options }),
    timeout: () => a.task('t3', { timeout: options }),
    signals: () => a.task('t4', { signals: options }),
    tags: () => task.run(undefined, { tags: options }),
    run: () => task.run(undefined, options),
    runMany: () => task.runMany([undefined], options),
    'the function of runMany': () => task.runMany([undefined], () => options),
    result: () => run.result(options),
    hold: () => run.hold(options),
    release: () => run.release(options),
    replay: () => run.replay(options),
    close: () => a.close(options),
    worker: () => (wrong === null ? a.worker({ engine: options }) : a.worker(options)),
    bill: () => budget.bill(options),
    report: () => budget.report({ tokens: 1 }, options),
    'a run of a flow': () => flow.run(undefined, options),
    markWorkerDead: () => a.markWorkerDead('00000000-0000-4000-a000-000000000001', options),
    testApp: () => testApp(options),
    count: () => count(2, 'vote', options),
    'backoff.exponential': () => backoff.exponential('1s', options),
    // A text is an address, a reason or a path.
    ...(typeof wrong === 'string' ? {} : { cancel: () => run.cancel(options) }),
  };
  for (const [name, call] of Object.entries(inApp))
    expect([name, await outcomeOf(call)]).toMatchObject([name, { code: 'invalid_definition' }]);
  const inEngine: Readonly<Record<string, () => unknown>> = {
    memory: () => memory(options),
    embedded: () => embedded(options),
    aclOf: () => aclOf(options),
    testEngine: () => testEngine(options),
    startTimerLoop: () => startTimerLoop(backend, options),
    WorkFinder: () => WorkFinder.start(backend, options),
    events: () => new Subscriptions(backend).events(options),
    completions: () => new Subscriptions(backend).completions(options),
    snapshot: () => new Subscriptions(backend).snapshot(options),
    ...(typeof wrong === 'string' ? {} : { valkey: () => valkey(options) }),
  };
  for (const [name, call] of Object.entries(inEngine))
    expect([name, await outcomeOf(call)]).toMatchObject([name, { code: 'invalid_input' }]);
});

it('invalid values are refused in terms of their option', async () => {
  a = memoryApp();
  const task = a.task('t', () => 1);
  const worker = await a.worker();
  const cases: [() => unknown, string][] = [
    [() => a.worker({ handleSignals: 'yes' as never }), 'The worker: handleSignals must be true or false, not "yes"'],
    [() => a.worker({ engine: 'x' as never }), 'The worker: engine must be true or false, not "x"'],
    [() => worker.on('finish' as never, () => 1), 'on: the name must be one of claimed, finished, leaseLost,'],
    [() => worker.on('finished', undefined as never), 'on: the listener must be a function, not undefined'],
    [() => worker.on('claimed', undefined as never), 'on: the listener must be a function, not undefined'],
    [() => a.on('complete' as never, () => 1), 'on: the name must be one of completed, failed,'],
    [() => a.on('completed', undefined as never), 'on: the listener must be a function, not undefined'],
    [() => app({ backend: memory(), closeBackend: 1 as never }), 'The app: closeBackend must be true or false, not 1'],
    [
      () => task.run(undefined, { idempotencyKey: '' }),
      'idempotencyKey must be a string without control characters that',
    ],
    [() => a.task('g1', function* () {} as never), 'Task "g1": its handler must not be a generator'],
    [() => a.task('g2').handle(async function* () {} as never), 'Task "g2": its handler must not be a generator'],
    [() => a.deadLetters.replay({}, { dryRun: 'no' as never }), 'dryRun must be true or false, not "no"'],
    [() => a.markWorkerDead('x', { revoke: 1 as never }), 'markWorkerDead: revoke must be true or false, not 1'],
  ];
  for (const [call, message] of cases)
    expect(await rejectionOf(Promise.resolve().then(call))).toEqual(refused(message));
});

it.each([
  [{ prefixes: 'shop:' }, 'prefixes: is no option of aclOf()'],
  [{ cluster: 'no' }, 'cluster: must be true or false'],
  [{ verify: 1 }, 'verify: must be true or false'],
  [{ library: 'x' }, 'library: must be "load", "verify" or "replace"'],
  [{ database: 'x' }, 'database: must be a whole number from 0'],
  [{ user: 5 }, 'user: must be printable and without spaces'],
])('aclOf refuses invalid options: %j', (options, message) => {
  expect(() => aclOf(options as never)).toThrow(message);
});

it.each(Object.entries({ testEngine, startTimerLoop: (options: object) => startTimerLoop(memory(), options) }))(
  '%s refuses unknown options',
  async (_, call) => {
    const wrong = { foo: 1 } as never;
    expect(await rejectionOf(call(wrong) as Promise<unknown>)).toMatchObject({ code: 'invalid_input' });
  },
);

it('a very long option is shortened in the refusal', async () => {
  a = memoryApp();
  const long = { ['x'.repeat(100_000)]: 1 } as never;
  for (const call of [
    () => a.task('t', long, () => 1),
    () => a.close(long),
    () => memory(long),
    () => memory({ partitions: long }),
    () => startTimerLoop(memory(), long),
    async () => (await a.backend()).configureDeployment(long),
  ]) {
    const error = await outcomeOf(call);
    expect(error).toBeInstanceOf(Error);
    expect((error as Error).message.length).toBeLessThan(500);
  }
});

it('functions without options refuse them', () => {
  expect(() => new Subscriptions(memory(), { foo: 1 } as never)).toThrow('clock: must be a clock');
  expect(() => new Placer({ count: 1, placement: 'spread' }, { foo: 1 } as never)).toThrow(
    'random: must be a function',
  );
});
