/** What cannot be meant is refused where it is written, in the words in which it is written, by one class of error. */
import vm from 'node:vm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  app,
  AppError,
  backoff,
  delay,
  InvalidDefinitionError,
  memory,
  type App,
  type AppOptions,
  type RunOptions,
  type WorkerOptions,
} from '../../src/index.js';
import { checkDuration } from '../../src/shared/checks.js';
import { memoryApp, rejectionOf } from './support.js';

let a: App;
beforeEach(() => (a = memoryApp()));
afterEach(() => a.close());

function errorOf(fn: () => unknown): unknown {
  try {
    fn();
  } catch (error) {
    return error;
  }
  throw new Error('expected an error');
}

/** One class, its code, a hint (with this in it), and a message that starts with the user's words. */
function expectMistake(error: unknown, start: string, hasHint = ''): void {
  expect(error).toBeInstanceOf(InvalidDefinitionError);
  expect(error).toBeInstanceOf(AppError);
  const { code, hint, message, name } = error as InvalidDefinitionError;
  expect([code, name]).toEqual(['invalid_definition', 'InvalidDefinitionError']);
  expect(hint).not.toBe('');
  expect(hint).toContain(hasHint);
  expect(message.slice(0, start.length)).toBe(start);
}

const wrongTasks: [string, unknown, string][] = [
  [
    'charge',
    { retry: { failures: -1 } },
    'Task "charge": retry.failures must be a whole number from 0 to 1000, not -1',
  ],
  ['charge', { retry: { failures: 1.5 } }, 'Task "charge": retry.failures must be'],
  [
    'charge',
    { retry: { failures: '3' } },
    'Task "charge": retry.failures must be a whole number from 0 to 1000, not "3"',
  ],
  ['charge', { retry: { crashes: -1 } }, 'Task "charge": retry.crashes must be'],
  ['charge', { retry: { backoff: '1s' } }, 'Task "charge": retry.backoff must be made by backoff.fixed(...) or'],
  ['charge', { retry: { backoff: { type: 'linear' } } }, 'Task "charge": retry.backoff must be'],
  ['charge', { needs: 'gpu' }, 'Task "charge": needs must be a list, like ["gpu"], not "gpu"'],
  ['charge', { needs: ['a b'] }, 'Task "charge": needs[0] must be a non-empty token'],
  ['charge', { needs: ['a,b'] }, 'Task "charge": needs[0] must be a non-empty token'],
  ['charge', { priority: 9_001 }, 'Task "charge": priority must be a whole number from 0 to 9000, not 9001'],
  ['charge', { priority: -1 }, 'Task "charge": priority must be'],
  ['charge', { priority: 'high' }, 'Task "charge": priority must be a whole number from 0 to 9000, not "high"'],
  ['charge', { input: { type: 'object' } }, 'Task "charge": input must be a schema (zod, valibot, arktype'],
  ['charge', { input: null }, 'Task "charge": input must be a schema'],
  ['charge', { output: 'text' }, 'Task "charge": output must be a schema'],
  ['charge', { timeout: { attempt: 0 } }, 'Task "charge": timeout.attempt must be at least 1 ms, not 0'],
  ['charge', { timeout: { total: '5 parsecs' } }, 'Task "charge": timeout.total must be a duration'],
  ['charge', { retention: '-1d' }, 'Task "charge": retention must be a duration'],
  ['charge', { retention: '4000d' }, 'Task "charge": retention must be at most 3650 days'],
  ['charge', { lane: '' }, 'Task "charge": lane must be the name of a lane'],
  ['charge', { lane: 5 }, 'Task "charge": lane must be the name of a lane'],
  ['charge', { lane: 'x'.repeat(65) }, 'Task "charge": lane may have 64 bytes at most, and has 65'],
  ['charge', { lane: ':'.repeat(22) }, 'Task "charge": lane may have 64 bytes at most, and has 66'],
  ['x'.repeat(65), {}, `Task "${'x'.repeat(59)}…: its name, which is its lane, may have 64 bytes at most`],
  ['', {}, 'A task needs a name'],
  ['a\nb', {}, 'A task needs a name'],
];

