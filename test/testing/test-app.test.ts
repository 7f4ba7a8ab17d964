import { afterEach, describe, expect, it, vi } from 'vitest';
import { app, backoff, delay, EngineError, memory, type TaskContext } from '../../src/index.js';
import { testApp } from '../../src/testing/test-app.js';
import { rejectionOf } from '../app/support.js';

it('runs days of retries in no real time', async () => {
  await using t = testApp();
  let tries = 0;
  const flaky = t.app.task('flaky', { retry: { failures: 3, backoff: backoff.fixed('1d') } }, () => {
    tries += 1;
    if (tries < 3) throw new Error('not yet');
    return tries;
  });
  await t.app.worker();
  const run = flaky.run({});
  await t.advance('1h');
  expect([tries, await run.state()]).toEqual([1, 'delayed']);
  await t.advance('1d');
  expect(tries).toBe(2);
  await t.advance('1d');
  expect(tries).toBe(3);
  expect(await run.result()).toBe(3);
});

it('moves delays and deadlines with the clock', async () => {
  await using t = testApp();
  const begun: number[] = [];
  const nap = t.app.task('nap', ({ attempt }: TaskContext<{ ms: number }>) => {
    begun.push(t.now());
    return begun.length === 1 ? delay('2h') : attempt;
  });
  await t.app.worker();
  const start = t.now();
  const run = nap.run({ ms: 1 }, { delay: '30m' });
  const late = nap.run({ ms: 2 }, { delay: '3d', deadline: start + 3_600_000 });
  await t.advance('4h');
  expect(begun.map((at) => at - start)).toEqual([1_800_000, 9_000_000].map((ms) => expect.closeTo(ms, -1)));
  expect(await run.result()).toBe(1);
  expect(await late.state()).toBe('expired');
});

it('passes a handler the number of its resumptions', async () => {
  await using t = testApp();
  const seen: [number, number][] = [];
  const task = t.app.task('t', { retry: { failures: 1, backoff: backoff.fixed('1s') } }, ({ attempt, resumes }) => {
    seen.push([attempt, resumes]);
    if (seen.length < 3 || seen.length === 4) return delay('1h');
    if (seen.length === 3) throw new Error('again');
    return 'done';
  });
  await t.app.worker();
  const run = task.run(undefined);
  await t.advance('1d');
  expect(await run.result()).toBe('done');
  expect(seen).toEqual([
    [1, 0],
    [1, 1],
    [1, 2],
    [2, 2],
    [2, 3],
  ]);
});

it("gives leases the length of the worker's option", async () => {
  await using t = testApp();
  const task = t.app.task('t', async ({ executionId }) => {
    const expiresAt = (await t.backend.describeExecution({ executionId }))?.currentLease?.expiresAt ?? 0;
    return expiresAt - t.now();
  });
  await t.app.worker({ leaseTtl: '20s' });
  expect(await task.run(undefined).result()).toBe(20_000);
});

it('gives the same run for the same seed', async () => {
  const ids = async (seed: number): Promise<string> => {
    await using t = testApp({ seed });
    return t.app.task('x', () => 1).run({}).id;
  };
  expect(await ids(5)).toBe(await ids(5));
  expect(await ids(5)).not.toBe(await ids(6));
});

