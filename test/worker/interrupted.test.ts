/** What a handler returns although a shutdown has refused it what it asked for. */
import { afterEach, expect, it } from 'vitest';
import { backoff, child, type Task, type TaskContext } from '../../src/index.js';
import { harness, type Harness } from './harness.js';

let h: Harness | undefined;
afterEach(async () => {
  await h?.close();
  h = undefined;
});

type Handled = (context: TaskContext, other: Task<void, string>) => Promise<unknown>;

const whenAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve()));

/** Runs a handler whose worker shuts down, and then a second worker. @returns state in between, and the result */
async function overShutdown(handler: Handled): Promise<[string, unknown]> {
  h = harness();
  const { a, pass } = h;
  const other = a.task('other', (_: TaskContext<void>) => 'result');
  const task = a.task('t', (context: TaskContext) =>
    handler(context, other).catch(() =>
      context.resumes > 0 || context.attempt > 1 ? 'refused twice' : 'in its place',
    ),
  );
  const first = await h.worker({ drainTimeout: '1s' });
  const run = await task.run();
  await pass(100);
  const closed = first.close();
  await pass(2_000);
  await closed;
  const state = await run.state();
  await h.worker({ slots: 2 });
  const result = run.result();
  await pass(20_000);
  return [state, await result];
}

const isFirst = ({ resumes, attempt }: TaskContext): boolean => resumes === 0 && attempt === 1;

const refused: [string, Handled][] = [
  [
    'a step whose function stops on its signal',
    (context) =>
      context.step('a', async ({ signal }) => {
        if (!isFirst(context)) return 'result';
        await whenAborted(signal);
        signal.throwIfAborted();
        return 'never';
      }),
  ],
  [
    'a step that waits for its next try',
    (context) =>
      context.step(
        'a',
        () => {
          if (isFirst(context)) throw new Error('not yet');
          return 'result';
        },
        { retry: { failures: 1, backoff: backoff.fixed('1m') } },
      ),
  ],
  [
    'a step that is called after the abort',
    async (context) => {
      if (isFirst(context)) await whenAborted(context.signal);
      return context.step('a', () => 'result');
    },
  ],
  [
    'a step that ends after the abort',
    (context) =>
      context.step('a', async ({ signal }) => {
        if (isFirst(context)) await whenAborted(signal);
        return 'result';
      }),
  ],
  [
    'a wait beside a step',
    async ({ step, sleep, signal }) => {
      const work = step('a', () => whenAborted(signal).then(() => 1));
      await Promise.race([work, sleep('1s', { name: 'b' })]);
      return 'result';
    },
  ],
  [
    'children',
    async (context, other) => {
      if (isFirst(context)) await whenAborted(context.signal);
      return (await context.children.all([child(other)]))[0];
    },
  ],
];

it.each(refused)('is no result: %s', async (_, handler) => {
  expect(await overShutdown(handler)).toEqual(['waiting', 'result']);
});

it('is a result if nothing that it asked for was refused', async () => {
  const result = await overShutdown(async ({ step, signal }) => {
    const done = await step('a', () => 'a');
    await whenAborted(signal);
    return `${done}, and what there was time for`;
  });
  expect(result).toEqual(['completed', 'a, and what there was time for']);
});
