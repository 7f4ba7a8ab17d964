/**
 * Long bytes on a link that takes longer for all of them than a call may take: they cross it once, and no lease is lost.
 * Times depend on the machine, so bytes are counted; test/valkey/transfers.test.ts has the order and the time of parts.
 */
import { afterEach, expect, it, vi } from 'vitest';
import { Proxy } from '../../fuzz/chaos/proxy.js';
import { app, valkey, type App, type TaskContext } from '../../src/index.js';
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
  const backend = await valkey({ url: proxy.url, partitions: { count: 2 }, callTimeoutMs: CALL_TIMEOUT_MS });
  far = app({ backend, namespace });
}

const all = Array.from({ length: RUNS }, (_, run) => new Uint8Array(BYTES).fill(run));
const echo = ({ input }: TaskContext<Uint8Array>): Uint8Array => input;
const isSame = (results: readonly Uint8Array[]): boolean =>
  results.every((result, run) => Buffer.compare(result, all[run] as Uint8Array) === 0);
const crossed = (): void => {
  expect(proxy.bytes.up).toBeLessThan(MAX_BYTES);
  expect(proxy.bytes.down).toBeLessThan(MAX_BYTES);
};

it.each([0, 10])('a worker behind it that looks %i ahead gets inputs and gives results', async (claimAhead) => {
  const name = `worker-${claimAhead}`;
  await openApps(name);
  const runs = await near.task(name, echo).runMany(all);
  far.task(name, echo);
  const worker = await far.worker({ slots: RUNS, claimAhead, leaseTtl: '20s' });
  expect(isSame(await Promise.all(runs.map((run) => run.result())))).toBe(true);
  await vi.waitFor(() => expect(worker.stats()).toMatchObject({ completed: RUNS, lost: 0 }));
  crossed();
});

it('a client behind it creates runs with long inputs, and gets their long results', async () => {
  await openApps('client');
  near.task('client', echo);
  const worker = await near.worker({ slots: RUNS });
  const runs = await far.task('client', echo).runMany(all);
  expect(isSame(await Promise.all(runs.map((run) => run.result())))).toBe(true);
  expect(worker.stats()).toMatchObject({ completed: RUNS, lost: 0 });
  crossed();
});
