/** Handlers that spend: what they hold is renewed with them, and given back when they end. */
import { describe, expect, test } from 'vitest';
import {
  app,
  backoff,
  EngineError,
  type Backend,
  type Duration,
  type ErrorCode,
  type TaskContext,
} from '../../src/index.js';
import { testApp } from '../../src/testing/index.js';
import { defaultTtlMs, Held } from '../../src/worker/budgets/held.js';
import { harness } from './harness.js';
import { ManualClock } from './manual-clock.js';

test('a reservation is renewed while its handler runs, and released when the handler ends without settling it', async () => {
  await using t = await testApp();
  const budget = t.app.budget('tokens', { limits: { tokens: { hard: 10 } } });
  let end = (): void => undefined;
  const task = t.app.task('hold', async ({ budget: use }: TaskContext<{ n: number }>) => {
    await use(budget).reserve({ tokens: 10 }, { ttl: '2s' });
    await new Promise<void>((resolve) => (end = resolve));
    return 'done';
  });
  await t.app.worker();
  const run = task.run({ n: 1 });
  await t.advance('1s');
  await t.advance('30s');
  expect((await budget.status()).reserved).toEqual({ tokens: 10 });
  end();
  await t.advance('3s');
  expect(await run.result()).toBe('done');
  expect(await budget.status()).toMatchObject({ reserved: {}, usage: {} });
});

describe('a reservation that waits for room', () => {
  /** A run that reserves 10 of a budget of 10, of which another run holds or uses 6; its own end, and when it came. */
  async function waiting(amount: number, wait?: Duration) {
    const h = harness();
    const budget = h.a.budget('tokens', { limits: { tokens: { hard: 10 } }, resetEvery: '1d' });
    const holds = h.a.task('holds', async ({ budget: use, signal }: TaskContext) => {
      await use(budget).reserve({ tokens: 6 });
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    });
    const waits = h.a.task('waits', async ({ budget: use }: TaskContext) => {
      await use(budget).reserve({ tokens: amount }, { wait });
    });
    await h.a.worker({ slots: 2 });
    const holder = await holds.run();
    await h.until(async () => (await budget.status()).reserved['tokens'] === 6);
    const run = await waits.run();
    const from = h.clock.now();
    const ended = run.result().then(
      () => 'reserved',
      ({ category }: { category: string }) => category,
    );
    const end = async (): Promise<[string, number]> => [await h.flow(ended), h.clock.now() - from];
    return { h, budget, holder, end };
  }

  test('gets it when another reservation ends', async () => {
    const { h, holder, end } = await waiting(10, '30s');
    await h.pass(12_000);
    await holder.cancel();
    const [outcome, afterMs] = await end();
    expect(outcome).toBe('reserved');
    expect(afterMs).toBeGreaterThanOrEqual(12_000);
    expect(afterMs).toBeLessThan(16_000);
    await h.close();
  });

  test('gets it when the limit is raised, also if usage took it', async () => {
    const { h, budget, end } = await waiting(10, '30s');
    await h.flow(budget.report({ tokens: 4 }));
    await h.pass(5_000);
    await h.flow(budget.setLimits({ tokens: { hard: 20 } }));
    const [outcome, afterMs] = await end();
    expect([outcome, afterMs < 8_000]).toEqual(['reserved', true]);
    await h.close();
  });

  test.each([
    ['after its time', 10, '30s', 30_000],
    ['at once without a time', 10, undefined, 0],
    ['at once if the amount is above the limit', 11, '30s', 0],
  ] as const)('is refused %s', async (_, amount, wait, refusedAfterMs) => {
    const { h, end } = await waiting(amount, wait);
    const [outcome, afterMs] = await end();
    expect(outcome).toBe('budget_exceeded');
    expect(afterMs).toBeGreaterThanOrEqual(refusedAfterMs);
    expect(afterMs).toBeLessThan(refusedAfterMs + 1_500);
    await h.close();
  });
});

