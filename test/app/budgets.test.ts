/** Budgets of tasks: runs wait or are refused while one is exhausted, what they used is known, and bills say it. */
import { expect, test, vi } from 'vitest';
import {
  app,
  BudgetExceededError,
  EngineError,
  InvalidDefinitionError,
  InvalidInputError,
  memory,
  type TaskContext,
} from '../../src/index.js';
import { knownBudgets, noteKnown } from '../../src/app/metering/budget.js';
import { testApp } from '../../src/testing/index.js';
import { valkey } from '../../src/valkey/index.js';
import { sharedValkey } from '../support/valkey/index.js';
import { collectingLog, rejectionOf } from './support.js';

const messageOf = async (call: Promise<unknown>): Promise<string> => ((await rejectionOf(call)) as Error).message;

const LIMITS = { tokens: { hard: 10 } };

interface Mail {
  readonly tenant: string;
}

test('a definition that differs from the stored one is logged once, and says how limits are changed', async () => {
  const { log, lines } = collectingLog();
  await using t = testApp({ log });
  await t.app.budget('tokens', { limits: LIMITS }).status();
  await t.app.budget('tokens', { limits: LIMITS }).status();
  expect(lines).toEqual([]);
  for (let call = 0; call < 2; call++) {
    const { hardLimits } = await t.app.budget('tokens', { limits: { tokens: { hard: 100 } } }).status();
    expect(hardLimits).toEqual({ tokens: 10 });
  }
  expect(lines).toEqual([expect.stringContaining('warn Budget "tokens" is stored with another definition')]);
  expect(lines[0]).toContain('setLimits()');
});

test('a run waits while its budget is exhausted, and starts after a reset, a release or a raise of the limit', async () => {
  await using t = await testApp();
  const tokens = t.app.budget('tokens', { limits: LIMITS });
  const spend = t.app.task('spend', { budget: tokens }, async ({ budget }: TaskContext<number>) => {
    await using held = await budget(tokens).reserve({ tokens: 4 });
    await held.settle({ tokens: 4 });
    return 'spent';
  });
  await t.app.worker();
  const lifts = [() => tokens.reset(), () => tokens.setLimits({ tokens: { hard: 30 } })];
  for (const lift of lifts) {
    const { usage, hardLimits } = await tokens.status();
    await tokens.report({ tokens: (hardLimits['tokens'] ?? 0) - (usage['tokens'] ?? 0) });
    const run = spend.run(1);
    await t.advance('1m');
    expect(await run.state()).toBe('waiting');
    await lift();
    await t.advance('2s');
    expect(await run.result()).toBe('spent');
  }
  const held = { budgetId: tokens.id, executionId: '{fp:0}:00000000-0000-4000-a000-000000000001' };
  const room = 30 - ((await tokens.status()).usage['tokens'] ?? 0);
  await t.backend.recordSpend({ ...held, deltas: { tokens: room } });
  const run = spend.run(1);
  await t.advance('1m');
  expect(await run.state()).toBe('waiting');
  await t.backend.releaseBudget(held);
  await t.advance('2s');
  expect(await run.result()).toBe('spent');
});

test('a task can refuse runs while its budget is exhausted, and a budget that was never created limits nothing', async () => {
  await using t = await testApp();
  const tokens = t.app.budget('tokens', { limits: LIMITS });
  const spend = t.app.task('spend', { budget: { of: [tokens], whenExhausted: 'refuse' } }, () => 1);
  await spend.run();
  await tokens.report({ tokens: 10 });
  expect(await rejectionOf(spend.run())).toMatchObject({ name: 'BudgetExceededError', usage: 10, limit: 10 });
  expect(await rejectionOf(spend.runMany([undefined]))).toBeInstanceOf(BudgetExceededError);
  await tokens.reset();
  await spend.run();
  const strayed = t.app.task('strayed', { budget: t.app.budget('nobody made it') }, () => 1);
  expect(await rejectionOf(strayed.run())).toBeInstanceOf(InvalidDefinitionError);
});

