/** Limits of tasks at the user's level: how many at once, how many in a window, per key; in memory and on a server. */
import { afterEach, describe, expect, test } from 'vitest';
import { app, memory, type App, type RunDroppedError, type TaskContext } from '../../src/index.js';
import { testApp } from '../../src/testing/index.js';
import { valkey } from '../../src/valkey/index.js';
import { InvalidDefinitionError, InvalidInputError } from '../../src/shared/errors.js';
import { sharedValkey } from '../support/valkey/index.js';
import { deferred, rejectionOf, until } from './support.js';

interface Mail {
  readonly tenant: string;
}

const SPENDER = '{fp:0}:00000000-0000-4000-a000-000000000001';
const opened: App[] = [];
let prefixes = 0;

const BACKENDS = {
  memory: () => memory(),
  valkey: async () => valkey({ url: (await sharedValkey()).url, prefix: `quota-${process.pid}-${prefixes++}:` }),
} as const;

async function appOn(name: keyof typeof BACKENDS): Promise<App> {
  const made = app({ backend: await BACKENDS[name]() });
  opened.push(made);
  return made;
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((each) => each.close()));
});

describe.each(Object.keys(BACKENDS) as (keyof typeof BACKENDS)[])('limits of tasks on %s', (name) => {
  test('no key has more runs at once than its limit, and each end lets the next run start', async () => {
    const it = await appOn(name);
    const [running, most] = [new Map<string, number>(), new Map<string, number>()];
    const send = it.task(
      'send',
      { quota: { per: ({ tenant }: Mail) => tenant, concurrency: 2 } },
      async ({ input }: TaskContext<Mail>) => {
        const now = (running.get(input.tenant) ?? 0) + 1;
        running.set(input.tenant, now);
        most.set(input.tenant, Math.max(most.get(input.tenant) ?? 0, now));
        await new Promise((resolve) => setTimeout(resolve, 3));
        running.set(input.tenant, (running.get(input.tenant) ?? 0) - 1);
      },
    );
    await it.worker({ slots: 10 });
    const runs = await send.runMany(Array.from({ length: 24 }, (_, i) => ({ tenant: `t${i % 3}` })));
    await Promise.all(runs.map((run) => run.result()));
    expect(most.size).toBe(3);
    expect(Math.max(...most.values())).toBeLessThanOrEqual(2);
    await until(async () => (await it.quotas.of(send, { tenant: 't1' }))[0]?.held === 0);
  });

  test('with one slot and a concurrency of one, each end lets the next run start at once', async () => {
    const it = await appOn(name);
    const work = it.task('work', { quota: { concurrency: 1 } }, async ({ input }: TaskContext<number>) => {
      await new Promise((resolve) => setTimeout(resolve, 3));
      return input;
    });
    await it.worker();
    const runs = await work.runMany([1, 2, 3]);
    expect(await Promise.all(runs.map((run) => run.result({ timeout: '20s' })))).toEqual([1, 2, 3]);
  });

  test('a tenant at its limit does not delay another tenant', async () => {
    const it = await appOn(name);
    const gate = deferred();
    const send = it.task(
      'send',
      { quota: { per: ({ tenant }: Mail) => tenant, concurrency: 1 } },
      async ({ input }: TaskContext<Mail>) => {
        if (input.tenant === 'slow') await gate.promise;
        return input.tenant;
      },
    );
    await it.worker({ slots: 4 });
    const slow = await send.runMany(Array.from({ length: 5 }, () => ({ tenant: 'slow' })));
    expect(await send.run({ tenant: 'fast' }).result()).toBe('fast');
    expect(await it.quotas.of(send, { tenant: 'slow' })).toMatchObject([{ key: 'slow', concurrency: 1, held: 1 }]);
    gate.resolve();
    await Promise.all(slow.map((run) => run.result()));
  });

  test('a run over its limit is dropped, or the oldest waiting run is cancelled, as the limit says', async () => {
    const it = await appOn(name);
    const gate = deferred();
    const wait = async ({ input }: TaskContext<Mail>) => {
      await gate.promise;
      return input.tenant;
    };
    const per = ({ tenant }: Mail) => tenant;
    const [a, b] = [{ tenant: 'a' }, { tenant: 'b' }];
    const drop = it.task('drop', { quota: { per, concurrency: 1, whenFull: 'drop' } }, wait);
    const newest = it.task('newest', { quota: { per, concurrency: 1, whenFull: 'cancel_oldest' } }, wait);
    const kept = await drop.runMany([a, a, b]).then(
      () => [],
      (error) => (error as RunDroppedError<string>).runs,
    );
    expect(kept.map((run) => run !== undefined)).toEqual([true, false, true]);
    const first = await newest.run(a);
    const second = await newest.run(a);
    expect(await rejectionOf(first.result())).toMatchObject({ code: 'run_cancelled' });
    await it.worker({ slots: 8 });
    await until(async () => (await it.quotas.of(drop, b))[0]?.held === 1 && (await second.state()) === 'active');
    expect(await rejectionOf(drop.run(b))).toMatchObject({ code: 'run_dropped', task: 'drop' });
    const third = await newest.run(a);
    const fourth = await newest.run(a);
    expect(await rejectionOf(third.result())).toMatchObject({ code: 'run_cancelled' });
    gate.resolve();
    expect(await Promise.all([...kept, second, fourth].map((run) => run?.result()))).toEqual([
      'a',
      undefined,
      'b',
      'a',
      'a',
    ]);
    await until(async () => (await it.quotas.of(drop, b))[0]?.held === 0);
    expect(await drop.run(b).result()).toBe('b');
    expect(await rejectionOf(drop.run(b, { id: 'mine' }))).toBeInstanceOf(InvalidDefinitionError);
  });

  test('tasks of two apps share a quota that drops and cancels: each task counts its own waiting runs', async () => {
    const backend = await BACKENDS[name]();
    const apps = ['first', 'second'].map(() => app({ backend, closeBackend: false }));
    const gate = deferred();
    const wait = async ({ input }: TaskContext<string>) => {
      await gate.promise;
      return input;
    };
    const shared = { name: 'shared', concurrency: 1 } as const;
    const [one, other] = apps as [App, App];
    const queued = one.task('queued', { quota: shared }, wait);
    const newest = one.task('newest', { quota: { ...shared, whenFull: 'cancel_oldest' } }, wait);
    const strict = other.task('strict', { quota: { ...shared, whenFull: 'drop' } }, wait);
    await one.worker({ slots: 4 });
    await other.worker({ slots: 4 });
    const held = await queued.run('held');
    await until(async () => (await held.state()) === 'active');
    const behind = await queued.run('behind');
    expect(await rejectionOf(strict.run('s'))).toMatchObject({ code: 'run_dropped', task: 'strict' });
    const [older, newer] = [await newest.run('older'), await newest.run('newer')];
    expect(await rejectionOf(older.result())).toMatchObject({ code: 'run_cancelled' });
    expect((await one.quotas.of(newest, 'any'))[0]).toMatchObject({ name: 'shared', held: 1 });
    gate.resolve();
    expect(await Promise.all([held, behind, newer].map((run) => run.result()))).toEqual(['held', 'behind', 'newer']);
    await until(async () => (await other.quotas.of(strict, 'any'))[0]?.held === 0);
    expect(await strict.run('last').result()).toBe('last');
    await Promise.all(apps.map((each) => each.close()));
    await backend.close();
  });

  test('only the quota that drops decides whether a run is dropped', async () => {
    const it = await appOn(name);
    const task = it.task('mixed', {
      quota: [{ name: 'rate', rate: { limit: 3, window: '10s' }, whenFull: 'drop' }, { concurrency: 1 }],
    });
    for (let i = 0; i < 3; i++) await task.run(null);
    expect(await rejectionOf(task.run(null))).toMatchObject({ code: 'run_dropped' });
    const kept = it.task('kept', {
      quota: [{ name: 'wide', concurrency: 3, whenFull: 'cancel_oldest' }, { concurrency: 1 }],
    });
    const runs = [];
    for (let i = 0; i < 4; i++) runs.push(await kept.run(null));
    const states = await Promise.all(runs.map((run) => run.state()));
    expect(states).toEqual(['cancelled', 'waiting', 'waiting', 'waiting']);
  });

  test('runs that wait for a budget start as soon as there is room', async () => {
    const it = await appOn(name);
    const tokens = it.budget('tokens', { limits: { tokens: { hard: 10 } } });
    const spend = it.task('spend', { budget: tokens }, () => 'spent');
    await tokens.status();
    const worker = await it.worker();
    const lifts = [
      () => tokens.reset(),
      () => tokens.setLimits({ tokens: { hard: 20 } }),
      async () => {
        const backend = await it.backend();
        await backend.releaseBudget({ budgetId: tokens.id, executionId: SPENDER });
      },
    ];
    for (const lift of lifts) {
      // A claim that is under way has seen room.
      await until(() => worker.stats().claiming === 'idle');
      const backend = await it.backend();
      await backend.recordSpend({ budgetId: tokens.id, executionId: SPENDER, deltas: { tokens: 10 } });
      const run = await spend.run();
      await new Promise((resolve) => setTimeout(resolve, 30));
      expect(await run.state()).toBe('waiting');
      const [liftedAt] = [Date.now(), await lift()];
      expect(await run.result()).toBe('spent');
      // A look without a wake comes after five seconds.
      expect(Date.now() - liftedAt).toBeLessThan(2_000);
    }
  });

  test('a run over the rate starts one window after the first run was admitted, and not earlier', async () => {
    const it = await appOn(name);
    const starts: number[] = [];
    const poll = it.task(
      'poll',
      { quota: [{ rate: { limit: 2, window: '1s' } }, { concurrency: 5 }] },
      () => void starts.push(Date.now()),
    );
    await it.worker({ slots: 5 });
    // Starts are counted when they are admitted, and handlers run a moment later: that moment differs from run to run.
    const askedFrom = Date.now();
    const runs = await poll.runMany([undefined, undefined, undefined]);
    await Promise.all(runs.map((run) => run.result()));
    expect((starts[2] as number) - askedFrom).toBeGreaterThanOrEqual(1_000);
  });
});

