import { expect, it } from 'vitest';
import { backoff, delay, type TaskContext } from '../../src/index.js';
import { testApp } from '../../src/testing/test-app.js';

it('lets days of retries pass in no time', async () => {
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

it('gives the same run for the same seed', async () => {
  const ids = async (seed: number): Promise<string> => {
    await using t = testApp({ seed });
    return t.app.task('x', () => 1).run({}).id;
  };
  expect(await ids(5)).toBe(await ids(5));
  expect(await ids(5)).not.toBe(await ids(6));
});