test('the usage of a run counts all its attempts, survives resets, and appears in the bill of its tenant', async () => {
  await using t = await testApp();
  const of = (tenant: string) =>
    t.app.budget(`tokens of ${tenant}`, { limits: LIMITS, scope: { type: 'tenant', id: tenant } });
  const answer = t.app.task(
    'answer',
    { budget: ({ tenant }: Mail) => of(tenant), retry: { failures: 1 } },
    async ({ input, budget, attempt }: TaskContext<Mail>) => {
      await budget(of(input.tenant)).report({ tokens: 3 * attempt });
      if (attempt === 1) throw new Error('again');
    },
  );
  await t.app.worker();
  const run = await answer.run({ tenant: 'acme' });
  await t.advance('10ms');
  await of('acme').reset();
  await t.advance('10s');
  await run.result();
  expect(await run.usage()).toEqual([
    { budgetId: of('acme').id, name: of('acme').name, used: { tokens: 9 }, releasable: {} },
  ]);
  expect(await t.app.get(run.id).usage()).toEqual(await run.usage());
  // A process that does not know the task does not know what it calls its budget.
  await using stranger = app({ backend: t.backend, closeBackend: false });
  expect(await stranger.get(run.id).usage()).toMatchObject([{ name: undefined }]);
  const other = of('umbrella');
  expect(await answer.get(run.id).usage(other)).toHaveLength(2);
  await expect(run.usage('tokens' as never)).rejects.toMatchObject({
    code: 'invalid_definition',
    message: 'usage(): pass what app.budget(...) gave, not "tokens"',
  });
  await other.report({ tokens: 1 });
  const rows = [];
  for await (const { name, scope, date, spent } of t.app.bills({ scope: 'tenant', of: 'acme' }))
    rows.push([name, scope.id, date, spent]);
  expect(rows).toEqual([[of('acme').name, 'acme', '2023-11-14', { tokens: 9 }]]);
  const all = [];
  for await (const { scope } of t.app.bills()) all.push(scope.id);
  expect(all.sort()).toEqual(['acme', 'umbrella']);
});

test.each(['memory', 'valkey'] as const)(
  'a flow on %s has a bill with the usage of its members per budget',
  async (name) => {
    const backend =
      name === 'memory' ? memory() : await valkey({ url: (await sharedValkey()).url, prefix: `bill-${process.pid}:` });
    await using a = app({ backend });
    const tokens = a.budget('tokens', { limits: { tokens: { hard: 100 } } });
    const other = a.budget('other', { limits: { calls: { hard: 100 } } });
    const use = a.task('use', { budget: tokens }, async ({ budget, input }: TaskContext<number>) => {
      await budget(tokens).report({ tokens: input });
      await budget(other).report({ calls: 1 });
    });
    const flow = a.flow('spending', (f, input: number[]) => {
      for (const amount of input) f.run(use, amount);
    });
    await a.worker();
    const run = await flow.run([3, 4]);
    await Promise.all([run.result(), flow.run([10]).result()]);
    await tokens.reset();
    expect(await run.usage()).toMatchObject([{ name: 'tokens', used: { tokens: 7 } }]);
    expect(await run.usage(other)).toMatchObject([
      { name: 'tokens', used: { tokens: 7 } },
      { name: 'other', used: { calls: 2 } },
    ]);
  },
);

test('members of a flow are limited by the budgets and quotas of their tasks', async () => {
  await using t = await testApp();
  const tokens = t.app.budget('tokens', { limits: LIMITS });
  const first = t.app.task('first', ({ input }: TaskContext<number>) => input + 1);
  const second = t.app.task(
    'second',
    { budget: tokens, quota: { concurrency: 1 } },
    ({ input }: TaskContext<number>) => input,
  );
  const flow = t.app.flow('both', (f, input: number) => f.run(second, f.run(first, input)));
  await t.app.worker();
  await tokens.report({ tokens: 10 });
  const run = await flow.run(1);
  await t.advance('1m');
  expect((await run.info()).state).not.toBe('completed');
  await tokens.reset();
  await t.advance('2s');
  expect(await run.result()).toBe(2);
});