test('usage is reported once per key, and charged to the run', async () => {
  await using t = await testApp();
  const budget = t.app.budget('tokens', { limits: { tokens: { hard: 10 } } });
  const task = t.app.task('spend', async ({ budget: use, executionId }: TaskContext<{ n: number }>) => {
    await use(budget).report({ tokens: 4 }, { key: executionId });
    await use(budget).report({ tokens: 4 }, { key: executionId });
  });
  await t.app.worker();
  await task.run({ n: 1 }).result();
  expect((await budget.status()).usage).toEqual({ tokens: 4 });
  await expect(budget.report({ tokens: 7 })).rejects.toMatchObject({ dimension: 'tokens', limit: 10 });
  await budget.setLimits({ tokens: { hard: 11 } });
  await budget.report({ tokens: 7 });
  await budget.reset();
  expect(await budget.status()).toMatchObject({ usage: { tokens: 0 }, exhausted: [], resetCount: 1 });
  expect((await budget.bill()).map(({ spent }) => spent)).toEqual([{ tokens: 11 }]);
});

test('a handler neither fails nor spends twice when its calls fail', async () => {
  const faults: ErrorCode[] = [];
  const lost = (): void => {
    const code = faults.shift();
    if (code !== undefined) throw new EngineError(code, 'no answer.');
  };
  const h = harness((inner) => ({
    reserveBudget: (args) => inner.reserveBudget(args).finally(lost),
    settleReservation: (args) => inner.settleReservation(args).finally(lost),
    releaseReservation: (args) => inner.releaseReservation(args).finally(lost),
    reportUsage: (args) => inner.reportUsage(args).finally(lost),
  }));
  const budget = h.a.budget('tokens', { limits: { tokens: { hard: 100 } } });
  const unusedTokens = 5;
  const task = h.a.task('spend', async ({ budget: use, executionId }: TaskContext<null>) => {
    faults.push('call_timeout', 'server_refused');
    const held = await use(budget).reserve({ tokens: 50 });
    faults.push('transport_failed', 'library_mismatch');
    await held.settle({ tokens: 30 });
    faults.push('call_timeout');
    await use(budget).report({ tokens: 4 }, { key: executionId });
    await using unused = await use(budget).reserve({ tokens: unusedTokens });
    faults.push('transport_failed', 'call_timeout');
    return unused.amounts;
  });
  await h.worker();
  expect(await h.flow(task.run(null).result())).toEqual({ tokens: unusedTokens });
  expect([await h.flow(budget.status()), faults]).toMatchObject([{ reserved: {}, usage: { tokens: 34 } }, []]);
  await h.close();
});

test('a report outside of handlers is repeated after a lost answer with a key, and never counted twice without one', async () => {
  let lost = 0;
  const h = harness((inner) => ({
    reportUsageAdmin: async (args) => {
      const outcome = await inner.reportUsageAdmin(args);
      if (lost-- > 0) throw new EngineError('call_timeout', 'no answer.');
      return outcome;
    },
  }));
  const budget = h.a.budget('tokens', { limits: { tokens: { hard: 100 } } });
  lost = 1;
  await h.flow(budget.report({ tokens: 4 }, { key: 'k' }));
  lost = 1;
  await expect(h.flow(budget.report({ tokens: 3 }))).rejects.toMatchObject({ code: 'call_timeout' });
  expect(await h.flow(budget.status())).toMatchObject({ usage: { tokens: 7 } });
  await h.close();
});

test('values that are not budgets, and unknown options, are refused by name', async () => {
  await using t = await testApp();
  const budget = t.app.budget('tokens', { limits: { tokens: { hard: 10 } } });
  const told: unknown[] = [];
  const task = t.app.task('spend', async ({ budget: use }: TaskContext<null>) => {
    for (const spend of [
      () => use('tokens' as never).report({ tokens: 1 }),
      () => use(undefined as never).report({ tokens: 1 }),
      () => use(budget).reserve({ tokens: 1 }, { tll: '1m' } as never),
      () => use(budget).reserve({ tokens: 1 }, { ttl: '10ms' }),
      () => use(budget).report({ tokens: 1 }, { dedupKey: 'k' } as never),
    ])
      await (async () => spend())().catch((error: Error) => told.push(error.message));
  });
  await t.app.worker();
  await task.run(null).result();
  expect(told).toEqual([
    'budget(): pass what app.budget(...) gave, not "tokens"',
    'budget(): pass what app.budget(...) gave, not undefined',
    'reserve: there is no option "tll"; the options are ttl, wait',
    'reserve: ttl must be at least 1000 ms, not "10ms"',
    'report: there is no option "dedupKey"; the only option is key',
  ]);
});

