/** The same handlers wait on every backend, in real time and with workers that come and go. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { app, memory, type App, type Backend, type TaskContext } from '../../src/index.js';
import { embedded } from '../../src/embedded/index.js';
import { valkey } from '../../src/valkey/index.js';
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
  embedded: async () => embedded({ path: (folder = await mkdtemp(join(tmpdir(), 'waiting-'))) }),
  valkey: async () =>
    valkey({ url: (await sharedValkey()).url, prefix: `waiting-${randomUUID()}:`, partitions: { count: 2 } }),
} satisfies Record<string, () => Promise<Backend>>;

describe.each(Object.keys(BACKENDS) as (keyof typeof BACKENDS)[])('%s', (name) => {
  it('a handler sleeps, loses its worker meanwhile, and goes on with another', async () => {
    a = app({ backend: await BACKENDS[name]() });
    const runs: number[] = [];
    const task = a.task('t', async ({ sleep, resumes }: TaskContext) => {
      runs.push(resumes);
      await sleep('20ms');
      await Promise.all([sleep('150ms'), sleep('20ms')]);
      return 'rested';
    });
    const first = await a.worker();
    const run = await task.run(undefined);
    while ((await run.state()) !== 'suspended' || runs.length < 2)
      await new Promise((resolve) => setTimeout(resolve, 2));
    await first.close();
    await a.worker();
    expect(await run.result()).toBe('rested');
    expect(runs).toEqual([0, 1, 2, 3].slice(0, runs.length));
  });
});
