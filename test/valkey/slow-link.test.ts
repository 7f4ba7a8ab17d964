/**
 * Long bytes on a link that takes longer for all of them than a call may take: they cross it once, and no lease is lost.
 * Times depend on the machine, so bytes are counted; test/valkey/transfers.test.ts has the order and the time of parts.
 */
import { afterEach, expect, it, vi } from 'vitest';
import { Proxy } from '../../fuzz/chaos/proxy.js';
import { app, backoff, valkey, type App, type Backend, type TaskContext } from '../../src/index.js';
import { deployment } from '../support/valkey/deployment.js';

const MIB = 1024 * 1024;
/** A MiB, the most in flight, takes half a second, and all take four. */
const LINK_BYTES_PER_SECOND = 2 * MIB;
const RUNS = 16;
const BYTES = MIB / 2;
const CALL_TIMEOUT_MS = 2_000;
/** What crosses the link, with calls and other messages. One transfer may be repeated on a machine that stands still. */
const MAX_BYTES = 1.2 * RUNS * BYTES;

const deployed = deployment(2);
let proxy: Proxy;
/** The backend of the app behind the link. */
let behind: Backend;
let near: App;
let far: App;
afterEach(async () => {
  await far.close();
  await near.close();
  proxy.close();
});

/** Opens an app beside the server, and one behind the slow link. */
async function openApps(namespace: string): Promise<void> {
  proxy = await Proxy.open(deployed.server.port, LINK_BYTES_PER_SECOND);
  near = app({ backend: deployed.backend, closeBackend: false, namespace });
  behind = await valkey({ url: proxy.url, partitions: { count: 2 }, callTimeoutMs: CALL_TIMEOUT_MS });
  far = app({ backend: behind, namespace });
}

const all = Array.from({ length: RUNS }, (_, run) => new Uint8Array(BYTES).fill(run));
const echo = ({ input }: TaskContext<Uint8Array>): Uint8Array => input;
/** One that crosses the link in more time than a call has. */
const long = new Uint8Array(5 * MIB).fill(7);
/** A part that is late once is sent again, with the parts before it. */
const MAX_BYTES_OF_ONE = 2 * long.byteLength;
const isSame = (results: readonly Uint8Array[]): boolean =>
  results.every((result, run) => Buffer.compare(result, all[run] as Uint8Array) === 0);
const crossed = (): void => {
  expect(proxy.bytes.up).toBeLessThan(MAX_BYTES);
  expect(proxy.bytes.down).toBeLessThan(MAX_BYTES);
};

it.each([0, 10])(
  'a worker behind a slow link with a claim-ahead of %i gets inputs and reports results',
  async (claimAhead) => {
    const name = `worker-${claimAhead}`;
    await openApps(name);
    const runs = await near.task(name, echo).runMany(all);
    far.task(name, echo);
    const worker = await far.worker({ slots: RUNS, claimAhead, leaseTtl: '20s' });
    expect(isSame(await Promise.all(runs.map((run) => run.result())))).toBe(true);
    await vi.waitFor(() => expect(worker.stats()).toMatchObject({ completed: RUNS, lost: 0 }));
    crossed();
  },
);

it('a worker behind a slow link stores a long value of a step, and reads it in its next attempt', async () => {
  await openApps('step');
  let calls = 0;
  const retry = { failures: 1, backoff: backoff.fixed(10) };
  far.task('step', async ({ step, attempt }) => {
    const stored = await step('long', () => {
      calls++;
      return long;
    });
    if (attempt === 1) throw new Error('again');
    return stored.byteLength;
  });
  const run = await near.task('step', { retry }).run();
  const worker = await far.worker({ slots: 1, leaseTtl: '20s' });
  expect(await run.result()).toBe(long.byteLength);
  expect([calls, worker.stats().lost]).toEqual([1, 0]);
  expect(proxy.bytes.up).toBeLessThan(MAX_BYTES_OF_ONE);
  expect(proxy.bytes.down).toBeLessThan(MAX_BYTES_OF_ONE);
});

it('a client behind a slow link reads many pages of steps at once', async () => {
  await openApps('pages');
  const part = new Uint8Array(30 * 1024).fill(1);
  const task = near.task('pages', async ({ step }) => {
    for (let i = 0; i < 8; i++) await step(`s${i}`, () => part);
  });
  const worker = await near.worker({ slots: RUNS });
  const runs = await task.runMany(all.map(() => undefined));
  await Promise.all(runs.map((run) => run.result()));
  await worker.close();
  // Each has 240 KiB, and a call has the time of 16 of them.
  const reads = Array.from({ length: 2 }, () => runs).flat();
  const pages = await Promise.all(reads.map(({ id: executionId }) => behind.readSteps({ executionId })));
  expect(pages.map(({ steps }) => steps.length)).toEqual(reads.map(() => 8));
});

it('a client behind a slow link reads many pages of frames at once', async () => {
  await openApps('frames');
  const part = 'x'.repeat(30 * 1024);
  const task = near.task('frames', async ({ stream }) => {
    for (let i = 0; i < 8; i++) await stream.text(part);
  });
  const worker = await near.worker({ slots: RUNS });
  const runs = await task.runMany(all.map(() => undefined));
  await Promise.all(runs.map((run) => run.result()));
  await worker.close();
  // As many bytes as the pages of steps, and as little time.
  const reads = Array.from({ length: 2 }, () => runs).flat();
  const pages = await Promise.all(
    reads.map(({ id: executionId }) => behind.readStream({ executionId, attemptIndex: 0 })),
  );
  const sizes = pages.map(({ frames }) => frames.reduce((sum, { payload }) => sum + payload.byteLength, 0));
  expect(sizes).toEqual(reads.map(() => 8 * part.length));
  expect(proxy.bytes.down).toBeLessThan(1.2 * reads.length * 8 * part.length);
});

it('a client behind a slow link creates a flow with a long input', async () => {
  await openApps('flow');
  near.task('size', ({ input }: TaskContext<Uint8Array>) => input.byteLength);
  await near.worker();
  const size = far.task('size', ({ input }: TaskContext<Uint8Array>) => input.byteLength);
  const flow = far.flow('flow', (f) => f.run(size, long));
  expect(await flow.run().result()).toBe(long.byteLength);
  expect(proxy.bytes.up).toBeLessThan(MAX_BYTES_OF_ONE);
});

it('a client behind a slow link creates runs with long inputs, and gets their long results', async () => {
  await openApps('client');
  near.task('client', echo);
  const worker = await near.worker({ slots: RUNS });
  const runs = await far.task('client', echo).runMany(all);
  expect(isSame(await Promise.all(runs.map((run) => run.result())))).toBe(true);
  expect(worker.stats()).toMatchObject({ completed: RUNS, lost: 0 });
  crossed();
});