describe('a wait for a result under a clock that stands still', () => {
  it('rejects with a message that names advance and the missing event, for runs and flows', async () => {
    await using t = testApp();
    const nap = t.app.task('nap', async ({ sleep }) => sleep('1d'));
    const naps = t.app.flow('naps', (f) => void f.run(nap, undefined));
    const idle = t.app.task('idle', { lane: 'nobody' }, () => 1);
    await t.app.worker({ tasks: [nap] });
    const waits = [nap.run(), nap.run(undefined, { delay: '1h' }), naps.run(), idle.run()];
    const errors = await Promise.all(waits.map((run) => rejectionOf(run.result())));
    for (const error of errors)
      expect(error).toMatchObject({
        name: 'ResultTimeoutError',
        hint: expect.stringContaining('t.advance(') as string,
      });
    const messages = errors.map((error) => (error as Error).message);
    expect(messages[0]).toMatch(/: no handler runs, and the clock of testApp stands still\. It sleeps until/);
    expect(messages[1]).toMatch(/It is delayed until/);
    expect(messages[2]).toMatch(/nap: It sleeps until/);
    expect(messages[3]).toMatch(/It waits for a worker of lane nobody/);
    await t.advance('2d');
    expect(await waits[0]?.state()).toBe('completed');
  });

  it('says the same with a timeout of its own, of the same length too', async () => {
    await using t = testApp();
    const nap = t.app.task('nap', async ({ sleep }) => sleep('1d'));
    const both = t.app.flow('both', (f) => [f.run(nap, undefined)]);
    await t.app.worker();
    const waits = ['2s', '1h'].flatMap((timeout) =>
      [nap.run(), both.run()].map((run) => run.result({ timeout } as never)),
    );
    for (const error of await Promise.all(waits.map(rejectionOf))) {
      expect(error).toMatchObject({ timeoutMs: 2_000, hint: expect.stringContaining('t.advance(') as string });
      expect((error as Error).message).toMatch(/stands still\. It sleeps until/);
    }
  });

  it('continues while a handler runs or time passes, and warns once of what the handler may wait for', async () => {
    await using t = testApp();
    const warnings: string[] = [];
    const hear = (warning: Error): void => void warnings.push(warning.message);
    process.on('warning', hear);
    const slow = t.app.task('slow', () => new Promise((resolve) => setTimeout(resolve, 5_000, 'done')));
    const nap = t.app.task('nap', async ({ sleep }) => sleep('1m'));
    await t.app.worker({ slots: 2 });
    const napping = nap.run().result();
    expect(await slow.run().result()).toBe('done');
    for (let i = 0; i < 6; i++) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      await t.advance('10s');
    }
    await t.advance('1m');
    await napping;
    process.off('warning', hear);
    expect(warnings.filter((warning) => warning.includes('t.advance('))).toHaveLength(1);
  });
});

describe('advance', () => {
  it('looks seldom for ends while results are awaited, and gives them at their time', async () => {
    await using t = testApp();
    const nap = t.app.task('nap', ({ sleep }) => sleep('3h'));
    const late = t.app.task('late', { timeout: { total: '1h' } }, ({ sleep }) => sleep('3h'));
    const naps = t.app.flow('naps', (f) => void f.run(nap, undefined));
    await t.app.worker({ slots: 3 });
    const [looks, flowLooks] = [vi.spyOn(t.backend, 'readExecutionState'), vi.spyOn(t.backend, 'describeFlow')];
    const expired = rejectionOf(late.run().result());
    const ended = Promise.all([nap.run().result(), naps.run().result()]);
    await t.advance('2h');
    expect(await expired).toMatchObject({ code: 'run_expired' });
    await t.advance('2h');
    expect(await ended).toEqual([undefined, undefined]);
    for (const { mock } of [looks, flowLooks]) expect(mock.calls.length).toBeLessThan(2_000);
  });

  it('lets all of the time pass that several calls ask for, one after the other, and never turns it back', async () => {
    await using t = testApp();
    const start = t.now();
    const task = t.app.task('t', { retry: { failures: 9, backoff: backoff.fixed('1d') } }, () => {
      throw new Error('not yet');
    });
    await t.app.worker();
    task.run(undefined);
    const days = (): number => (t.now() - start) / 86_400_000;
    const seen = await Promise.all([
      t.advance('3d').then(days),
      t.advance('12h').then(days),
      t.advance('1d').then(days),
    ]);
    expect(seen).toEqual([3, 3.5, 4.5]);
  });

  it('purges no runs within a test, except those of a task with a retention', async () => {
    await using t = testApp();
    const kept = t.app.task('kept', () => 'result');
    const forgotten = t.app.task('forgotten', { retention: '1d' }, () => 'result');
    await t.app.worker();
    const [long, short] = [kept.run(undefined, { id: 'k' }), forgotten.run(undefined)];
    await t.advance('400d');
    expect(await long.result()).toBe('result');
    expect(await long.info()).toMatchObject({ state: 'completed', ownId: 'k', result: 'result' });
    expect(await rejectionOf(short.result())).toMatchObject({ code: 'run_not_found' });
  });

  it('purges with a retention of its own', async () => {
    await using t = testApp({ retention: '1h' });
    const task = t.app.task('t', () => 1);
    await t.app.worker();
    const run = task.run(undefined);
    await t.advance('2h');
    expect(await rejectionOf(run.state())).toMatchObject({ code: 'run_not_found' });
  });
});

