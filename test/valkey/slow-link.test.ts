/** Long bytes on a link that is slow for them: everything moves at the rate of the link, and no lease is lost. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Proxy } from '../../fuzz/chaos/proxy.js';
import { app, valkey, type App, type TaskContext, type Worker } from '../../src/index.js';
import { deployment } from '../support/valkey/deployment.js';

const MIB = 1024 * 1024;
const LINK_BYTES_PER_SECOND = 3 * MIB;
const RUNS = 8;
const BYTES = MIB / 2;
/** How long the link takes for the bytes of all runs, ms. */
const LINK_MS = ((RUNS * BYTES) / LINK_BYTES_PER_SECOND) * 1_000;
/** The time of the link, and what a busy machine adds, ms. */
const NEAR_LINK_MS = 3 * LINK_MS + 1_000;
/** Too short for the bytes of all runs. */
const CALL_TIMEOUT_MS = Math.round(LINK_MS / 2);
const LEASE_TTL_MS = 1_500;

const deployed = deployment(2);
let proxy: Proxy;
let near: App;
let far: App;
let startedAt: number;
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
  startedAt = performance.now();
}

/** A worker behind the link, and the faults that it met. */
async function farWorker(claimAhead = 0): Promise<{ readonly worker: Worker; readonly faults: unknown[] }> {
  const faults: unknown[] = [];
  const worker = await far.worker({ slots: RUNS, claimAhead, leaseTtl: LEASE_TTL_MS });
  worker.on('error', ({ error }) => faults.push(error));
  return { worker, faults };
}

const bytes = (): Uint8Array[] => Array.from({ length: RUNS }, (_, run) => new Uint8Array(BYTES).fill(run));
const elapsedMs = (): number => performance.now() - startedAt;

describe('on a slow link', () => {
  it.each([0, 10])('long inputs reach a worker that looks %i ahead, and none loses its lease', async (claimAhead) => {
    const name = `inputs-${claimAhead}`;
    await openApps(name);
    const attempts: number[] = [];
    const handler = ({ input, attempt }: TaskContext<Uint8Array>): number => {
      attempts.push(attempt);
      return input.byteLength;
    };
    const runs = await near.task(name, handler).runMany(bytes());
    far.task(name, handler);
    const { worker, faults } = await farWorker(claimAhead);
    expect(await Promise.all(runs.map((run) => run.result()))).toEqual(runs.map(() => BYTES));
    expect(elapsedMs()).toBeLessThan(NEAR_LINK_MS);
    expect(attempts).toEqual(runs.map(() => 1));
    await vi.waitFor(() => expect(worker.stats()).toMatchObject({ completed: RUNS, lost: 0 }));
    expect(faults).toEqual([]);
  });

  it('long results reach the server, and none loses its lease', async () => {
    await openApps('results');
    const attempts: number[] = [];
    const all = bytes();
    const handler = ({ input, attempt }: TaskContext<number>): Uint8Array => {
      attempts.push(attempt);
      return all[input] as Uint8Array;
    };
    const runs = await near.task('results', handler).runMany(all.map((_, run) => run));
    far.task('results', handler);
    const { worker, faults } = await farWorker();
    const results = await Promise.all(runs.map((run) => run.result()));
    expect(results.map((result, run) => Buffer.compare(result, all[run] as Uint8Array))).toEqual(runs.map(() => 0));
    expect(elapsedMs()).toBeLessThan(NEAR_LINK_MS);
    expect(attempts).toEqual(runs.map(() => 1));
    await vi.waitFor(() => expect(worker.stats()).toMatchObject({ completed: RUNS, lost: 0 }));
    expect(faults).toEqual([]);
  });

  it('long values of steps reach the server, and none loses its lease', async () => {
    await openApps('steps');
    const attempts: number[] = [];
    const all = bytes();
    const handler = async ({ input, attempt, step }: TaskContext<number>): Promise<number> => {
      attempts.push(attempt);
      return (await step('load', () => all[input] as Uint8Array)).byteLength;
    };
    const runs = await near.task('steps', handler).runMany(all.map((_, run) => run));
    far.task('steps', handler);
    const { worker, faults } = await farWorker();
    expect(await Promise.all(runs.map((run) => run.result()))).toEqual(runs.map(() => BYTES));
    expect(elapsedMs()).toBeLessThan(NEAR_LINK_MS);
    expect(attempts).toEqual(runs.map(() => 1));
    await vi.waitFor(() => expect(worker.stats()).toMatchObject({ completed: RUNS, lost: 0 }));
    expect(faults).toEqual([]);
  });

  it('a client creates runs with long inputs, and gets their long results', async () => {
    await openApps('client');
    const handler = ({ input }: TaskContext<Uint8Array>): Uint8Array => input;
    near.task('client', handler);
    await near.worker({ slots: RUNS });
    const all = bytes();
    const runs = await far.task('client', handler).runMany(all);
    const results = await Promise.all(runs.map((run) => run.result()));
    expect(results.map((result, run) => Buffer.compare(result, all[run] as Uint8Array))).toEqual(runs.map(() => 0));
    expect(elapsedMs()).toBeLessThan(2 * NEAR_LINK_MS);
  });
});