describe('a task', () => {
  it.each(wrongTasks)('%s with %j is refused', (name, options, start) => {
    expectMistake(
      errorOf(() => a.task(name, options as never, () => 1)),
      start,
    );
    // Nothing is left of it: the name is free.
    if (name === 'charge') expect(a.task(name, () => 1).name).toBe('charge');
  });

  it('without a name, or with a handler that is not a function, is refused', () => {
    for (const name of [undefined, null, 5, {}])
      expectMistake(
        errorOf(() => a.task(name as never)),
        'A task needs a name',
      );
    expectMistake(
      errorOf(() => a.task('t', {}, 5 as never)),
      'Task "t": its handler must be a function',
    );
    expectMistake(
      errorOf(() => a.task('t', {}, undefined as never)),
      'Task "t" has no handler',
    );
    expectMistake(
      errorOf(() => a.task('t', (() => 1) as never, {} as never)),
      'Task "t": got a function: options come before the handler',
    );
  });

  it('treats an undefined option as absent', async () => {
    const task = a.task(
      'all',
      {
        input: undefined,
        output: undefined,
        lane: undefined,
        needs: undefined,
        retry: undefined,
        timeout: undefined,
        priority: undefined,
        retention: undefined,
      },
      () => 1,
    );
    await a.worker({ tasks: undefined, lanes: undefined, engine: undefined, capabilities: undefined });
    expect(await task.run(undefined, { id: undefined, tags: undefined, delay: undefined }).result()).toBe(1);
  });
});

describe('a backoff', () => {
  it.each([
    [() => backoff.exponential('1s', { maximum: '5m' } as never), 'backoff.exponential: there is no option "maximum"'],
    [() => backoff.exponential('1s', { factor: 0.5 }), 'backoff.exponential: factor must be a number from 1 to 100'],
    [() => backoff.exponential('1s', { factor: NaN }), 'backoff.exponential: factor must be a number from 1 to 100'],
    [() => backoff.exponential('1s', { jitter: 1 as never }), 'backoff.exponential: jitter must be true or false'],
    [() => backoff.exponential('10m', { max: '5m' }), 'backoff.exponential: max must not be shorter'],
    [() => backoff.exponential('31d'), 'backoff.exponential: the first delay must be at most 30 days'],
    [() => backoff.fixed('soon' as never), 'backoff.fixed: the delay must be a duration'],
    [() => backoff.fixed(undefined as never), 'undefined is no duration'],
  ])('%s is refused', (make, start) => expectMistake(errorOf(make), start));
});

const wrongRuns: [RunOptions, string][] = [
  [{ id: '' }, 'Run of task "t": id must be a string without control characters that is not empty, not ""'],
  [{ id: 5 as never }, 'Run of task "t": id must be a string without control characters'],
  [{ id: 'a\0' }, 'Run of task "t": id must be a string without control characters that is not empty, not "a\\u0000"'],
  [{ id: 'x'.repeat(300) }, 'Run of task "t": its id may have 249 bytes at most, and has 300'],
  [{ id: 'a', idempotencyKey: 'b' }, 'Run of task "t": give an id or an idempotencyKey, not both'],
  [{ idempotencyKey: 5 as never }, 'Run of task "t": idempotencyKey must be a string'],
  [
    { idempotencyKey: '\ud800' },
    'Run of task "t": idempotencyKey must be a string without control characters that is not empty, not',
  ],
  [{ idempotencyWindow: 0 }, 'Run of task "t": idempotencyWindow must be at least 1 ms'],
  [{ delay: '5 s' }, 'Run of task "t": delay must be a duration'],
  [{ priority: 10_000 }, 'Run of task "t": priority must be a whole number from 0 to 9000, not 10000'],
  [{ priority: 'high' as never }, 'Run of task "t": priority must be'],
  [{ tags: { 'a.b': 5 as never } }, 'Run of task "t": tags["a.b"] must be a string, not 5'],
  [{ tags: ['a.b'] as never }, 'Run of task "t": tags must be an object of texts'],
  [{ tags: { 'flowfabric.id': 'x' } }, 'Run of task "t": tags that begin with "flowfabric." are'],
  [
    { deadline: new Date(NaN) },
    'Run of task "t": deadline must be a duration, a valid Date, or a time in ms since the epoch, not an invalid Date',
  ],
  [{ delay: new Date(NaN) }, 'Run of task "t": delay must be a duration or a valid Date, not an invalid Date'],
  [{ delay: -5 }, 'Run of task "t": delay must be at least 0 ms, not -5'],
  [{ deadline: 1e308 }, 'Run of task "t": deadline must be a duration, a valid Date, or a time in ms since the epoch'],
  [{ deadline: '4000d' }, 'Run of task "t": deadline must be at most 3650 days'],
];

