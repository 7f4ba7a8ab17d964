/** After the server was emptied, a process that runs goes on: what it believed to exist is created again. */
import { Valkey } from 'iovalkey';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { app, InvalidDefinitionError, type App, type TaskContext } from '../../src/index.js';
import { systemClock } from '../../src/engine/clock.js';
import { valkey } from '../../src/valkey/index.js';
import { collectingLog, until } from '../app/support.js';
import { sharedValkey } from '../support/valkey/index.js';

const PREFIX = `emptied-${process.pid}:`;
const LIMITS = { tokens: { hard: 1_000 } };
const WAIT = { timeout: '20s' } as const;
let it: App;
let admin: Valkey;

beforeAll(async () => {
  const { url } = await sharedValkey();
  admin = new Valkey(url);
  it = app({ backend: valkey({ url, prefix: PREFIX, partitions: { count: 1 } }) });
  await it.backend();
});
afterAll(async () => {
  await it?.close();
  admin?.disconnect();
});

/** Deletes all keys of these families. */
async function empty(families = ''): Promise<void> {
  const keys = await admin.keys(`${PREFIX}${families}*`);
  if (keys.length > 0) await admin.del(...keys);
}

test('a budget is created again by every call that needs it', async () => {
  const tokens = it.budget('tokens', { limits: LIMITS });
  const calls = {
    status: () => tokens.status(),
    bill: () => tokens.bill(),
    setLimits: () => tokens.setLimits({ tokens: { hard: 2_000 } }),
    reset: () => tokens.reset(),
    report: () => tokens.report({ tokens: 1 }),
    reportWithKey: () => tokens.report({ tokens: 1 }, { key: 'once' }),
  };
  for (const [name, call] of Object.entries(calls)) {
    await tokens.status();
    await empty('{b:');
    await expect(call(), name).resolves.not.toThrow();
  }
  await empty('{b:');
  // Calls that fail together create it once, and count each.
  await Promise.all([1, 2, 3].map((amount) => tokens.report({ tokens: amount })));
  expect((await tokens.status()).usage).toEqual({ tokens: 6 });
});

test('a process that only creates runs creates their budget again, for workers without its definition', async () => {
  const { url } = await sharedValkey();
  const opened = (clock = systemClock) =>
    app({ clock, backend: valkey({ url, prefix: PREFIX, partitions: { count: 1 } }) });
  let nowMs = 0;
  const [worker, creator] = [opened(), opened({ ...systemClock, now: () => nowMs })];
  const named = worker.budget('shared');
  const spend = ({ budget }: TaskContext<undefined>) => budget(named).report({ tokens: 600 });
  worker.task('spends', { budget: named, retry: { failures: 0 } }, spend);
  const spends = creator.task('spends', { budget: creator.budget('shared', { limits: LIMITS }) });
  await worker.worker();
  await spends.run().result(WAIT);
  await empty('{b:');
  // For a second the creator takes the budget for existing; the handler is told which budget is missing.
  const failed = await spends
    .run()
    .result(WAIT)
    .catch((error: unknown) => error);
  expect(String(failed)).toContain('budget_not_found: "shared"');
  nowMs += 1_000;
  await spends.run().result(WAIT);
  // And its limit holds.
  await expect(spends.run().result(WAIT)).rejects.toThrow('shared');
  await Promise.all([worker.close(), creator.close()]);
});

test('work in hand that the server has lost is logged once', async () => {
  const { url } = await sharedValkey();
  const { log, lines } = collectingLog();
  const prefix = `${PREFIX}lost:`;
  const a = app({ log, backend: valkey({ url, prefix, partitions: { count: 1 } }) });
  const codes: string[] = [];
  const hangs = a.task('hangs', ({ signal }: TaskContext<number>) => {
    return new Promise<void>((resolve) =>
      signal.addEventListener('abort', () => {
        codes.push((signal.reason as { code: string }).code);
        resolve();
      }),
    );
  });
  const worker = await a.worker({ slots: 3, leaseTtl: '1s' });
  await hangs.runMany([1, 2, 3]);
  await until(() => worker.stats().running === 3);
  const keys = await admin.keys(`${prefix}*`);
  await admin.del(...keys);
  await until(() => codes.length === 3);
  expect(codes).toEqual(['lease_lost', 'lease_lost', 'lease_lost']);
  expect(lines.filter((line) => line.includes('The store no longer knows "hangs"'))).toHaveLength(1);
  await a.close();
});

test('a budget without a definition is not found, and runs that need it are refused', async () => {
  const other = it.budget('other', { limits: LIMITS });
  const named = it.budget('other');
  const uses = it.task('uses', { budget: named }, () => 1);
  await other.status();
  await uses.run();
  await empty('{b:');
  await expect(named.status()).rejects.toMatchObject({
    code: 'budget_not_found',
    message: expect.stringContaining('"other"') as string,
  });
  await expect(uses.run()).rejects.toBeInstanceOf(InvalidDefinitionError);
});

test('runs report and reserve, are refused by the budget, and are admitted by quotas', async () => {
  const tokens = it.budget('spent', { limits: LIMITS });
  const spend = it.task('spend', { budget: tokens, retry: { failures: 0 } }, async (c: TaskContext<string>) => {
    const own = c.budget(tokens);
    if (c.input === 'report') return own.report({ tokens: 1 });
    await using held = await own.reserve({ tokens: 2 });
    if (c.input === 'lost') await empty('{b:');
    if (c.input === 'settle') await held.settle({ tokens: 2 });
  });
  const refuses = it.task('refuses', { budget: { of: tokens, whenExhausted: 'refuse' } }, () => 'let through');
  const limited = it.task('limited', { quota: { concurrency: 1 } }, () => 'admitted');
  await using _ = await it.worker({ slots: 5 });
  const all = async () => {
    // Each of them is the first to meet the loss.
    for (const how of ['report', 'release', 'settle', 'lost']) {
      const run = await spend.run(how);
      await run.result(WAIT);
      expect(await run.usage(tokens)).toMatchObject([{ budgetId: tokens.id }]);
      await empty('{b:');
    }
    expect(await (await refuses.run()).result(WAIT)).toBe('let through');
    expect(await (await limited.run()).result(WAIT)).toBe('admitted');
  };
  await all();
  await empty();
  await all();
});