test.each([
  [{ budget: 'tokens' }, 'made by app.budget'],
  [{ budget: { of: 1 } }, 'made by app.budget'],
  [{ budget: { of: (): number => 1, whenExhausted: 'drop' } }, '"wait" or "refuse"'],
  [{ budget: { of: (): number => 1, when: 'wait' } }, 'when'],
])('a task refuses an invalid budget: %j', async (options, message) => {
  await using t = await testApp();
  expect(() => t.app.task('t', options as never, () => 1)).toThrow(message);
});

test('a run is refused at its creation if its input names no budget', async () => {
  await using t = await testApp();
  const it = t.app.task('t', { budget: (() => undefined) as never }, () => 1);
  expect(await rejectionOf(it.run())).toBeInstanceOf(InvalidInputError);
});

test('an app with a budget can be tested repeatedly: each test creates the budget again', async () => {
  await using shop = app({ backend: memory() });
  const tokens = shop.budget('tokens', { limits: { tokens: { hard: 10 } } });
  const ask = shop.task('ask', { budget: { of: tokens } }, () => 'answered');
  for (const _ of ['first', 'second']) {
    await using t = testApp(shop);
    await t.app.worker();
    const run = ask.run(undefined);
    await t.advance('1s');
    expect(await run.result()).toBe('answered');
  }
});

test('a report refuses unknown dimensions and amounts that are not whole numbers, in handlers and outside', async () => {
  await using t = await testApp();
  const tokens = t.app.budget('tokens', { limits: { tokens: { hard: 10 }, calls: {} } });
  const unknown = 'Budget "tokens", report(): there is no dimension "token"; its definition has "tokens", "calls"';
  // @ts-expect-error The types refuse it too.
  expect(await messageOf(tokens.report({ token: 5 }))).toBe(unknown);
  expect(await messageOf(tokens.report({ calls: 1.5 }))).toBe(
    'Budget "tokens", report(): calls must be a whole number from 0 to 9007199254740991, not 1.5',
  );
  expect(await messageOf(tokens.report({ calls: 0 }))).toContain('one amount at least must be above 0');
  expect(await messageOf(tokens.report(5 as never))).toContain('an object like { tokens: 5 }');
  // @ts-expect-error Neither can it be given a limit.
  expect(await messageOf(tokens.setLimits({ token: { hard: 1 } }))).toContain('no dimension "token"');
  const inHandler = t.app.task('spend', { retry: { failures: 0 } }, async ({ budget }: TaskContext<undefined>) => {
    const account = budget(tokens);
    const said: string[] = [];
    const note = (error: Error): void => void said.push(error.message);
    // @ts-expect-error As outside.
    await account.report({ token: 5 }).catch(note);
    // @ts-expect-error As outside.
    await account.reserve({ token: 5 }).catch(note);
    await using held = await account.reserve({ tokens: 5 });
    // @ts-expect-error As outside.
    await held.settle({ token: 5 }).catch(note);
    await held.settle({ tokens: 0 });
    return said;
  });
  await t.app.worker();
  const run = inHandler.run(undefined);
  await t.advance('1s');
  const said = await run.result();
  expect(said).toEqual(['report()', 'reserve()', 'settle()'].map((call) => unknown.replace('report()', call)));
  // A budget of which this process knows no limits counts what it is told to.
  await t.app.budget('tokens').report({ other: 1 });
  expect((await tokens.status()).usage).toEqual({ other: 1 });
});