describe('a reservation whose handlers hold the event loop', () => {
  const LEASE_MS = 10_000;

  /** A reservation just granted, on a server that answers after `latencyMs`. It knows when the room was lost. */
  function setUp({ latencyMs, faults = [] }: { latencyMs: number; faults?: ErrorCode[] }) {
    const clock = new ManualClock();
    const ttlMs = defaultTtlMs(LEASE_MS);
    const sentAt: number[] = [];
    const lapsedAt: number[] = [];
    let endsAt = ttlMs;
    const renewReservation = (): Promise<void> =>
      new Promise((resolve, reject) => {
        const fault = faults.shift();
        sentAt.push(clock.time);
        if (clock.time + latencyMs > endsAt) lapsedAt.push(clock.time);
        if (fault === undefined) endsAt = clock.time + latencyMs + ttlMs;
        clock.arrives(clock.time + latencyMs, () =>
          fault === undefined ? resolve() : reject(new EngineError(fault, 'x.')),
        );
      });
    const call = <T>(fn: () => Promise<T>): Promise<T> => fn();
    const follow = <T>(_what: string, made: Promise<T>): Promise<T> => made;
    const ids = { budgetId: 'b', reservationId: 'r', leaseEpoch: 1, words: { name: 'b', dimensions: undefined } };
    const backend = { renewReservation } as unknown as Backend;
    const options = {
      ...ids,
      backend,
      clock,
      ttlMs,
      ask: call,
      during: call,
      amounts: {},
      isOver: () => false,
      follow,
    };
    return { clock, sentAt, lapsedAt, grant: () => new Held({ ...options, askedAt: 0 }) };
  }

  test('at two places of every turn, each for nearly two thirds of the lease, keeps its room', async () => {
    const shares = [0, 0.2, 0.33, 0.5, 0.66];
    const cases = shares.flatMap((first) =>
      shares.flatMap((second) =>
        // How late the answer to the request is read, and how long the loop is free before each turn.
        [0, 0.27, 1.32].flatMap((late) => [0, 0.24, 0.27].map((pause) => ({ first, second, late, pause }))),
      ),
    );
    for (const { first, second, late, pause } of cases)
      for (const latencyMs of [1, 150]) {
        const { clock, sentAt, lapsedAt, grant } = setUp({ latencyMs });
        clock.time = late * LEASE_MS;
        grant();
        for (let turn = 0; turn < 12; turn++) {
          await clock.pass(pause * LEASE_MS);
          await clock.blockTwice(first * LEASE_MS, second * LEASE_MS);
        }
        expect({ first, second, late, pause, latencyMs, lapsedAt }).toMatchObject({ lapsedAt: [] });
        if (first + second > 0.3) expect(sentAt.length).toBeGreaterThan(10);
      }
  });

  test('is renewed again after every fault that can pass, and not after a refusal', async () => {
    const faults: ErrorCode[] = ['call_timeout', 'server_refused', 'library_mismatch', 'reservation_closed'];
    const { clock, sentAt, grant } = setUp({ latencyMs: 1, faults });
    grant();
    await clock.pass(60_000);
    expect(sentAt.length).toBe(4);
    expect(faults).toEqual([]);
  });
});