describe('the fake timers of a test runner', () => {
  afterEach(() => void vi.useRealTimers());

  it('are refused with a hint, in every call', async () => {
    const sentence = { code: 'invalid_definition', hint: expect.stringContaining('vi.useRealTimers()') as string };
    const t = testApp();
    vi.useFakeTimers();
    expect(() => testApp()).toThrow('testApp: the fake timers of the test runner are installed');
    expect(await rejectionOf(t.advance('1s'))).toMatchObject(sentence);
    expect(await rejectionOf(t.advance('1s'))).toHaveProperty(
      'message',
      expect.stringContaining('this clock is virtual'),
    );
    vi.useRealTimers();
    await t.close();
  });

  it('are allowed if only the date is faked', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    await using t = testApp();
    await t.advance('1s');
  });
});

describe('closing', () => {
  it('does not wait for handlers, whether they use their signal or not', async () => {
    const t = testApp();
    const reasons: string[] = [];
    const heeding = t.app.task(
      'heeding',
      ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    );
    const deaf = t.app.task('deaf', ({ signal }) => {
      signal.addEventListener('abort', () => reasons.push((signal.reason as { code: string }).code));
      return new Promise<void>(() => undefined);
    });
    await t.app.worker({ slots: 2 });
    const runs = [heeding.run(undefined), deaf.run(undefined)];
    await t.advance('1s');
    for (const run of runs) expect(await run.state()).toBe('active');
    await t.close();
    expect(reasons).toEqual(['shutdown']);
  });
});

describe("the user's own app", () => {
  // As in a module of its own: its backend is a server that no test should need.
  let connections = 0;
  const shop = app({
    backend: () => {
      connections++;
      throw new EngineError('transport_failed', 'there is no server here.');
    },
    namespace: 'shop',
  });
  const charge = shop.task('charge', ({ input }: TaskContext<{ cents: number }>) => `paid ${input.cents}`);
  const mail = shop.task<{ to: string }, string>('mail:send');

  it.each([1, 2])('runs in memory under virtual time, in one test after another: %i', async () => {
    await using t = testApp(shop);
    expect(t.app).toBe(shop);
    mail.handle(({ input }) => `sent to ${input.to}`);
    await shop.worker();
    const paid = charge.run({ cents: 5 }, { delay: '1d', id: 'o1' });
    await t.advance('2d');
    expect(await paid.result()).toBe('paid 5');
    expect((await paid).deduplicated).toBe(false);
    expect(await mail.run({ to: 'x' }).result()).toBe('sent to x');
    expect(await paid.info()).toMatchObject({ execution: { namespace: 'shop' }, task: 'charge' });
    shop.task('only here', () => 1);
  });

  it('is unchanged afterwards', async () => {
    expect(connections).toBe(0);
    expect(shop.connection().state).toBe('idle');
    expect(() => mail.handle(() => '')).not.toThrow();
  });

  it('starts the older of equal runs first, as other backends do', async () => {
    await using t = testApp();
    const started: number[] = [];
    const note = t.app.task('note', ({ input }: { input: number }) => void started.push(input));
    const wanted = Array.from({ length: 12 }, (_, index) => index);
    await note.runMany(wanted);
    await t.app.worker();
    await t.advance('1s');
    expect(started).toEqual(wanted);
  });

  it('passes work that becomes due again each time it is done', async () => {
    await using t = testApp();
    let attempts = 0;
    const again = t.app.task('again', () => {
      attempts += 1;
      return delay(0);
    });
    await t.app.worker();
    await again.run();
    await t.advance('20ms');
    expect(attempts).toBeGreaterThan(10);
    expect(attempts).toBeLessThan(30);
  });

  it('is refused if it was used before', async () => {
    const used = app({ backend: memory() });
    await used.task('t', () => 1).run();
    expect(() => testApp(used)).toThrow('testApp(app): the app is in use');
    await used.close();
    const t = testApp(shop);
    expect(() => testApp(shop)).toThrow('an earlier testApp(app) is still open');
    await t.close();
    testApp(shop);
  });

  it('refuses unknown options', () => {
    expect(() => testApp({ seeds: 5 } as never)).toThrow('testApp: there is no option "seeds"');
    expect(() => testApp(shop, { retention: 'long' as never })).toThrow('testApp: retention must be a duration');
    expect(() => testApp({ startAt: NaN })).toThrow('testApp: startAt must be a whole number');
    expect(() => testApp({ seed: NaN })).toThrow('testApp: seed must be a whole number');
  });
});