test('status() shows the limits that are set, and counts reports above a soft limit but no settled reservations', async () => {
  await using t = await testApp();
  const limits = { tok: { hard: 100, soft: 50 }, calls: { hard: 9 }, cents: { soft: 7 }, free: {} };
  const account = t.app.budget('mixed', { limits });
  const settles = t.app.task('settles', async ({ budget }: TaskContext<undefined>) => {
    await using held = await budget(account).reserve({ tok: 60 });
    await held.settle({ tok: 60 });
  });
  await t.app.worker();
  const run = settles.run(undefined);
  await t.advance('1s');
  await run.result();
  const { hardLimits, softLimits, usage, softBreachCount } = await account.status();
  expect([hardLimits, softLimits]).toEqual([
    { calls: 9, tok: 100 },
    { cents: 7, tok: 50 },
  ]);
  expect([usage['tok'], softBreachCount]).toEqual([60, 0]);
  await account.report({ tok: 1 });
  expect((await account.status()).softBreachCount).toBe(1);
  await account.setLimits({ tok: { hard: 100 } });
  expect((await account.status()).softLimits).toEqual({ cents: 7 });
});

test('a refusal names the budget, the requested amount and the current usage', async () => {
  await using t = await testApp();
  const tokens = t.app.budget('tokens', { limits: LIMITS });
  await tokens.report({ tokens: 6 });
  expect(await rejectionOf(tokens.report({ tokens: 5 }))).toMatchObject({
    ...{ name: 'BudgetExceededError', code: 'budget_exceeded', budget: 'tokens', budgetId: tokens.id },
    ...{ dimension: 'tokens', asked: 5, usage: 6, reserved: 0, limit: 10 },
    message: 'Budget "tokens" has no room for 5: of 10 tokens, 6 are used and 0 reserved',
  });
  expect(await rejectionOf(tokens.report({ tokens: 11 }))).toMatchObject({
    ...{ code: 'budget_exceeded', asked: 11, limit: 10, hint: 'Ask for less, or raise the limit.' },
    message: 'Budget "tokens" has no room for 11: it can never fit, because the limit is 10 tokens',
  });
});

test('a request above the limit of a budget keeps no run of its tasks waiting', async () => {
  await using t = await testApp();
  const tokens = t.app.budget('tokens', { limits: LIMITS });
  const options = { retry: { failures: 0 }, budget: tokens };
  const spend = t.app.task('spend', options, async ({ input, budget }: TaskContext<number>) => {
    await using held = await budget(tokens).reserve({ tokens: input });
    return held.settle({ tokens: input });
  });
  await t.app.worker();
  expect(await rejectionOf(spend.run(50).result())).toMatchObject({ category: 'budget_exceeded' });
  await spend.run(1).result();
  await tokens.setLimits({ tokens: { hard: 100 } });
  await spend.run(50).result();
  expect(await tokens.status()).toMatchObject({ usage: { tokens: 51 }, exhausted: [] });
});

test('members of a flow have the names of their budgets in explanations and bills, also where their input has results', async () => {
  await using t = await testApp();
  const tokensOf = (tenant: string) => t.app.budget(`tokens of ${tenant}`, { limits: LIMITS });
  const tokens = tokensOf('acme');
  const first = t.app.task('first', () => 1);
  const spend = t.app.task(
    'spend',
    { budget: ({ tenant }: Mail) => tokensOf(tenant) },
    async ({ input, budget }: TaskContext<Mail & { n: number }>) => budget(tokens).report({ tokens: input.n }),
  );
  const flow = t.app.flow('f', (f) => {
    f.run(spend, { tenant: 'acme', n: f.run(first) });
  });
  await t.app.worker();
  const done = await flow.run();
  await t.advance('1s');
  expect(await done.usage()).toMatchObject([{ name: 'tokens of acme', used: { tokens: 1 } }]);
  await tokens.report({ tokens: 9 });
  const { id } = await flow.run();
  await t.advance('1s');
  const [member] = (await flow.get(id).explain()).members;
  const sentence = `Budget "tokens of acme" (${tokens.id}) is exhausted: tokens.`;
  expect(member?.sentence).toBe(sentence);
  expect((await t.app.get(member?.id ?? '').explain()).sentence).toBe(sentence);
});

