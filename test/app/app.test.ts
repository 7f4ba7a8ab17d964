import { afterEach, describe, expect, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import {
  app,
  backoff,
  child,
  memory,
  EngineError,
  InvalidDefinitionError,
  InvalidInputError,
  NonRetryableError,
  ResultTimeoutError,
  RetryableError,
  RunCancelledError,
  RunExpiredError,
  RunFailedError,
  RunNotFoundError,
  TaskAbort,
  type App,
  type Backend,
  type TaskContext,
} from '../../src/index.js';
import { testApp } from '../../src/testing/index.js';
import { VirtualClock } from '../../src/testing/virtual-clock.js';
import { deferred, memoryApp, pause, rejectionOf, until } from './support.js';

let a: App;
afterEach(async () => {
  await a.close();
});

/** Calls of the backend by name, and the commands of its batches. */
function counted(backend: Backend): { backend: Backend; calls: Map<string, number>; batches: number[] } {
  const calls = new Map<string, number>();
  const batches: number[] = [];
  const proxy = new Proxy(backend, {
    get(target, property, receiver) {
      const value: unknown = Reflect.get(target, property, receiver);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        calls.set(String(property), (calls.get(String(property)) ?? 0) + 1);
        if (property === 'execute') batches.push((args[0] as unknown[]).length);
        return (value as (...args: unknown[]) => unknown)(...args);
      };
    },
  });
  return { backend: proxy, calls, batches };
}

describe('a task', () => {
  it('gives the typed value of its handler', async () => {
    a = memoryApp();
    const charge = a.task(
      'charge',
      { input: z.object({ order: z.string(), cents: z.int() }), output: z.object({ receipt: z.string() }) },
      ({ input }) => ({ receipt: `${input.order}:${input.cents}` }),
    );
    await a.worker();
    const run = charge.run({ order: 'o1', cents: 5 });
    const out = await run.result();
    expectTypeOf(out).toEqualTypeOf<{ receipt: string }>();
    expectTypeOf(charge.run).parameter(0).toEqualTypeOf<{ order: string; cents: number }>();
    expect(out).toEqual({ receipt: 'o1:5' });
    expect(await run.state()).toBe('completed');
    expect(await run.info()).toMatchObject({
      task: 'charge',
      lane: 'charge',
      attempts: 1,
      execution: { namespace: 'default', executionKind: 'charge' },
    });
  });

  it('takes its types from the handler when there is no schema', async () => {
    a = memoryApp();
    const double = a.task('double', ({ input }: TaskContext<number>) => input * 2);
    const nothing = a.task('nothing', () => undefined);
    await a.worker();
    expectTypeOf(await double.run(21).result()).toEqualTypeOf<number>();
    expect(await double.run(21).result()).toBe(42);
    expect(await nothing.run().result()).toBeUndefined();
  });

  it('applies the schema once, at the worker, and accepts the type that producers pass', async () => {
    a = memoryApp();
    const later = a.task(
      'later',
      { input: z.object({ at: z.string().transform((text) => text.length), unit: z.string().default('ms') }) },
      ({ input }) => {
        expectTypeOf(input).toEqualTypeOf<{ at: number; unit: string }>();
        return [input.at, input.unit];
      },
    );
    await a.worker();
    expect(await later.run({ at: 'four' }).result()).toEqual([4, 'ms']);
  });

  it('carries bytes as bytes', async () => {
    a = memoryApp();
    const flip = a.task('flip', ({ input }: TaskContext<Uint8Array>) => input.map((byte) => byte ^ 0xff));
    await a.worker();
    expect([...(await flip.run(new Uint8Array([0, 255, 0x7b])).result())]).toEqual([255, 0, 0x84]);
  });

  it('refuses an input that does not match its schema before anything is stored', async () => {
    const backend = memory();
    a = app({ backend });
    const charge = a.task('charge', { input: z.object({ cents: z.int() }) }, () => 1);
    const error = await rejectionOf(charge.run({ cents: 0.5 }).result());
    expect(error).toBeInstanceOf(InvalidInputError);
    expect(error).toMatchObject({ code: 'invalid_task_input', task: 'charge' });
    expect((error as Error).message).toContain('cents');
    expect((await backend.listExecutions({ partition: '{fp:0}' })).executions).toEqual([]);
  });

  it('fails for good when another producer sent an input that its schema refuses', async () => {
    const backend = memory();
    const producer = app({ backend, closeBackend: false });
    const run = await producer.task('charge', ({ input }: TaskContext<string>) => input).run('no object');
    a = app({ backend });
    const charge = a.task('charge', { input: z.object({ cents: z.int() }), retry: { failures: 5 } }, () => 1);
    await a.worker();
    const error = await rejectionOf(charge.get(run.id).result());
    expect(error).toMatchObject({ code: 'run_failed', category: 'invalid_input_payload' });
    expect(await charge.get(run.id).info()).toMatchObject({ attempts: 1 });
    await producer.close();
  });

  it('fails for good when its result does not match its schema, is not JSON or is too large', async () => {
    a = memoryApp();
    const wrong = a.task('wrong', { output: z.string() }, () => 5 as unknown as string);
    const cyclic = a.task('cyclic', () => {
      const self: Record<string, unknown> = {};
      self['self'] = self;
      return self;
    });
    const large = a.task('large', () => new Uint8Array(9 * 1024 * 1024));
    await a.worker({ slots: 3 });
    for (const task of [wrong, cyclic, large]) {
      expect(await rejectionOf(task.run(undefined).result())).toMatchObject({
        code: 'run_failed',
        category: 'invalid_result',
        // What to do about it; a schema says everything itself.
        details:
          task === wrong ? '' : (expect.stringContaining('\nHint: A value is anything that JSON can hold') as string),
      });
    }
  });

  it('cannot be defined twice', () => {
    a = memoryApp();
    a.task('same', () => 1);
    expect(() => a.task('same', () => 2)).toThrow(InvalidDefinitionError);
  });
});

