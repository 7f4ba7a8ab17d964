/** Results of children that travel for seconds. */
import { afterEach, expect, it } from 'vitest';
import { child, type TaskContext } from '../../src/index.js';
import { harness, type Harness } from './harness.js';

let h: Harness;
afterEach(() => h.close());

it('a child that is replayed while its result is being read gives its parent the new result', async () => {
  let reads = 0;
  h = harness((inner, clock) => ({
    readExecutionInfo: async (args) => {
      if (args.withResult !== true) return inner.readExecutionInfo(args);
      reads++;
      await new Promise<void>((resolve) => void clock.after(5_000, resolve));
      return inner.readExecutionInfo(args);
    },
  }));
  let runs = 0;
  const part = h.a.task('part', async ({ sleep }: TaskContext<null>) => {
    if (runs > 0) await sleep('20s');
    return ++runs;
  });
  const whole = h.a.task('whole', ({ children }: TaskContext<null>) => children.all([child(part, null)]));
  await h.worker({ slots: 2 });
  const run = await whole.run(null);
  await h.until(() => reads > 0);
  for await (const { id } of run.children) await h.a.get(id).replay();
  expect(await h.flow(run.result())).toEqual([2]);
});
