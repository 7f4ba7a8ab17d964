/** Handlers that spend: what they hold is renewed with them, and given back when they end. */
import { expect, test } from 'vitest';
import type { TaskContext } from '../../src/index.js';
import { testApp } from '../../src/testing/index.js';

test('a reservation is renewed while its handler runs, and given back when it ends without having settled it', async () => {
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

test('usage is reported once for a key, on the account of the run', async () => {
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