describe('a run', () => {
  it.each(wrongRuns)('with %j is refused, one or many, and nothing is stored', async (options, start) => {
    const task = a.task('t', () => 1);
    expectMistake(await rejectionOf(task.run(undefined, options)), start);
    expectMistake(await rejectionOf(task.runMany([undefined], options)), start);
    const backend = await a.backend();
    expect((await backend.listExecutions({ partition: '{fp:0}' })).executions).toEqual([]);
  });

  it('accepts negative zero as zero', async () => {
    const task = a.task('t', { priority: -0, retention: -0, retry: { failures: -0, crashes: -0 } }, () => 1);
    expect(await task.run(undefined, { priority: -0, delay: -0 }).info()).toMatchObject({ priority: 0 });
    const budget = a.budget('b', { limits: { usd: { hard: 5, soft: -0 } }, resetEvery: -0 });
    const { softLimits, resetIntervalMs } = await budget.status();
    expect([softLimits, resetIntervalMs]).toEqual([{}, 0]);
  });

  it('accepts a deadline given as a time in ms', async () => {
    const task = a.task('t', () => 1);
    const at = Date.now() + 60_000;
    expect(await task.run(undefined, { deadline: at }).info()).toMatchObject({
      execution: { executionDeadlineAt: at },
    });
    for (const date of [new Date(at), vm.runInNewContext('new Date(at)', { at }) as Date])
      expect(await task.run(undefined, { deadline: date }).info()).toMatchObject({
        execution: { executionDeadlineAt: at },
      });
  });

  it('whose input cannot be serialised is refused, and the error names the task and quotes no data', async () => {
    const task = a.task('t', { input: z.unknown() }, () => 1);
    const cyclic: Record<string, unknown> = { secret: 'hunter2' };
    cyclic['self'] = cyclic;
    const gone = new Uint8Array(8);
    structuredClone(gone, { transfer: [gone.buffer] });
    for (const input of [10n, () => 1, cyclic, new Uint8Array(9 * 1024 * 1024), gone]) {
      const error = (await rejectionOf(task.run(input))) as Error;
      expect(error).toMatchObject({ code: 'invalid_task_input', name: 'InvalidInputError', task: 't' });
      expect(error.message).toMatch(/^Input of task "t": /);
      expect(error.cause).toBeUndefined();
      expect(error.message).not.toContain('hunter2');
    }
  });

  it('refuses a timeout that is not a duration and a reason that is not a text', async () => {
    const run = await a.task('t', () => 1).run();
    expectMistake(
      await rejectionOf(run.result({ timeout: '1 minute' as never })),
      'result: timeout must be a duration',
    );
    expectMistake(
      await rejectionOf(run.cancel({ reason: {} } as never)),
      'cancel: the reason must be a string, not an object',
    );
    for (const given of [5, null])
      expectMistake(await rejectionOf(run.cancel(given as never)), 'cancel: the options must be an object');
    expectMistake(await rejectionOf(run.cancel({ why: 'x' } as never)), 'cancel: there is no option "why"');
    expect(await run.state()).toBe('waiting');
  });

  it('refuses invalid signals, priorities and lists at once', async () => {
    const task = a.task('t', () => 1);
    const run = await task.run();
    const worker = await a.worker();
    const nightly = a.flow('nightly', (f) => f.run(task, undefined as never));
    const calls: [() => PromiseLike<unknown>, message: string, hint?: string][] = [
      [() => run.result({ signal: '' as never }), 'result: signal must be the signal of an AbortController, not ""'],
      [() => task.run().result({ signal: {} as never }), 'result: signal must be the signal of an AbortController'],
      [async () => run.events({ signal: 5 as never }), 'events: signal must be the signal of an AbortController'],
      [() => a.deadLetters.replay({}, { signal: 5 as never }), 'deadLetters.replay: signal must be the signal of'],
      [() => run.hold({ reason: 5 as never }), 'hold: the reason must be a string, not 5'],
      [
        () => (run.cancel as (...args: unknown[]) => Promise<boolean>).call(run, 'x', { requestedBy: 'ann' }),
        'cancel takes one argument: the reason, or options',
      ],
      [() => a.get('my-id').state(), 'app.get: the id must be an execution id, like "{fp:0}:<uuid>", not "my-id"'],
      [() => a.get({ id: 'my-id' } as never).state(), 'app.get: the id must be an execution id'],
      [
        () => task.get({} as never).state(),
        'Run of task "t": id must be a string without control',
        "or your own: `{ id: 'my-id' }`",
      ],
      [
        () => task.run(undefined, { id: '' }),
        'Run of task "t": id must be a string without control',
        'Leave the id out',
      ],
      [() => task.get('my-id').state(), 'Run of task "t": the id must be an execution id, like "{fp:0}:<uuid>"'],
      [
        () => nightly.get('x').state(),
        'Run of flow "nightly": the id must be the id of a flow, like "{fp:0}:<uuid>", not "x"',
      ],
      [() => run.setPriority(-1), 'setPriority: the priority must be a whole number from 0 to 9000, not -1'],
      [() => run.setTags(undefined as never), 'setTags: tags must be an object of texts'],
      [() => run.setTags(new (class Team {})() as never), 'setTags: tags must be a plain object, not an object'],
      [() => run.replay({ steps: 'all' as never }), 'replay: steps must be "keep" or "discard"'],
      [() => task.runMany('ab' as never), 'runMany of task "t": the inputs must be a list'],
      [() => task.runMany(undefined as never), 'runMany of task "t": the inputs must be a list, not undefined'],
      [() => a.quotas.of(undefined as never), 'What was given is not a task'],
      [async () => a.budget('b', { resetEvery: 'daily' as never }), 'app.budget("b"): resetEvery must be a duration'],
      [
        async () => a.budget(''),
        'app.budget(): the name must be 1 to 512 bytes of well-formed text without control characters, not ""',
      ],
      [async () => a.budget('\ud800'), 'app.budget(): the name must be'],
      [async () => a.budget('b', { limits: { 'a b': {} } }), 'app.budget("b"): limits: the key "a b" must begin with'],
      [
        async () => a.budget('b', { limits: { usd: { hard: NaN } } }),
        'app.budget("b"): limits.usd.hard must be a number, not NaN',
      ],
      [() => a.budget('b').setLimits({ usd: { soft: -1 } }), 'setLimits: limits.usd.soft must be an integer'],
      [async () => a.budget('b', { enforcement: 'soft' as never }), 'app.budget("b"): enforcement must be "strict" or'],
      [async () => worker.drain({ timeout: 'soon' as never }), 'drain: timeout must be a duration'],
      [async () => worker.drain({ timeOut: '1s' } as never), 'drain: there is no option "timeOut"'],
      [
        () => a.signals.rotateKey({ kid: 'k', secret: new Uint8Array(32), grace: {} as never }),
        'rotateKey: grace must',
      ],
      [
        () => a.signals.rotateKey({ kid: 'a:b', secret: new Uint8Array(32) }),
        'rotateKey: kid must be 1 to 64 printable',
      ],
      [
        () => a.signals.rotateKey({ kid: 'k', secret: 'hush' as never }),
        'rotateKey: secret must be a Uint8Array of 32',
      ],
      [() => run.approve('x', { by: 'a\0' }), 'approve: by must be 1 to 256 bytes of well-formed text without'],
      [() => run.signal('x', 1, { from: 5 as never }), 'signal: from must be a string, not 5'],
      [async () => delay('36500d'), 'delay: the time must be at most 3650 days, not "36500d"'],
      [async () => delay(undefined as never), 'delay: the time must be a duration or a date, not undefined'],
      [async () => delay({} as never), 'delay: the time must be a duration, in milliseconds or like'],
      [() => a.close({ timeout: {} as never }), 'close: timeout must be a duration, in milliseconds or like'],
      [
        () => a.flow('f', (f) => f.run(task, f.any(undefined as never))).run(),
        'Flow "f", any: the nodes must be a list',
      ],
      [
        () => a.flow('g', (f) => ({ n: f.run(task, undefined), big: 1n })).run(),
        'Run of flow "g": the value that its builder returns',
      ],
    ];
    const startedAt = performance.now();
    for (const [call, start, hint] of calls) expectMistake(await rejectionOf(call()), start, hint);
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });

  it('whose signal is already aborted is not awaited, not even until the backend is open', async () => {
    const away = app({ backend: new Promise<never>(() => undefined) });
    const signal = AbortSignal.abort(new Error('enough'));
    expect(await rejectionOf(away.get('{fp:0}:0').result({ signal }))).toEqual(new Error('enough'));
    await away.close();
  });

  it('can be cancelled with a reason that is too long: the reason is cut and marked', async () => {
    const run = await a.task('t', () => 1).run();
    expect(await run.cancel('ä'.repeat(5_000))).toBe(true);
    const { reason } = (await rejectionOf(run.result())) as { reason: string };
    expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(4_096);
    expect(reason).toMatch(/^ä+…$/);
  });
});

