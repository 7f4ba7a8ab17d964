import { randomUUID } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { partitionOfExecution } from '../../model/ids.js';
import {
  app,
  backoff,
  delay,
  memory,
  EngineError,
  type App,
  type Backend,
  type FinishedOutcome,
  type TaskContext,
} from '../../src/index.js';
import { block, deferred, memoryApp, pause, rejectionOf, until } from '../app/support.js';
import { harness, type Commands, type Execute, type Harness, type Override } from './harness.js';

let a: App;
let h: Harness | undefined;
afterEach(async () => {
  await (h ?? a).close();
  h = undefined;
});

/** An app under a clock that the test moves. */
function virtual(...options: Parameters<typeof harness>): Harness {
  h = harness(...options);
  a = h.a;
  return h;
}

/** Counts the commands of all batches. */
function counted(calls: string[][]): (inner: Backend) => Override {
  return (inner) => ({
    execute: ((commands: Commands) => {
      calls.push(commands.map(({ name }) => name));
      return inner.execute(commands);
    }) as Execute,
  });
}

describe('sharing work', () => {
  it('two workers do all work, and none of it twice', async () => {
    const { backend, clock, flow, sleep } = virtual(undefined, { memoryOptions: { partitions: { count: 4 } } });
    const other = app({ backend, clock, closeBackend: false });
    const seen: string[] = [];
    const by = [0, 0];
    const define = (each: App, index: number) =>
      each.task('t', async ({ executionId, input }: TaskContext<number>) => {
        seen.push(executionId);
        (by[index] as number)++;
        await sleep(input % 3);
        return input;
      });
    define(other, 1);
    const task = define(a, 0);
    await other.worker({ slots: 3 });
    await a.worker({ slots: 3, claimAhead: 4 });
    const runs = await task.runMany(Array.from({ length: 300 }, (_, i) => i));
    expect(await flow(Promise.all(runs.map((run) => run.result())))).toEqual(Array.from({ length: 300 }, (_, i) => i));
    expect(seen.length).toBe(300);
    expect(new Set(seen).size).toBe(300);
    expect(Math.min(...by)).toBeGreaterThan(30);
    await flow(other.close());
  });

  it('never runs more handlers at once than it has slots', async () => {
    const { flow, sleep } = virtual(undefined, { memoryOptions: { partitions: { count: 4 } } });
    let running = 0;
    let most = 0;
    const task = a.task('t', async () => {
      most = Math.max(most, ++running);
      await sleep(2);
      running--;
    });
    await a.worker({ slots: 5, claimAhead: 10 });
    const runs = await task.runMany(Array.from({ length: 120 }, () => undefined));
    await flow(Promise.all(runs.map((run) => run.result())));
    expect(most).toBe(5);
  });

  it('serves all of its lanes and no other, within its capabilities', async () => {
    a = memoryApp();
    const order: string[] = [];
    const fast = a.task('fast', { lane: 'fast' }, () => void order.push('fast'));
    const slow = a.task('slow', { lane: 'slow' }, () => void order.push('slow'));
    const gpu = a.task('gpu', { lane: 'fast', needs: ['gpu'] }, () => 'never');
    const runs = [
      ...(await fast.runMany([undefined, undefined, undefined])),
      ...(await slow.runMany([undefined, undefined, undefined])),
    ];
    const unserved = await gpu.run();
    await a.worker({ tasks: [fast, slow, gpu] });
    await Promise.all(runs.map((run) => run.result()));
    expect(order).toEqual(['fast', 'slow', 'fast', 'slow', 'fast', 'slow']);
    expect(await unserved.state()).toBe('waiting');
    await a.worker({ capabilities: ['gpu'] });
    expect(await unserved.result()).toBe('never');
  });
});