describe('a run that is taken over', () => {
  /** A harness whose first process was killed while its handler held 600 of 1,000 tokens, and its second process. */
  async function afterKill(
    ttl: '1m' | '5s' | undefined,
    lostLeaseTtl: '10s' | '60s' | '4m' = '10s',
    fails: (attempt: number) => boolean = () => false,
  ) {
    let isDead = false;
    let attempts = 0;
    const never = new Promise<never>(() => undefined);
    const h = harness();
    const cut = Object.assign(Object.create(h.inner) as typeof h.inner, {
      execute: (...args: Parameters<typeof h.inner.execute>) => (isDead ? never : h.inner.execute(...args)),
      reserveBudget: async (args: never) => {
        const outcome = await h.inner.reserveBudget(args);
        isDead = true;
        return outcome;
      },
      renewReservation: (args: never) => (isDead ? never : h.inner.renewReservation(args)),
      releaseReservation: (args: never) => (isDead ? never : h.inner.releaseReservation(args)),
    });
    const first = app({ backend: cut, clock: h.clock });
    const made = [first, h.a].map((each) => {
      const tokens = each.budget('tokens', { limits: { tokens: { hard: 1_000 } } });
      const retry = { failures: fails(2) ? 1 : 0, backoff: backoff.fixed('1s') };
      const task = each.task('answer', { retry }, async ({ budget }: TaskContext<null>) => {
        if (fails(++attempts)) throw new Error('not now');
        await using held = await budget(tokens).reserve({ tokens: 600 }, { ttl });
        if (each === first) await never;
        await held.settle({ tokens: 600 });
        return h.clock.now();
      });
      return { task, tokens };
    });
    const [dying, next] = made as [(typeof made)[number], (typeof made)[number]];
    await first.worker({ leaseTtl: lostLeaseTtl });
    const run = await dying.task.run(null);
    await h.until(() => isDead);
    const killedAt = h.clock.now();
    await h.a.worker({ leaseTtl: '10s' });
    return { h, killedAt, run: next.task.get(run.id), tokens: next.tokens };
  }

  test.each([
    ['1m', '10s', 60_000],
    ['5s', '10s', 10_000],
    // Five thirds of the lease of its owner.
    [undefined, '10s', 16_667],
    [undefined, '60s', 100_000],
    [undefined, '4m', 400_000],
  ] as const)(
    'reserves again once the reservation of its killed owner, with a ttl of %s and a lease of %s, has ended',
    async (ttl, lostLeaseTtl, afterMs) => {
      const { h, killedAt, run, tokens } = await afterKill(ttl, lostLeaseTtl);
      const tookMs = (await h.flow(run.result())) - killedAt;
      expect(tookMs).toBeGreaterThanOrEqual(afterMs);
      expect(tookMs).toBeLessThan(afterMs + 3_000);
      expect(await h.flow(tokens.status())).toMatchObject({ usage: { tokens: 600 }, reserved: {}, exhausted: [] });
      await h.close();
    },
  );

  test('waits in a retry too, although another attempt has ended since', async () => {
    const { h, killedAt, run, tokens } = await afterKill('1m', '10s', (attempt) => attempt === 2);
    const tookMs = (await h.flow(run.result())) - killedAt;
    expect(tookMs).toBeGreaterThanOrEqual(60_000);
    expect(tookMs).toBeLessThan(63_000);
    expect((await h.flow(run.info())).execution).toMatchObject({ totalAttemptCount: 3, retryCount: 1 });
    expect(await h.flow(tokens.status())).toMatchObject({ usage: { tokens: 600 } });
    await h.close();
  });

  test('is refused at once if the end of a reservation frees no room', async () => {
    const { h, killedAt, run, tokens } = await afterKill('1m');
    await h.flow(tokens.report({ tokens: 400 }));
    await h.flow(tokens.setLimits({ tokens: { hard: 999 } }));
    await expect(h.flow(run.result())).rejects.toMatchObject({ category: 'budget_exceeded' });
    expect(h.clock.now() - killedAt).toBeLessThan(12_000);
    await h.close();
  });

  test.each([
    ['1m', 60_000],
    // The lease of its owner, and five thirds of it.
    [undefined, 26_667],
  ] as const)('is refused if other reservations still leave no room, with a ttl of %s', async (ttl, afterMs) => {
    const { h, killedAt, run, tokens } = await afterKill(ttl);
    await h.flow(tokens.setLimits({ tokens: { hard: 1_001 } }));
    const other = { reservationId: '00000000-0000-4000-8000-000000000001', amounts: { tokens: 401 } };
    await h.inner.reserveBudget({ budgetId: tokens.id, ...other, ttlMs: 600_000 });
    await h.flow(tokens.setLimits({ tokens: { hard: 1_000 } }));
    await expect(h.flow(run.result())).rejects.toMatchObject({ category: 'budget_exceeded' });
    expect(h.clock.now() - killedAt).toBeGreaterThan(afterMs);
    expect(h.clock.now() - killedAt).toBeLessThan(afterMs + 20_000);
    await h.close();
  });
});