test('an explanation calls the budgets and quotas that hold a run back by their defined names, with their ids', async () => {
  await using t = await testApp();
  const tokens = t.app.budget('tokens', { limits: LIMITS });
  const spend = t.app.task('spend', { budget: tokens }, () => 1);
  let letGo = (): void => undefined;
  const gate = new Promise<void>((resolve) => (letGo = resolve));
  const send = t.app.task('send', { quota: { per: ({ tenant }: Mail) => tenant, concurrency: 1 } }, () => gate);
  await tokens.report({ tokens: 10 });
  const run = await spend.run();
  expect((await run.explain()).sentence).toBe(`Budget "tokens" (${tokens.id}) is exhausted: tokens.`);
  await t.app.worker();
  const [, second] = [await send.run({ tenant: 'acme' }), await send.run({ tenant: 'acme' })];
  await t.advance('1s');
  const { sentence, meterId } = await second.explain();
  expect(sentence).toBe(`The slot of quota "send" for "acme" (${meterId}) is held.`);
  letGo();
});

test('runs that are created together or within a second share one read of their budget; a later read may fail as unreachable', async () => {
  await using t = await testApp();
  const status = vi.spyOn(t.backend, 'getBudgetStatus');
  const task = t.app.task('t', { budget: t.app.budget('tokens', { limits: LIMITS }) });
  const away = new EngineError('transport_failed', 'The server is away.');
  const later = () => t.advance(1_001);
  const inputs = Array.from({ length: 1_000 }, (_, n) => n);
  status.mockRejectedValueOnce(new EngineError('corruption', 'The budget is unreadable.'));
  await expect(task.run(1)).rejects.toThrow('unreadable');
  status.mockClear();
  await task.runMany(inputs);
  await task.run(1);
  expect(status).toHaveBeenCalledTimes(1);
  await later();
  await task.runMany(inputs);
  expect(status).toHaveBeenCalledTimes(2);
  await later();
  await Promise.all(inputs.slice(0, 100).map((input) => task.run(input)));
  expect(status).toHaveBeenCalledTimes(3);
  // A server that is away for the read alone fails no creation, and is not asked again within the second.
  status.mockRejectedValue(away);
  await later();
  await Promise.all(inputs.slice(0, 100).map((input) => task.run(input)));
  await task.run(1);
  expect(status).toHaveBeenCalledTimes(4);
  // A run is not created while its budget is missing and the server is away.
  status.mockRejectedValueOnce(new EngineError('budget_not_found', 'It is gone.'));
  const create = vi.spyOn(t.backend, 'createBudget').mockRejectedValue(away);
  await later();
  const refused = expect(task.run(1)).rejects.toThrow('away');
  await t.advance('1m');
  await refused;
  create.mockRestore();
  status.mockRestore();
  await task.run(1);
});

test('a budget that a call reported missing is read again: the next run is refused within the same second', async () => {
  await using t = await testApp();
  const [made, plain] = [t.app.budget('tokens', { limits: LIMITS }), t.app.budget('tokens')];
  await made.status();
  const task = t.app.task('t', { budget: plain });
  await task.run(1);
  const gone = new EngineError('budget_not_found', 'It is gone.');
  vi.spyOn(t.backend, 'getBudgetStatus').mockRejectedValue(gone);
  await task.run(2);
  await expect(plain.status()).rejects.toThrow('this process has no definition of it');
  await expect(task.run(3)).rejects.toThrow('There is no budget "tokens"');
});

test('a process remembers that 10,000 budgets exist, and forgets the one that it read longest ago', async () => {
  const backend = memory();
  for (let n = 0; n <= 10_000; n++) noteKnown(backend, `budget ${n === 10_000 ? 0 : n}`, n);
  noteKnown(backend, 'another', 1);
  const known = knownBudgets(backend);
  expect([known.size, known.has('budget 0'), known.has('budget 1')]).toEqual([10_000, true, false]);
  await backend.close();
});