test('no window has more starts than its rate, and running work does not reduce that number', async () => {
  await using t = await testApp();
  const gate = deferred();
  const starts: number[] = [];
  const poll = t.app.task('poll', { quota: { rate: { limit: 2, window: '1s' } } }, async () => {
    starts.push(t.now());
    await gate.promise;
  });
  await t.app.worker({ slots: 50 });
  await poll.runMany(Array.from({ length: 20 }, () => undefined));
  await t.advance('4s');
  expect(starts.length).toBeGreaterThanOrEqual(8);
  for (let i = 2; i < starts.length; i++)
    expect((starts[i] as number) - (starts[i - 2] as number)).toBeGreaterThanOrEqual(1_000);
  gate.resolve();
});

describe('a limit', () => {
  test.each([
    [{}, 'a concurrency, a rate, or both'],
    [{ concurrency: 0 }, 'concurrency'],
    [{ rate: { limit: 5 } }, 'rate.window'],
    [{ rate: { limit: 5, window: 1_500 } }, 'whole seconds'],
    [{ concurrency: 1, per: 'tenant' }, 'function'],
    [{ concurrency: 1, cap: 2 }, 'cap'],
    [{ concurrency: 1, whenFull: 'fail' }, 'whenFull'],
    [[1, 2].map((concurrency) => ({ concurrency, whenFull: 'drop' })), 'one quota at most'],
  ])('cannot be %j', (quota, message) => {
    const it = app({ backend: memory() });
    expect(() => it.task('t', { quota } as never, () => 1)).toThrow(InvalidDefinitionError);
    expect(() => it.task('t', { quota } as never, () => 1)).toThrow(message);
  });

  test('an input without a key is refused where the run is created', async () => {
    const it = await appOn('memory');
    const send = it.task('send', { quota: { per: ({ tenant }: Mail) => tenant, concurrency: 1 } }, () => 1);
    expect(await rejectionOf(send.run({}))).toBeInstanceOf(InvalidInputError);
    expect(await rejectionOf(send.run(undefined))).toBeInstanceOf(InvalidInputError);
  });
});