describe('a worker', () => {
  it.each<[WorkerOptions, string]>([
    [{ lanes: 'mail' as never }, 'The worker: lanes must be a list, like ["mail"], not "mail"'],
    [{ lanes: [''] }, 'The worker: lanes must be the name of a lane'],
    [{ capabilities: 'gpu' as never }, 'The worker: capabilities must be a list'],
    [{ capabilities: ['a b'] }, 'The worker: capabilities[0] must be a non-empty'],
    [{ tasks: 't' as never }, 'The worker: tasks must be a list'],
    [{ tasks: [{ name: 'u', lane: 'u' }] }, 'Task "u" is not a task of this app'],
    [{ tasks: [undefined as never] }, 'The worker: tasks[0] must be a task, not undefined'],
    [{ tasks: ['nope' as never] }, 'The worker: tasks[0] must be a task, not "nope"'],
    [{ drainTimeout: 'soon' as never }, 'The worker: drainTimeout must be a duration'],
    [{ sweepInterval: 0 }, 'The worker: sweepInterval must be at least 1 ms'],
    [{ leaseTtl: '10ms' }, 'The worker: leaseTtl must be at least 1000 ms, not "10ms"'],
    [{ leaseTtl: '10s', leaseTtlMs: 10_000 }, 'The worker: give leaseTtl or leaseTtlMs, not both'],
    [{ slots: 0 }, 'Worker option slots must be'],
    [{ slots: {} as never }, 'Worker option slots must be a whole number from 1 to 10000, not an object'],
    [{ onUnhandled: Symbol('x') as never }, "Worker option onUnhandled must be 'leave' or 'fail', not a symbol"],
  ])('with %j is refused', async (options, start) => {
    a.task('t', () => 1);
    expectMistake(await rejectionOf(a.worker(options)), start);
  });
});