describe('failures', () => {
  it('are retried as the policy says, and then end the run with the reason', async () => {
    a = memoryApp();
    const attempts: number[] = [];
    const flaky = a.task('flaky', { retry: { failures: 2, backoff: backoff.fixed(1) } }, ({ attempt }) => {
      attempts.push(attempt);
      throw new Error(`try ${attempt}`, { cause: new Error('socket hang up') });
    });
    await a.worker();
    const error = await rejectionOf(flaky.run().result());
    expect(attempts).toEqual([1, 2, 3]);
    expect(error).toBeInstanceOf(RunFailedError);
    expect(error).toMatchObject({ code: 'run_failed', category: 'handler_error', reason: 'try 3: socket hang up' });
  });

  it('are not retried without a policy, nor after a NonRetryableError', async () => {
    a = memoryApp();
    let once = 0;
    let never = 0;
    const plain = a.task('plain', () => {
      once++;
      throw new Error('no');
    });
    const hopeless = a.task('hopeless', { retry: { failures: 9, backoff: backoff.fixed(1) } }, () => {
      never++;
      throw new NonRetryableError('never', { category: 'declined' });
    });
    await a.worker();
    await rejectionOf(plain.run().result());
    expect(await rejectionOf(hopeless.run().result())).toMatchObject({ category: 'declined', reason: 'never' });
    expect([once, never]).toEqual([1, 1]);
  });

  it('set the time of the next attempt with a RetryableError', async () => {
    a = memoryApp();
    const times: number[] = [];
    const polite = a.task('polite', { retry: { failures: 1, backoff: backoff.fixed('1h') } }, () => {
      times.push(Date.now());
      if (times.length === 1) throw new RetryableError('busy', { retryAfter: '60ms' });
      return 'done';
    });
    await a.worker();
    expect(await polite.run().result()).toBe('done');
    expect((times[1] as number) - (times[0] as number)).toBeGreaterThanOrEqual(60);
  });

  it('have a reason within its size limit whatever value was thrown', async () => {
    a = memoryApp();
    const long = a.task('long', () => {
      throw new Error('ä'.repeat(10_000));
    });
    const odd = a.task('odd', () => {
      throw { toString: 1 };
    });
    await a.worker();
    const error = (await rejectionOf(long.run(undefined).result())) as RunFailedError;
    expect(Buffer.byteLength(error.reason)).toBeLessThanOrEqual(4_096);
    expect(error.reason.endsWith('…')).toBe(true);
    expect(await rejectionOf(odd.run(undefined).result())).toMatchObject({ reason: '{"toString":1}' });
  });

  it('by an attempt timeout abort the handler, and are retried', async () => {
    a = memoryApp();
    const reasons: unknown[] = [];
    const slow = a.task(
      'slow',
      { timeout: { attempt: 60 }, retry: { failures: 1, backoff: backoff.fixed(1) } },
      async ({ signal, attempt }) => {
        if (attempt === 2) return 'second';
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        reasons.push(signal.reason);
        throw signal.reason;
      },
    );
    await a.worker();
    expect(await slow.run().result()).toBe('second');
    expect(reasons[0]).toBeInstanceOf(TaskAbort);
    expect(reasons[0]).toMatchObject({ code: 'attempt_timeout' });
  });
});