describe('lanes', () => {
  it('belong to tasks: a service gets no work of another', async () => {
    const backend = memory({ partitions: { count: 2 } });
    const other = app({ backend, closeBackend: false });
    const x = other.task('x', () => 'x');
    a = app({ backend });
    const y = a.task('y', () => 'y');
    const odd = a.task('a:b', () => 'odd');
    expect([x.lane, y.lane, odd.lane, a.task('ü', { lane: 'named' }, () => 1).lane]).toEqual([
      'x',
      'y',
      'a:b',
      'named',
    ]);
    const [xs, ys] = [await other.worker(), await a.worker()];
    const runs = [
      ...(await y.runMany(Array.from({ length: 20 }, () => undefined))),
      ...(await x.runMany(Array.from({ length: 20 }, () => undefined))),
    ];
    expect(await Promise.all(runs.map((run) => run.result()))).toEqual(
      runs.map((_, index) => (index < 20 ? 'y' : 'x')),
    );
    expect(await odd.run().result()).toBe('odd');
    expect([xs.stats().claimed, ys.stats().claimed]).toEqual([20, 21]);
    await other.close();
  });

  it('of tasks that are defined later are served too, by workers that serve all tasks', async () => {
    a = memoryApp({}, { partitions: { count: 2 } });
    const first = a.task('first', () => 1);
    const starting = a.worker({ sweepInterval: '10m' });
    const second = a.task('second', () => 2);
    await starting;
    const chosen = await a.worker({ tasks: [first], sweepInterval: '10m' });
    // Created by somebody else, before this app knew the task.
    const other = app({ backend: a.backend(), closeBackend: false });
    const early = await other.task('third', () => 3).run();
    const third = a.task('third', () => 3);
    expect(await early.result({ timeout: '20s' })).toBe(3);
    expect(await third.run().result({ timeout: '20s' })).toBe(3);
    expect(await second.run().result({ timeout: '20s' })).toBe(2);
    expect(chosen.stats().claimed).toBe(0);
    await other.close();
  });

  it("shared by two services starve neither, although each claims the other's work", async () => {
    const { backend, clock, flow } = virtual();
    const other = app({ backend, clock, closeBackend: false });
    const tasks = [other.task('x', { lane: 'shared' }, () => 1), a.task('y', { lane: 'shared' }, () => 2)];
    const workers = [await other.worker(), await a.worker()];
    const results = tasks.map(async (task) => {
      for (let i = 0; i < 10; i++) await task.run().result({ timeout: '20s' });
    });
    await flow(Promise.all(results));
    expect(workers.map((worker) => worker.stats().completed)).toEqual([10, 10]);
    await flow(other.close());
  });
});

describe('round trips', () => {
  it('of work claimed ahead are shared by many executions', async () => {
    const calls: string[][] = [];
    const { flow } = virtual(counted(calls));
    const task = a.task('t', ({ input }: TaskContext<number>) => input);
    const runs = await task.runMany(Array.from({ length: 500 }, (_, i) => i));
    calls.length = 0;
    const worker = await a.worker({ claimAhead: 99 });
    await flow(Promise.all(runs.map((run) => run.result())));
    expect(worker.stats().completed).toBe(500);
    expect(calls.length).toBeLessThanOrEqual(30);
    expect(Math.max(...calls.map((names) => names.length))).toBeLessThanOrEqual(51);
  });

  it('of endings are shared per turn and partition, unless results are large', async () => {
    const completed: number[] = [];
    const { flow } = virtual(
      (inner) => ({
        execute: ((commands: Commands) => {
          const endings = commands.filter(({ name }) => name === 'completeExecution').length;
          if (endings > 0) completed.push(endings);
          return inner.execute(commands);
        }) as Execute,
      }),
      { memoryOptions: { partitions: { count: 1 } } },
    );
    const task = a.task('t', ({ input }: TaskContext<number>) => new Uint8Array(input));
    const ended = async (sizes: number[]): Promise<number[]> => {
      completed.length = 0;
      await flow(Promise.all((await task.runMany(sizes)).map((run) => run.result())));
      return completed;
    };
    await a.worker({ slots: 16 });
    expect(await ended(Array.from({ length: 16 }, () => 1))).toEqual([16]);
    // A quarter of a MiB goes together.
    expect(await ended(Array.from({ length: 16 }, () => 32_000))).toEqual([9, 7]);
  });

  it('of claims that only end executions are followed by others for the work behind them', async () => {
    const backend = memory();
    a = app({ backend });
    const doomed = a.task('doomed', { lane: 'both', retry: { crashes: 0 } }, () => 'never');
    const healthy = a.task('healthy', { lane: 'both' }, () => 'fine');
    const lost = await doomed.runMany([undefined, undefined, undefined]);
    await backend.claimForWorker({
      partition: partitionOfExecution((lost[0] as { id: string }).id),
      laneId: 'both',
      workerId: 'w',
      workerInstanceId: 'i',
      workerCapabilities: [],
      leaseTtlMs: 1_000,
      claims: lost.map(() => ({ leaseId: randomUUID(), attemptId: randomUUID() })),
    });
    for (const { id } of lost) await backend.revokeLease({ executionId: id });
    const run = await healthy.run();
    // Nobody looks again by himself within the time of the test.
    await a.worker({ sweepInterval: '10m' });
    expect(await run.result({ timeout: 20_000 })).toBe('fine');
    for (const each of lost)
      expect(await rejectionOf(each.result({ timeout: 20_000 }))).toMatchObject({
        code: 'run_failed',
        category: 'max_reclaims_exceeded',
      });
  });

  it('of an idle process are fewer than 25 a second, however many slots it has', async () => {
    const calls: string[][] = [];
    let looks = 0;
    const { pass, until: eventually } = virtual(
      (inner) => ({
        ...counted(calls)(inner),
        applyDue: (args) => {
          looks++;
          return inner.applyDue(args);
        },
      }),
      { memoryOptions: { partitions: { count: 16 } } },
    );
    a.task('t', () => 1);
    const worker = await a.worker({ slots: 100 });
    await eventually(() => worker.stats().claiming === 'idle');
    calls.length = looks = 0;
    await pass(60_000);
    const perSecond = (calls.flat().length + looks) / 60;
    expect(perSecond).toBeGreaterThan(3);
    expect(perSecond).toBeLessThan(25);
  });
});

