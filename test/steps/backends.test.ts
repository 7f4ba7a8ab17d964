/** The same steps on every backend, in real time, with workers that lose what they have in hand. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { app, backoff, memory, type App, type Backend, type TaskContext } from '../../src/index.js';
import { embedded } from '../../src/embedded/index.js';
import { valkey } from '../../src/valkey/index.js';
import { until } from '../app/support.js';
import { sharedValkey } from '../support/valkey/index.js';

let a: App | undefined;
let folder: string | undefined;
afterEach(async () => {
  await a?.close();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  a = folder = undefined;
});

const BACKENDS = {
  memory: async () => memory(),
  embedded: async () => embedded({ path: (folder = await mkdtemp(join(tmpdir(), 'steps-'))) }),
  valkey: async () =>
    valkey({ url: (await sharedValkey()).url, prefix: `steps-${randomUUID()}:`, partitions: { count: 2 } }),
} satisfies Record<string, () => Promise<Backend>>;

describe.each(Object.keys(BACKENDS) as (keyof typeof BACKENDS)[])('%s', (name) => {
  it('completed steps do not run again, whether their worker is lost or the attempt fails', async () => {
    const backend = await BACKENDS[name]();
    a = app({ backend });
    const ran: string[] = [];
    let letGo = (): void => undefined;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    const large = 'x'.repeat(600_000);
    const task = a.task(
      't',
      { retry: { failures: 2, backoff: backoff.fixed(1) } },
      async ({ step, attempt }: TaskContext<string>) => {
        const run = <Value>(what: string, value: Value) =>
          step(what, () => {
            ran.push(what);
            return value as never;
          });
        await Promise.all([run('large 1', large), run('large 2', large), run('bytes', Uint8Array.of(1))]);
        // Its worker is lost here, in the middle of a step.
        if (attempt === 1) await step('held', () => held);
        await run('small', { at: 1 });
        const failure = await step('fails', () => {
          ran.push('fails');
          throw new Error('no');
        }).catch((error: Error) => error.message);
        const value = await run('last', 7);
        if (attempt === 2) throw new Error('again');
        return [failure, value, (await run('large 3', large)) === large].join();
      },
    );
    const worker = await a.worker({ leaseTtl: '2s' });
    const run = await task.run('x');
    await until(() => ran.length === 3);
    await until(async () => (await backend.readSteps({ executionId: run.id })).stepCount === 3);
    await backend.revokeLease({ executionId: run.id });
    // A handler that goes on would keep its slot for the whole grace.
    letGo();
    expect(await run.result()).toBe('no,7,true');
    expect(ran).toEqual(['large 1', 'large 2', 'bytes', 'small', 'fails', 'last', 'large 3']);
    const { stepCount } = await backend.readSteps({ executionId: run.id, values: false });
    expect([stepCount, worker.stats().completed]).toEqual([7, 1]);
  });
});