describe('a run', () => {
  it('with the id of an earlier run is that run, with its result', async () => {
    a = memoryApp({}, { partitions: { count: 8 } });
    let runs = 0;
    const pay = a.task('pay', () => ++runs);
    const refund = a.task('refund', () => 'other');
    await a.worker();
    const first = await pay.run(undefined, { id: 'o1' });
    expect(first.deduplicated).toBe(false);
    expect(await first.result()).toBe(1);
    const again = pay.run(undefined, { id: 'o1' });
    expect(await again.deduplicated).toBe(true);
    expect(await again.id).toBe(first.id);
    expect(await again.result()).toBe(1);
    expect(await refund.run(undefined, { id: 'o1' }).result()).toBe('other');
    const keyed = await refund.run(undefined, { idempotencyKey: 'k' });
    expect(await pay.run(undefined, { idempotencyKey: 'k' }).id).toBe(keyed.id);
    expect(await rejectionOf(pay.run(undefined, { idempotencyKey: 'k', id: 'k' }))).toBeInstanceOf(
      InvalidDefinitionError,
    );
  });

  it('has an id or a key that cannot be confused with those of another task', async () => {
    a = memoryApp();
    const define = (name: string) => a.task(name, () => name);
    const [short, long, prefix] = [define('a'), define('a/b'), define('id:1:a')] as const;
    const runs = await Promise.all([
      short.run(undefined, { id: 'b/c' }),
      long.run(undefined, { id: 'c' }),
      short.run(undefined, { idempotencyKey: 'a/b/c' }),
      short.run(undefined, { id: 'b' }),
      short.run(undefined, { idempotencyKey: 'id:1:a:b' }),
      short.run(undefined, { idempotencyKey: 'a/b' }),
      prefix.run(undefined, { id: 'b' }),
    ]);
    expect(runs.map(({ deduplicated }) => deduplicated)).toEqual(runs.map(() => false));
    expect(new Set(runs.map(({ id }) => id)).size).toBe(runs.length);
    expect((await short.run(undefined, { id: 'x'.repeat(249) })).deduplicated).toBe(false);
    expect(await rejectionOf(short.run(undefined, { id: 'x'.repeat(250) }))).toMatchObject({
      code: 'invalid_definition',
      message: 'Run of task "a": its id may have 249 bytes at most, and has 250',
    });
    expect(await rejectionOf(short.run(undefined, { idempotencyKey: 'ä'.repeat(127) }))).toMatchObject({
      code: 'invalid_definition',
    });
  });

  it('whose creation is repeated after a lost answer does not count as a duplicate', async () => {
    const inner = memory();
    let lost = 0;
    const backend = Object.assign(Object.create(inner) as Backend, {
      createExecution: async (args: Parameters<Backend['createExecution']>[0]) => {
        const outcome = await inner.createExecution(args);
        if (lost++ === 0) throw new EngineError('transport_failed', 'gone.');
        return outcome;
      },
    });
    a = app({ backend });
    const task = a.task('t', () => 1);
    const run = await task.run();
    expect(run.deduplicated).toBe(false);
    expect(lost).toBe(2);
  });

  it('can be cancelled while it waits, and its result rejects with the reason', async () => {
    a = memoryApp();
    const task = a.task('t', () => 1);
    const run = await task.run();
    expect(await run.cancel('changed mind')).toBe(true);
    const error = await rejectionOf(run.result());
    expect(error).toBeInstanceOf(RunCancelledError);
    expect(error).toMatchObject({ reason: 'changed mind' });
    expect(await run.cancel()).toBe(true);
    expect(await run.state()).toBe('cancelled');
  });

  it('cannot be cancelled after its end', async () => {
    a = memoryApp();
    const task = a.task('t', () => 1);
    await a.worker();
    const run = task.run();
    await run.result();
    expect(await run.cancel()).toBe(false);
  });

  it('aborts the signal of its running handler as soon as it is cancelled', async () => {
    a = memoryApp();
    const started = deferred();
    const heard = deferred<unknown>();
    const task = a.task('t', async ({ signal }) => {
      started.resolve();
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      heard.resolve(signal.reason);
      throw new Error('ignored: an aborted handler does not fail');
    });
    const worker = await a.worker();
    const run = task.run();
    await started.promise;
    expect(await run.cancel('stop')).toBe(true);
    expect(await heard.promise).toMatchObject({ code: 'cancelled', detail: 'stop' });
    await until(() => worker.stats().cancelled === 1);
    expect(await run.state()).toBe('cancelled');
  });

  it('expires at its deadline, running or not', async () => {
    a = memoryApp();
    const waiting = a.task('waiting', { lane: 'unserved', timeout: { total: 40 } }, () => 1);
    const running = a.task(
      'running',
      ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    );
    await a.worker({ tasks: [running] });
    const runs = [waiting.run(), running.run(undefined, { deadline: 40 })];
    for (const run of runs) expect(await rejectionOf(run.result())).toBeInstanceOf(RunExpiredError);
  });

  it('starts after its delay', async () => {
    a = memoryApp();
    const task = a.task('t', () => Date.now());
    await a.worker();
    const createdAt = Date.now();
    const run = await task.run(undefined, { delay: 500 });
    expect(await run.state()).toBe('delayed');
    expect(await run.result()).toBeGreaterThanOrEqual(createdAt + 500);
  });

  it('starts at its time, which is that of the store, also where the time has passed', async () => {
    await using t = testApp();
    a = t.app;
    const task = t.app.task<number, number>('t', ({ input }) => input);
    const parent = t.app.task('p', ({ children }) =>
      children.all([child(task, 3, { delay: new Date(t.now() + 3_600_000) })]),
    );
    await t.app.worker({ slots: 5 });
    const at = new Date(t.now() + 3_600_000);
    const run = task.run(1, { delay: at });
    at.setTime(0); // it has the time of its call
    expect((await run.info()).delayedUntil).toBe(t.now() + 3_600_000);
    const [late] = await task.runMany([2], { delay: at });
    const children = await parent.run();
    await t.advance('59m');
    expect([await run.state(), await late?.state(), await children.state()]).toEqual([
      'delayed',
      'completed',
      'waiting_children',
    ]);
    await t.advance('2m');
    expect([await run.result(), await late?.result(), await children.result()]).toEqual([1, 2, [3]]);
  });

  it('continues after a wait for its result timed out or was aborted', async () => {
    a = memoryApp();
    const task = a.task('t', () => 1);
    const run = await task.run();
    expect(await rejectionOf(run.result({ timeout: 20 }))).toBeInstanceOf(ResultTimeoutError);
    const controller = new AbortController();
    const waiting = rejectionOf(run.result({ signal: controller.signal }));
    controller.abort(new Error('enough'));
    expect(await waiting).toMatchObject({ message: 'enough' });
    await a.worker();
    expect(await run.result()).toBe(1);
  });

  it('reports the whole timeout of its caller when the result is late, including the time before its creation', async () => {
    const opened = memory();
    a = app({ backend: () => new Promise((resolve) => setTimeout(resolve, 20, opened)) });
    const late = rejectionOf(
      a
        .task('t', () => 1)
        .run()
        .result({ timeout: 60 }),
    );
    expect(await late).toMatchObject({ timeoutMs: 60, message: expect.stringContaining('after 60 ms') as string });
  });

  it('that does not exist rejects with RunNotFoundError', async () => {
    a = memoryApp();
    const run = a.get('{fp:0}:00000000-0000-7000-8000-000000000000');
    expect(await rejectionOf(run.result())).toBeInstanceOf(RunNotFoundError);
    expect(await rejectionOf(run.state())).toBeInstanceOf(RunNotFoundError);
    expect(await rejectionOf(a.task('t').get({ id: 'mine' }).state())).toMatchObject({
      executionId: 'mine',
      task: 't',
      message: 'The run of task "t" with id "mine" does not exist',
    });
  });

  it('carries priority and tags', async () => {
    a = memoryApp();
    const order: string[] = [];
    const task = a.task('t', ({ input, tags }: TaskContext<string>) => void order.push(`${input} ${tags['app.of']}`));
    const runs = [
      await task.run('low', { tags: { 'app.of': 'x' } }),
      await task.run('high', { priority: 5, tags: { 'app.of': 'y' } }),
    ];
    await a.worker();
    await Promise.all(runs.map((run) => run.result()));
    expect(order).toEqual(['high y', 'low x']);
    // @ts-expect-error: a key has a dot
    expect(await rejectionOf(task.run('bad', { tags: { plain: 'x' } }))).toMatchObject({
      code: 'invalid_definition',
      message:
        'Run of task "t": tags: the key "plain" must be like "team.name": lower case, digits, "_" and a dot, at most 128 characters',
    });
  });
});