describe('waking', () => {
  it('starts new work at once', async () => {
    const {
      pass,
      until: eventually,
      worker: rarelyLooking,
    } = virtual(undefined, { memoryOptions: { partitions: { count: 8 } } });
    const task = a.task('t', () => 'started');
    const worker = await rarelyLooking();
    await eventually(() => worker.stats().claiming === 'idle');
    const result = task.run().result();
    await pass(5);
    expect(await Promise.race([result, 'still waiting'])).toBe('started');
  });

  it('is replaced by the sweep if the wake is lost', async () => {
    const deaf = { onWake: async () => () => undefined };
    const { flow, pass, until: eventually } = virtual(() => deaf, { memoryOptions: { partitions: { count: 4 } } });
    const task = a.task('t', () => 'found');
    const worker = await a.worker();
    await eventually(() => worker.stats().claiming === 'idle');
    const run = await task.run();
    await pass(750);
    expect(await run.state()).toBe('waiting');
    expect(await flow(run.result({ timeout: '7s' }))).toBe('found');
    for (let again = 0; again < 3; again++) expect(await flow(task.run().result({ timeout: '7s' }))).toBe('found');
  });

  it('is replaced by the sweep if the subscription fails, which is repeated', async () => {
    let tries = 0;
    const { flow, until: eventually } = virtual((inner) => ({
      onWake: async (lanes, listener) => {
        if (lanes.length > 0 && ++tries < 3) throw new EngineError('transport_failed', 'no.');
        return inner.onWake(lanes, listener);
      },
    }));
    const task = a.task('t', () => 1);
    await a.worker();
    expect(await flow(task.run().result({ timeout: '7s' }))).toBe(1);
    await eventually(() => tries === 3);
  });
});

