/** How a worker comes by the results that its work depends on: they come with the claim, and the rest is read. */
import { expect, test } from 'vitest';
import type { TaskContext } from '../../src/index.js';
import { harness } from './harness.js';

/** How often the store was asked for what a claim did not bring. */
async function reads(sizes: readonly number[]): Promise<{ edges: number; results: number; joined: unknown }> {
  const asked = { edges: 0, results: 0 };
  const h = harness((inner) => ({
    listEdges: (args) => {
      asked.edges += 1;
      return inner.listEdges(args);
    },
    readExecutionInfo: (args) => {
      if (args.withResult === true) asked.results += 1;
      return inner.readExecutionInfo(args);
    },
  }));
  const part = h.a.task('part', ({ input }: TaskContext<{ size: number }>) =>
    input.size === 0 ? undefined : 'x'.repeat(input.size),
  );
  const join = h.a.task('join', ({ input }: TaskContext<{ parts: (string | undefined)[] }>) =>
    input.parts.map((text) => text?.length ?? 'none'),
  );
  const flow = h.a.flow('sizes', (f) => {
    const parts = sizes.map((size) => f.run(part, { size }));
    return f.run(join, { parts });
  });
  await h.worker();
  const run = await flow.run();
  await h.until(async () => (await run.state()) === 'completed');
  const counted = { ...asked };
  const joined = await h.flow(run.result());
  await h.close();
  return { ...counted, joined };
}

test('what fits into the claim is not asked for', async () => {
  expect(await reads([3, 600_000, 0])).toEqual({ edges: 0, results: 0, joined: [3, 600_000, 'none'] });
});

test('what does not fit is read, and nothing else', async () => {
  const { edges, results, joined } = await reads([3, 700_000, 700_000]);
  expect(joined).toEqual([3, 700_000, 700_000]);
  expect([edges, results]).toEqual([1, 1]);
});

test('the time of reading them is not that of the attempt', async () => {
  const takesMs = 3_000;
  const h = harness((inner, clock) => ({
    listEdges: async (args) => {
      await new Promise<void>((resolve) => void clock.after(takesMs, resolve));
      return inner.listEdges(args);
    },
  }));
  const part = h.a.task('part', () => 'x'.repeat(700_000));
  type Parts = TaskContext<{ parts: string[] }>;
  const timeout = { attempt: '2s' } as const;
  const join = h.a.task('join', { timeout }, ({ input }: Parts) => input.parts.length);
  const hang = h.a.task('hang', { timeout, retry: { failures: 0 } }, ({ signal }: Parts) => {
    return new Promise<number>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  });
  const joined = h.a.flow('joined', (f) => f.run(join, { parts: [f.run(part), f.run(part)] }));
  const hanging = h.a.flow('hanging', (f) => f.run(hang, { parts: [f.run(part), f.run(part)] }));
  await h.worker();
  expect(await h.flow(joined.run().result())).toBe(2);
  const startedAt = h.clock.now();
  await expect(h.flow(hanging.run().result())).rejects.toMatchObject({ code: 'run_expired', task: 'hang' });
  // The time of the results, and that of the handler.
  expect(h.clock.now() - startedAt).toBeGreaterThanOrEqual(takesMs + 2_000);
  await h.close();
});