describe('many runs', () => {
  it('are stored in one call per partition and 500, in order', async () => {
    const { backend, calls, batches } = counted(memory({ partitions: { count: 4 } }));
    a = app({ backend });
    const square = a.task('square', ({ input }: TaskContext<number>) => input * input);
    const runs = await square.runMany(Array.from({ length: 2_600 }, (_, i) => i));
    expect(calls.get('createExecution')).toBeUndefined();
    expect(batches.reduce((sum, size) => sum + size, 0)).toBe(2_600);
    expect(Math.max(...batches)).toBeLessThanOrEqual(500);
    expect(batches.length).toBeLessThanOrEqual(8);
    await a.worker({ slots: 4, claimAhead: 60 });
    const results = await Promise.all(runs.map((run) => run.result()));
    expect(results).toEqual(Array.from({ length: 2_600 }, (_, i) => i * i));
  });

  it('are not created twice under the same ids', async () => {
    a = memoryApp({}, { partitions: { count: 3 } });
    const task = a.task('t', ({ input }: TaskContext<string>) => input);
    const first = await task.runMany(['a', 'b'], (input) => ({ id: input }));
    const again = await task.runMany(['b', 'a', 'c'], (input) => ({ id: input }));
    expect(again.map((run) => run.deduplicated)).toEqual([true, true, false]);
    expect(again.slice(0, 2).map((run) => run.id)).toEqual([first[1]?.id, first[0]?.id]);
  });
});