describe('leases', () => {
  it('that end while a handler blocks the event loop abort it, and its late result is refused', async () => {
    a = memoryApp();
    const aborts: unknown[] = [];
    const task = a.task('t', async ({ signal, attempt }) => {
      if (attempt === 2) return 'second';
      block(1_500);
      await until(() => signal.aborted);
      aborts.push(signal.reason);
      return 'late';
    });
    const worker = await a.worker({ leaseTtl: 1_000 });
    const outcomes: FinishedOutcome[] = [];
    const lost: string[] = [];
    worker.on('finished', ({ outcome }) => outcomes.push(outcome));
    worker.on('leaseLost', ({ reason }) => lost.push(reason));
    const run = await task.run();
    expect(await run.result()).toBe('second');
    expect(aborts[0]).toMatchObject({ name: 'TaskAbort', code: 'lease_lost' });
    expect(lost).toEqual(['lease_lost']);
    // It is parked before it runs again, because it is known to have blocked the loop.
    expect([...outcomes].sort()).toEqual(['completed', 'delayed', 'lost']);
    expect(await run.info()).toMatchObject({ attempts: 2, execution: { leaseReclaimCount: 1 } });
  });

  it('are renewed for as long as the handler runs', async () => {
    const calls: string[][] = [];
    const { flow, sleep } = virtual(counted(calls));
    const task = a.task('t', () => sleep(1_600).then(() => 'kept'));
    await a.worker({ leaseTtl: 1_000, slots: 3 });
    const runs = await task.runMany([undefined, undefined, undefined]);
    expect(await flow(Promise.all(runs.map((run) => run.result())))).toEqual(['kept', 'kept', 'kept']);
    const renewals = calls.filter((names) => names.includes('renewLease'));
    expect(renewals.length).toBeGreaterThanOrEqual(4);
    // One every third of a second, and the first look at whether the work is still theirs.
    expect(renewals.length).toBeLessThanOrEqual(7);
    expect(renewals.every((names) => names.length === 3)).toBe(true);
  });

  it('that cannot be renewed are given up before the engine lets others claim the work', async () => {
    const { clock, flow } = virtual((inner) => ({
      execute: (async (commands: Commands) => {
        if (commands.some(({ name }) => name === 'renewLease')) throw new EngineError('transport_failed', 'no.');
        return inner.execute(commands);
      }) as Execute,
    }));
    const heard = deferred<{ code: unknown; afterMs: number }>();
    const task = a.task('t', async ({ signal, attempt }) => {
      const startedAt = clock.now();
      if (attempt === 1) {
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        heard.resolve({ code: (signal.reason as { code: unknown }).code, afterMs: clock.now() - startedAt });
        signal.throwIfAborted();
      }
      return 'second';
    });
    await a.worker({ leaseTtl: 1_000 });
    const run = task.run();
    const { code, afterMs } = await flow(heard.promise);
    expect([code, afterMs]).toEqual(['lease_lost', 900]);
    expect(await flow(run.result())).toBe('second');
  });

  it.each([
    ['lease_revoked', (backend: Backend, executionId: string) => backend.revokeLease({ executionId })],
    [
      'cancelled',
      (backend: Backend, executionId: string) =>
        backend.cancelExecution({ executionId, reason: '', source: 'operator_override' }),
    ],
  ] as const)('that the engine ends are noticed at the next renewal: %s', async (code, take) => {
    const { flow } = virtual();
    const heard = deferred<unknown>();
    const started = deferred<string>();
    const task = a.task('t', async ({ signal, executionId, attempt }) => {
      if (attempt === 2) return;
      started.resolve(executionId);
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      heard.resolve(signal.reason);
    });
    await a.worker({ leaseTtl: 1_000 });
    await task.run();
    await take(await a.backend(), await flow(started.promise));
    expect(await flow(heard.promise)).toMatchObject({ code });
  });

  it('that are lost abort their handler at once when the same worker claims the work again, repeatedly', async () => {
    a = memoryApp();
    const told: string[] = [];
    const attempts: number[] = [];
    const task = a.task('t', async ({ signal, attempt }) => {
      attempts.push(attempt);
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      told.push(`${attempt} ${(signal.reason as { code: string }).code}`);
      signal.throwIfAborted();
    });
    // No renewal within the time of the test: only the new claim tells.
    const worker = await a.worker({ slots: 2, leaseTtl: 60_000 });
    const lost: string[] = [];
    const outcomes: string[] = [];
    worker.on('leaseLost', ({ reason }) => lost.push(reason));
    worker.on('finished', ({ outcome }) => outcomes.push(outcome));
    const run = await task.run();
    await until(() => attempts.length === 1);
    await (await a.backend()).revokeLease({ executionId: run.id });
    await until(() => told.length === 1);
    expect(told).toEqual(['1 lease_lost']);
    await until(() => attempts.length === 2 && outcomes.length === 1);
    expect(worker.stats()).toMatchObject({ claimed: 2, running: 1, lost: 1 });
    await run.cancel('enough');
    await until(() => outcomes.length === 2);
    expect(told).toEqual(['1 lease_lost', '2 cancelled']);
    expect(lost).toEqual(['lease_lost', 'cancelled']);
    expect(outcomes).toEqual(['lost', 'cancelled']);
    expect(worker.stats()).toMatchObject({ running: 0, cancelled: 1, lost: 1 });
  });

  it('have a fence of their own for each attempt', async () => {
    a = memoryApp();
    const tokens: string[] = [];
    const task = a.task(
      't',
      { retry: { failures: 1, backoff: backoff.fixed(1) } },
      ({ fence, executionId, attempt }) => {
        tokens.push(fence.token);
        expect(fence.token).toBe(`${executionId}/${attempt}/${fence.leaseId}`);
        if (attempt === 1) throw new Error('again');
      },
    );
    await a.worker();
    await task.run().result();
    expect(tokens).toHaveLength(2);
  });
});

