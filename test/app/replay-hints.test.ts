/** What the error of a failed run says about its replay, and what a replay in bulk does about stored steps. */
import { expect, test } from 'vitest';
import { child, NonRetryableError, type RunFailedError, type App, type TaskContext } from '../../src/index.js';
import { memoryApp, rejectionOf } from './support.js';

const PLAIN = /^Fix what the reason names, then replay it: `run\.replay\(\)`/;
const DISCARD = /^What it failed with is stored.*`run\.replay\(\{ steps: 'discard' \}\)`.*another `id`\.$/;

/** A handler whose first step fails while the bank is down, and which then undoes something in another step. */
function undoing(a: App, failure: () => Error, then: 'undo' | 'nothing') {
  const bank = { isDown: true };
  const task = a.task('pay', async ({ step }: TaskContext) => {
    try {
      await step('pay', () => {
        if (bank.isDown) throw failure();
      });
    } catch (error) {
      if (then === 'undo') await step('undo', () => undefined);
      throw error;
    }
    return 'paid';
  });
  return { bank, task };
}

test.each([
  ['an error', 'undo', () => new Error('no cover'), DISCARD],
  ['a final error', 'undo', () => new NonRetryableError('no cover'), DISCARD],
  ['an error', 'nothing', () => new Error('no cover'), PLAIN],
  ['a final error', 'nothing', () => new NonRetryableError('no cover'), PLAIN],
] as const)('%s of a step, then %s: the hint tells whether the failure is stored', async (_, then, failure, hint) => {
  await using a = memoryApp();
  const { task, bank } = undoing(a, failure, then);
  await a.worker();
  const run = await task.run();
  expect(await rejectionOf(run.result())).toMatchObject({ reason: 'no cover', hint: expect.stringMatching(hint) });

  bank.isDown = false;
  if (then === 'nothing') {
    expect(await a.deadLetters.replay()).toMatchObject({ replayed: 1 });
    expect(await run.result()).toBe('paid');
    return;
  }
  // By default the stored failure is found again; the error was read from the store this time.
  await a.deadLetters.replay();
  expect(await rejectionOf(run.result())).toMatchObject({ hint: expect.stringMatching(hint) });
  expect(await a.deadLetters.replay({}, { steps: 'discard' })).toMatchObject({ replayed: 1, failed: 0 });
  expect(await run.result()).toBe('paid');
});

test('the hint of a run whose children failed says to replay them first', async () => {
  await using a = memoryApp();
  const ship = a.task('ship', (): string => {
    throw new NonRetryableError('carrier down');
  });
  const order = a.task('order', ({ children }: TaskContext) => children.all([child(ship)]));
  await a.worker();
  const { hint } = (await rejectionOf(order.run().result())) as RunFailedError;
  expect(hint).toMatch(/replay those of `run\.children` that did not complete, then this run/);
});

test('a replay in bulk refuses another word for the steps', async () => {
  await using a = memoryApp();
  await expect(a.deadLetters.replay({}, { steps: 'drop' as never })).rejects.toThrow(
    'deadLetters.replay: steps must be "keep" or "discard"',
  );
});