describe('waiting for results', () => {
  /** A second app on the same store that hears no local news: as in another process. */
  function elsewhere(inner: Backend): Backend {
    return Object.create(inner) as Backend;
  }

  it('of a few runs in another process polls each of them at short intervals', async () => {
    const inner = memory({ partitions: { count: 2 } });
    const there = app({ backend: elsewhere(inner), closeBackend: false });
    there.task('t', ({ input }: TaskContext<number>) => input + 1);
    const clock = new VirtualClock(0);
    a = app({ backend: inner, clock });
    const task = a.task('t', ({ input }: TaskContext<number>) => input);
    const run = await task.run(1);
    const result = run.result();
    await clock.advance(20);
    await there.worker();
    await until(async () => (await run.state()) === 'completed');
    await clock.advance(400);
    expect(await Promise.race([result, 'still waiting'])).toBe(2);
    await there.close();
  });

  it('of many runs in another process reads the log instead of calling once per run', async () => {
    const inner = memory();
    const there = app({ backend: elsewhere(inner), closeBackend: false });
    there.task('t', ({ input }: TaskContext<number>) => {
      if (input === 7) throw new Error('seven');
      return input + 1;
    });
    const { backend, calls } = counted(inner);
    a = app({ backend });
    const task = a.task('t', ({ input }: TaskContext<number>) => input);
    const runs = await task.runMany(Array.from({ length: 200 }, (_, i) => i));
    const results = Promise.allSettled(runs.map((run) => run.result()));
    const checked = (): number => calls.get('readExecutionState') ?? 0;
    // Each is looked at when its wait begins, and once more when the log is taken up.
    await until(() => checked() === 400);
    await there.worker({ claimAhead: 50 });
    const settled = await results;
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(199);
    expect(settled[3]).toEqual({ status: 'fulfilled', value: 4 });
    expect(settled[7]).toMatchObject({ status: 'rejected', reason: { code: 'run_failed', reason: 'seven' } });
    expect(checked() - 400).toBeLessThanOrEqual(16);
    await there.close();
  });

  it('for a run whose record cannot be read fails for that run only', async () => {
    const inner = memory();
    let broken: string | undefined;
    const backend = Object.assign(Object.create(inner) as Backend, {
      readExecutionState: async (args: { executionId: string }) => {
        if (args.executionId === broken) throw new EngineError('corruption', 'broken.');
        return inner.readExecutionState(args);
      },
    });
    for (const many of [3, 30]) {
      const there = app({ backend: elsewhere(inner), closeBackend: false });
      there.task('t', ({ input }: TaskContext<number>) => input);
      a = app({ backend, closeBackend: false });
      const task = a.task('t', ({ input }: TaskContext<number>) => input);
      const runs = await task.runMany(Array.from({ length: many }, (_, i) => i));
      const results = Promise.allSettled(runs.map((run) => run.result()));
      await pause(100);
      broken = (await task.run(-1)).id;
      const errors = await Promise.all(
        ['{fp:0}:oops', '{fp:9}:oops', 'oops', '', broken].map((id) => rejectionOf(a.get(id).result())),
      );
      expect(errors.map((error) => (error as { code: string }).code)).toEqual([
        ...Array.from({ length: 4 }, () => 'invalid_definition'),
        'corruption',
      ]);
      await pause(100);
      await there.worker();
      expect((await results).every(({ status }) => status === 'fulfilled')).toBe(true);
      await there.close();
      await a.close();
    }
  });

  it('for a run whose first check failed still returns its result, also beside many other waits', async () => {
    const inner = memory();
    let failing: string | undefined;
    const backend = Object.assign(Object.create(inner) as Backend, {
      readExecutionState: async (args: { executionId: string }) => {
        if (args.executionId !== failing) return inner.readExecutionState(args);
        failing = undefined;
        throw new EngineError('call_timeout', 'no answer.');
      },
    });
    a = app({ backend });
    const never = a.task('never', { lane: 'never' }, () => 1);
    const quick = a.task('quick', { lane: 'quick' }, () => 42);
    const others = await never.runMany(Array.from({ length: 20 }, () => undefined));
    for (const run of others) void rejectionOf(run.result());
    // By now the log is followed.
    await pause(200);
    await a.worker({ tasks: [quick] });
    const run = await quick.run();
    await until(async () => (await run.state()) === 'completed');
    // And by now it was read beyond the end of this run.
    await pause(500);
    failing = run.id;
    expect(await run.result({ timeout: 20_000 })).toBe(42);
    expect(failing).toBeUndefined();
  });

  it('ends when the app closes', async () => {
    a = memoryApp();
    const run = await a.task('t', () => 1).run();
    const waiting = rejectionOf(run.result());
    await pause(5);
    await a.close();
    expect(await waiting).toMatchObject({ code: 'app_closed' });
    expect(await rejectionOf(a.task('u', () => 1).run())).toMatchObject({ code: 'app_closed' });
  });
});