describe('handlers', () => {
  it('can park their attempt, by returning or throwing a delay', async () => {
    const { clock, flow } = virtual();
    let calls = 0;
    const task = a.task('t', ({ attempt }) => {
      calls++;
      if (calls === 1) return delay(20);
      if (calls === 2) throw delay(new Date(clock.now() + 20));
      return attempt;
    });
    const worker = await a.worker();
    expect(await flow(task.run().result())).toBe(1);
    expect(worker.stats()).toMatchObject({ delayed: 2, completed: 1, failed: 0 });
  });

  it('that fail are reported with their errors, in the log and to listeners', async () => {
    const warnings: unknown[][] = [];
    const log = {
      debug: () => undefined,
      info: () => undefined,
      error: () => undefined,
      warn: (...args: unknown[]) => void warnings.push(args),
    };
    a = memoryApp({ log });
    const thrown = [new Error('first'), 'second'];
    const task = a.task('flaky', { retry: { failures: 1, backoff: backoff.fixed(1) } }, ({ attempt }) => {
      throw thrown[attempt - 1];
    });
    const wrong = a.task('wrong', { output: z.string() }, () => 5 as unknown as string);
    const fine = a.task('fine', () => 1);
    const worker = await a.worker();
    const finished: unknown[] = [];
    worker.on('finished', ({ outcome, ...rest }) => finished.push([outcome, 'error' in rest ? rest.error : 'none']));
    const [flaky, mistaken] = [await task.run(), await wrong.run()];
    await rejectionOf(flaky.result());
    await rejectionOf(mistaken.result());
    await fine.run().result();
    await until(() => finished.length === 4);
    const mistake = new Error(
      'The result does not match the output schema: Invalid input: expected string, received number',
    );
    expect(warnings).toHaveLength(3);
    expect(warnings).toEqual(
      expect.arrayContaining([
        [`Task "flaky" failed in attempt 1 of ${flaky.id}; it will be retried.`, thrown[0]],
        [
          `Task "flaky" failed in attempt 2 of ${flaky.id}; it will not be retried: no retry is left, or its category (handler_error) is not retried.`,
          thrown[1],
        ],
        [
          `Task "wrong" failed in attempt 1 of ${mistaken.id}; it will not be retried: a failure of this kind (invalid_result) is final.`,
          mistake,
        ],
      ]),
    );
    expect(finished).toEqual(
      expect.arrayContaining([
        ['retry_scheduled', thrown[0]],
        ['failed', thrown[1]],
        ['failed', mistake],
        ['completed', 'none'],
      ]),
    );
  });

  it('can report their progress', async () => {
    a = memoryApp();
    const go = deferred();
    const task = a.task('t', async ({ progress }) => {
      await progress(40.4, `half\ud800${'ä'.repeat(2_000)}`);
      await go.promise;
      await progress(100);
    });
    await a.worker();
    const run = await task.run();
    await until(async () => (await run.info()).progress?.percent === 40);
    expect(Buffer.byteLength((await run.info()).progress?.message ?? '')).toBeLessThanOrEqual(1_024);
    go.resolve();
    await run.result();
    expect((await run.info()).progress?.percent).toBe(100);
  });

  it('are refused by progress when they have lost their work', async () => {
    a = memoryApp();
    const errors: unknown[] = [];
    const task = a.task('t', async ({ progress, executionId, attempt }) => {
      if (attempt === 2) return;
      await (await a.backend()).revokeLease({ executionId });
      errors.push(await rejectionOf(progress(10)), await rejectionOf(progress(20)));
    });
    await a.worker();
    await task.run().result();
    expect(errors).toMatchObject([{ code: 'lease_revoked' }, { code: 'lease_revoked' }]);
  });

  it('can be missing: work of unknown tasks waits for a capable worker, and delays no other work', async () => {
    const { backend, clock, flow, pass } = virtual();
    const stranger = app({ backend, clock, closeBackend: false });
    const known = stranger.task('known', { lane: 'shared' }, () => 'still served');
    const worker = await stranger.worker();
    const unknown = a.task('unknown', { lane: 'shared' }, () => 'done');
    const run = await unknown.run();
    await pass(60_000);
    expect(await flow(known.run().result())).toBe('still served');
    expect(worker.stats().claimed).toBe(1);
    expect(await run.state()).toBe('waiting');
    await a.worker();
    expect(await flow(run.result())).toBe('done');
    await flow(stranger.close());
  });

  it('can be missing in a worker with more kinds than a claim can name: it hands such work back, with a report', async () => {
    const { backend, clock, flow, until: eventually } = virtual();
    const warnings: string[] = [];
    const log = {
      debug: () => undefined,
      info: () => undefined,
      error: () => undefined,
      warn: (message: string) => void warnings.push(message),
    };
    const stranger = app({ backend, clock, log, closeBackend: false });
    const known = stranger.task('known', { lane: 'shared' }, () => 'still served');
    for (let n = 0; n < 256; n++) stranger.task(`other-${n}`, { lane: 'shared' }, () => n);
    const worker = await stranger.worker();
    const unknown = a.task('unknown', { lane: 'shared' }, () => 'done');
    const run = await unknown.run();
    await unknown.run();
    await eventually(() => worker.stats().delayed >= 1);
    expect(await flow(known.run().result())).toBe('still served');
    expect(warnings.filter((message) => message.includes('"unknown"'))).toHaveLength(1);
    expect(worker.stats().claimed).toBeLessThan(10);
    await a.worker();
    expect(await flow(run.result())).toBe('done');
    await flow(stranger.close());
  });
});

