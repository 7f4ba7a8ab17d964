import { afterEach, expect, it, vi } from 'vitest';
import { app, memory, RunNotFoundError, type App, type Backend } from '../../../src/index.js';
import { runDue } from '../../../src/engine/index.js';
import { pause, rejectionOf } from '../support.js';

let backend: Backend;
let a: App;

afterEach(async () => {
  await a.close();
  await backend.close();
});

it.each(['result', 'cancel'] as const)(
  'the wait of %s of a flow ends with the app, and reads no more',
  async (wait) => {
    backend = memory();
    a = app({ backend, closeBackend: false });
    const task = a.task('t', () => 1);
    const run = await a
      .flow('f', (f) => {
        f.run(task);
      })
      .run();
    // Nothing ends the members that were cancelled.
    const neverOver = stuckAs(backend);
    if (wait === 'cancel') vi.spyOn(backend, 'describeFlow').mockImplementation(neverOver);
    const waiting = rejectionOf(wait === 'result' ? run.result() : run.cancel({ wait: true }));
    await pause(50);
    await a.close();
    expect(await waiting).toMatchObject({ name: 'AppClosedError', code: 'app_closed' });
    const reads = vi.spyOn(backend, 'describeFlow');
    reads.mockClear();
    await pause(1_500);
    expect(reads).not.toHaveBeenCalled();
  },
);

it('a flow that was purged cannot be cancelled: it is not found', async () => {
  let now = Date.now();
  backend = memory({ now: () => now, retentionMs: 1_000 });
  a = app({ backend, closeBackend: false });
  const task = a.task('t', () => 1);
  const flow = a.flow('f', (f) => {
    f.run(task);
  });
  await a.worker({ engine: false });
  const run = await flow.run();
  await run.result();
  for (let day = 0; day < 10; day++) {
    now += 86_400_000;
    await runDue(backend);
  }
  expect(await rejectionOf(run.cancel())).toBeInstanceOf(RunNotFoundError);
});

/** Reads of a flow whose member never ends. */
function stuckAs(store: Backend): Backend['describeFlow'] {
  const describeFlow = store.describeFlow.bind(store);
  return async (args) => {
    const flow = await describeFlow(args);
    return flow && { ...flow, members: { ...flow.members, active: 1 } };
  };
}
