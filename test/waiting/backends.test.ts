/** The same handlers wait on every backend, in real time and with workers that come and go. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { app, child, count, memory, type App, type Backend, type TaskContext } from '../../src/index.js';
import { embedded } from '../../src/embedded/index.js';
import { valkey } from '../../src/valkey/index.js';
import { pause } from '../app/support.js';
import { sharedValkey } from '../support/valkey/index.js';

let a: App | undefined;
let folder: string | undefined;
afterEach(async () => {
  await a?.close();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  a = folder = undefined;
});

const newPrefix = (): string => `waiting-${randomUUID()}:`;

const BACKENDS: Record<'memory' | 'embedded' | 'valkey', (prefix?: string) => Promise<Backend>> = {
  memory: async () => memory(),
  embedded: async () => embedded({ path: (folder = await mkdtemp(join(tmpdir(), 'waiting-'))) }),
  valkey: async (prefix = newPrefix()) => valkey({ url: (await sharedValkey()).url, prefix, partitions: { count: 2 } }),
};

describe.each(Object.keys(BACKENDS) as (keyof typeof BACKENDS)[])('%s', (name) => {
  it('a process without tasks, in another namespace, delivers a signal by its envelope', async () => {
    const prefix = newPrefix();
    const backend = await BACKENDS[name](prefix);
    a = app({ backend, namespace: 'shop' });
    await a.signals.rotateKey({ kid: 'k1', secret: new Uint8Array(32).fill(1) });
    let handOut: (envelope: string) => void = () => {};
    const envelope = new Promise<string>((resolve) => (handOut = resolve));
    const task = a.task('t', async ({ waitpoint, step }: TaskContext) => {
      const payment = await waitpoint('payment', { timeout: '1m' });
      await step('mail', () => handOut(payment.envelope().reveal()));
      return payment.wait();
    });
    await a.worker();
    const run = await task.run(undefined);
    // A server is reached over a connection of its own.
    const other = name === 'valkey' ? await BACKENDS.valkey(prefix) : backend;
    const bank = app({ backend: other, namespace: 'bank', closeBackend: other !== backend });
    expect(await bank.signals.deliver(await envelope, { cents: 5 }, { from: 'bank' })).toMatchObject({
      effect: expect.stringMatching(/^(kept|taken)$/),
    });
    await bank.close();
    expect(await run.result({ timeout: '20s' })).toEqual({ cents: 5 });
  });

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
    let state: string;
    // A slow machine can miss the moment: then the run has ended.
    do {
      await pause(2);
      state = await run.state();
    } while (state !== 'completed' && (state !== 'suspended' || runs.length < 2));
    await first.close();
    await a.worker();
    expect(await run.result()).toBe('rested');
    // A run that a worker gave back before it began is none.
    expect(runs).toEqual([...new Set(runs)].sort((one, other) => one - other));
  });

  it('a handler waits for two groups of children, a signal and a time together', async () => {
    a = app({ backend: await BACKENDS[name]() });
    const nap = a.task('nap', async ({ input, sleep }: TaskContext<number>) => {
      await sleep(input);
      return input;
    });
    const task = a.task('t', async ({ children, waitFor, sleep }: TaskContext) => {
      const [both, first, go] = await Promise.all([
        children.all([child(nap, 10), child(nap, 60)]),
        children.any([child(nap, 30), child(nap, 60_000)]),
        waitFor<string>('go'),
        sleep('20ms'),
      ]);
      const late = children.all([child(nap, 200)]);
      const won = await Promise.race([late, sleep('40ms').then(() => 'time')]);
      const [instead] = await children.all([child(nap, 20)]);
      return [both, first, go, won, instead, await late];
    });
    await a.worker({ slots: 3 });
    const run = await task.run(undefined);
    await run.signal('go', 'now');
    expect(await run.result({ timeout: '20s' })).toEqual([[10, 60], 30, 'now', 'time', 20, [200]]);
    const states: string[] = [];
    for await (const { state } of run.children) states.push(state);
    expect(states.sort()).toEqual(['cancelled', ...Array(5).fill('completed')]);
  });

  it('a handler takes signals that came before and after it waited, with what came with them', async () => {
    a = app({ backend: await BACKENDS[name]() });
    const task = a.task('t', async ({ waitFor, approval }: TaskContext) => {
      const first = await waitFor<string>('first');
      const signals = await waitFor<Uint8Array>(count(2, 'bytes', { distinct: 'source' }), { timeout: '1m' });
      const late = await waitFor('never', { timeout: '20ms', onTimeout: 'value' });
      const { approved, decisions } = await approval('last', { timeout: '1m' });
      const [one, two] = signals.map(({ from, payload }) => [from, payload.byteLength]);
      return [first, one, two, late, approved, decisions[0]?.by];
    });
    const run = await task.run(undefined);
    expect(await run.signal('first', 'Größe')).toMatchObject({ effect: 'kept' });
    expect(await run.signal('bytes', new Uint8Array([0, 255]), { from: 'x' })).toMatchObject({ effect: 'kept' });
    await a.worker();
    while ((await run.state()) !== 'suspended') await pause(2);
    expect(await run.signal('bytes', new Uint8Array([1]), { from: 'x', idempotencyKey: 'k' })).toMatchObject({
      effect: 'taken',
    });
    expect(await run.signal('bytes', new Uint8Array([1]), { from: 'x', idempotencyKey: 'k' })).toMatchObject({
      effect: 'duplicate',
    });
    await run.signal('bytes', new Uint8Array(60_000), { from: 'y' });
    await run.approve('last', { by: 'ann' });
    const [first, one, two, late, approved, by] = await run.result();
    expect([first, one, two, late, approved, by]).toEqual(['Größe', ['x', 1], ['y', 60_000], null, true, 'ann']);
  });
});