describe('errors', () => {
  it('of the transport do not end the loop, and endings are repeated until they are answered', async () => {
    let calls = 0;
    const done = new Map<string, number>();
    const { flow } = virtual((inner) => ({
      execute: (async (commands: Commands) => {
        calls++;
        if (calls % 3 === 1) throw new EngineError('transport_failed', 'before.');
        const results = await inner.execute(commands);
        if (calls % 3 === 2 && !commands.some(({ name }) => name === 'claimForWorker'))
          throw new EngineError('call_timeout', 'after.');
        return results;
      }) as Execute,
    }));
    const task = a.task('t', ({ executionId }) => void done.set(executionId, (done.get(executionId) ?? 0) + 1));
    const errors: unknown[] = [];
    const worker = await a.worker({ slots: 2, leaseTtl: 60_000 });
    worker.on('error', ({ error }) => errors.push(error));
    const runs = await flow(Promise.all(Array.from({ length: 12 }, () => task.run())));
    await flow(Promise.all(runs.map((run) => run.result())));
    expect(done.size).toBe(12);
    expect([...done.values()].every((times) => times === 1)).toBe(true);
    expect(errors.length).toBeGreaterThan(3);
  });

  it('of listeners have no effect', async () => {
    a = memoryApp();
    const task = a.task('t', () => 1);
    const worker = await a.worker();
    worker.on('finished', () => {
      throw new Error('listener');
    });
    expect(await task.run().result()).toBe(1);
    expect(await task.run().result()).toBe(1);
  });
});