describe('an app', () => {
  it.each<[Partial<AppOptions>, string]>([
    [{ connect: 'later' as never }, 'The app: connect must be "wait" or "fail", not "later"'],
    [{ namespace: '' }, 'The app: namespace must be'],
    [{ namespace: 'a:b' }, 'The app: namespace must be'],
    [{ creatorIdentity: '' }, 'The app: creatorIdentity must be'],
    [{ log: {} as never }, 'The app: log must be a logger with debug, info, warn and error'],
    [{ log: null as never }, 'The app: log must be a logger'],
    [{ ids: 'uuid' as never }, 'The app: ids must be a function that mints UUIDs, not "uuid"'],
    [{ clock: {} as never }, 'The app: clock must be a clock'],
  ])('with %j is refused', (options, start) => {
    expectMistake(
      errorOf(() => app({ backend: memory(), ...options })),
      start,
    );
  });

  it('gives the same refusal for a value that cannot be inspected', () => {
    const { proxy: namespace, revoke } = Proxy.revocable({}, {});
    revoke();
    expectMistake(
      errorOf(() => app({ backend: memory(), namespace: namespace as never })),
      'The app: namespace must be a string, not an object',
    );
  });
});

it('a duration above its limit is told the limit, also one below a day', () => {
  const refused = (value: string, maxMs: number): void => checkDuration('here', 'ttl', value, 0, maxMs);
  expect(() => refused('2h', 3_600_000)).toThrow('here: ttl must be at most 3600000 ms, not "2h"');
  expect(() => refused('2d', 86_400_000)).toThrow('here: ttl must be at most 1 day, not "2d"');
});