describe('work that is taken from its worker, and claimed by it again', () => {
  it('has one handler that was not aborted', async () => {
    const backend = memory();
    a = app({ backend });
    const signals: AbortSignal[] = [];
    const told: boolean[] = [];
    const task = a.task('t', async ({ signal }: TaskContext<unknown>) => {
      told.push(signals.every(({ aborted }) => aborted));
      if (signals.push(signal) === 1) await new Promise((resolve) => signal.addEventListener('abort', resolve));
    });
    // The next renewal would tell it after ten seconds.
    await a.worker({ slots: 2, leaseTtl: '30s' });
    const run = await task.run(undefined);
    await until(() => signals.length === 1);
    await backend.revokeLease({ executionId: run.id, reason: 'r' });
    await run.result();
    expect(told).toEqual([true, true]);
  });
});

it('frees its slot for work that was claimed ahead, once its handler is aborted', async () => {
  a = memoryApp();
  const task = a.task('t', async ({ input, signal }: TaskContext<number>) => {
    if (input === 1) await new Promise((resolve) => signal.addEventListener('abort', resolve));
    signal.throwIfAborted();
  });
  const worker = await a.worker({ slots: 1, claimAhead: 1, leaseTtl: '30s' });
  const [first, second] = await task.runMany([1, 2]);
  await until(() => worker.stats().ahead === 1);
  await first?.cancel();
  await second?.result();
  // Not only when it had waited for too long, and was handed back.
  expect(worker.stats()).toMatchObject({ claimed: 2, completed: 1, cancelled: 1, lost: 0 });
});

describe('the end of a worker', () => {
  it('hands work claimed ahead back at once, and lets running handlers finish', async () => {
    const backend = memory();
    const other = app({ backend, closeBackend: false });
    const doneByOther: number[] = [];
    other.task('t', ({ input }: TaskContext<number>) => doneByOther.push(input));
    a = app({ backend });
    const go = deferred();
    const task = a.task('t', ({ input }: TaskContext<number>) => go.promise.then(() => input * 10));
    const worker = await a.worker({ claimAhead: 10 });
    const runs = await task.runMany([1, 2, 3]);
    await until(() => worker.stats().ahead === 2);
    await other.worker();
    const startedAt = performance.now();
    const drained = worker.drain({ timeout: '10s' });
    await runs[2]?.result();
    // Work that waits is handed back after 3.3 s otherwise, and the drain takes ten.
    expect(performance.now() - startedAt).toBeLessThan(3_000);
    expect(doneByOther).toEqual([2, 3]);
    go.resolve();
    await drained;
    expect(await runs[0]?.result()).toBe(10);
    expect(worker.stats()).toMatchObject({ state: 'closed', completed: 1, released: 2, running: 0, ahead: 0 });
    // The same attempt went on: nothing was counted as a failure or a crash.
    expect(await runs[2]?.info()).toMatchObject({
      attempts: 1,
      execution: { leaseReclaimCount: 0, leaseReleaseCount: 1 },
    });
    await other.close();
  });

  it('aborts handlers that take too long, and hands their work back', async () => {
    const { clock, flow } = virtual();
    const reasons: unknown[] = [];
    const started = deferred();
    const task = a.task('t', async ({ signal }) => {
      started.resolve();
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      reasons.push(signal.reason);
      throw signal.reason;
    });
    const worker = await a.worker();
    const run = await task.run();
    await started.promise;
    const startedAt = clock.now();
    await flow(worker.drain({ timeout: 50 }));
    expect(clock.now() - startedAt).toBeLessThan(100);
    expect(reasons).toMatchObject([{ code: 'shutdown' }]);
    expect(await run.state()).toBe('waiting');
    expect(await run.info()).toMatchObject({ execution: { leaseReleaseCount: 1 } });
  });

  it('does not wait for ever for a handler that ignores its signal, and says that it still runs', async () => {
    const { flow, pass, said } = virtual();
    const go = deferred();
    const started = deferred();
    const task = a.task('t', async () => {
      started.resolve();
      await go.promise;
      return 'too late';
    });
    const worker = await a.worker();
    const run = await task.run();
    await started.promise;
    await flow(worker.drain({ timeout: 0 }));
    expect(await run.state()).toBe('waiting');
    const warned = said.filter(([, text]) =>
      text.includes('handed back whose handlers still run here (1 of task "t")'),
    );
    expect(warned).toEqual([['warn', expect.any(String), { executionIds: [run.id] }]]);
    go.resolve();
    await pass(10);
    expect(await run.state()).toBe('waiting');
  });

  it('takes no longer than its timeout, whatever the handlers do', async () => {
    const { clock, flow, pass } = virtual();
    const aborted: number[] = [];
    const startedAt = clock.now();
    const task = a.task('t', ({ signal }) => {
      signal.addEventListener('abort', () => aborted.push(clock.now() - startedAt));
      return new Promise(() => undefined);
    });
    const worker = await a.worker();
    const run = await task.run();
    await pass(20);
    const begunAt = clock.now();
    await flow(worker.drain({ timeout: 200 }));
    expect(clock.now() - begunAt).toBeLessThan(260);
    expect(aborted[0]).toBeGreaterThanOrEqual(begunAt - startedAt + 180);
    expect(await run.state()).toBe('waiting');
  });

  it('can be made faster by a second call', async () => {
    const { clock, flow, pass } = virtual();
    const started = deferred();
    const task = a.task('t', ({ signal }) => {
      started.resolve();
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    });
    const worker = await a.worker();
    await task.run();
    await started.promise;
    const startedAt = clock.now();
    const drained = worker.drain();
    await pass(20);
    await flow(Promise.all([drained, worker.drain({ timeout: 0 })]));
    expect(clock.now() - startedAt).toBeLessThan(100);
  });

  it('is started by SIGTERM on request, and lets the handlers finish', async () => {
    const before = process.listenerCount('SIGTERM');
    const backend = memory();
    a = app({ backend });
    const begun = deferred();
    const task = a.task('t', () => {
      begun.resolve();
      return pause(50).then(() => 'finished');
    });
    await a.worker({ handleSignals: true });
    expect(process.listenerCount('SIGTERM')).toBe(before + 1);
    const result = task.run().result();
    await begun.promise;
    process.emit('SIGTERM', 'SIGTERM');
    expect(await result).toBe('finished');
    await a.close();
    expect(process.listenerCount('SIGTERM')).toBe(before);
    expect(await rejectionOf(backend.ping())).toMatchObject({ code: 'backend_closed' });
  });

  it('by SIGTERM is named in the rejection of a result that another process will produce', async () => {
    a = app({ backend: memory() });
    const begun = deferred();
    const task = a.task('t', ({ signal }: TaskContext<unknown>) => {
      begun.resolve();
      return new Promise((_, stop) => signal.addEventListener('abort', () => stop(signal.reason)));
    });
    await a.worker({ handleSignals: true, drainTimeout: 10 });
    const result = rejectionOf(task.run().result());
    await begun.promise;
    process.emit('SIGTERM', 'SIGTERM');
    expect(await result).toMatchObject({
      code: 'app_closed',
      message: expect.stringContaining('closed by SIGTERM'),
      hint: expect.stringContaining('the run continues in another process'),
    });
    await a.close();
  });

  it('releases the worker in the app', async () => {
    a = memoryApp();
    const task = a.task('t', () => 1);
    const refs: WeakRef<object>[] = [];
    for (let n = 0; n < 5; n++) {
      await using worker = await a.worker({ claimAhead: 2 });
      await task.run().result();
      refs.push(new WeakRef(worker));
    }
    setFlagsFromString('--expose_gc');
    const collect = runInNewContext('gc') as () => void;
    for (let turn = 0; turn < 5; turn++) {
      await pause(1);
      collect();
    }
    // The last one may still be on the stack.
    expect(refs.filter((ref) => ref.deref() !== undefined).length).toBeLessThanOrEqual(1);
    expect(await rejectionOf(task.run().result({ timeout: 50 }))).toMatchObject({ code: 'result_timeout' });
  });

  it('happens at the end of an `await using` scope', async () => {
    a = memoryApp();
    a.task('t', () => 1);
    const worker = await a.worker();
    await worker[Symbol.asyncDispose]();
    expect(worker.stats().state).toBe('closed');
  });
});
