/** Long bytes on a link that is slow for them: everything moves at the rate of the link, and no lease is lost. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Proxy } from '../../fuzz/chaos/proxy.js';
import { app, valkey, type App, type TaskContext } from '../../src/index.js';
import { deployment } from '../support/valkey/deployment.js';

const MIB = 1024 * 1024;
const LINK_BYTES_PER_SECOND = 2 * MIB;
/** Too short for two inputs in one answer. */
const CALL_TIMEOUT_MS = 1_000;
const LEASE_TTL_MS = 1_500;

const deployed = deployment(2);
let proxy: Proxy;
let near: App;
let far: App;
afterEach(async () => {
  await far.close();
  await near.close();
  proxy.close();
});

/** An app beside the server, and one behind the slow link whose faults are collected. */
async function apps(lane: string): Promise<{ readonly faults: unknown[] }> {
  proxy = await Proxy.open(deployed.server.port, LINK_BYTES_PER_SECOND);
  near = app({ backend: deployed.backend, closeBackend: false, namespace: lane });
  const backend = await valkey({ url: proxy.url, partitions: { count: 2 }, callTimeoutMs: CALL_TIMEOUT_MS });
  far = app({ backend, namespace: lane });
  const faults: unknown[] = [];
  return { faults };
}

describe('on a slow link', () => {
  it.each([0, 10])('long inputs reach a worker that looks %i ahead, and none loses its lease', async (claimAhead) => {
    const name = `long-${claimAhead}`;
    const { faults } = await apps(name);
    const attempts: number[] = [];
    const handler = ({ input, attempt }: TaskContext<Uint8Array>): number => {
      attempts.push(attempt);
      return input.byteLength;
    };
    const runs = await near.task(name, handler).runMany(Array.from({ length: 8 }, () => new Uint8Array(MIB)));
    far.task(name, handler);
    const startedAt = performance.now();
    const worker = await far.worker({ slots: 8, claimAhead, leaseTtl: LEASE_TTL_MS });
    worker.on('error', ({ error }) => faults.push(error));
    expect(await Promise.all(runs.map((run) => run.result()))).toEqual(runs.map(() => MIB));
    expect(performance.now() - startedAt).toBeLessThan(2 * ((8 * MIB) / LINK_BYTES_PER_SECOND) * 1_000);
    expect(attempts).toEqual(runs.map(() => 1));
    await vi.waitFor(() => expect(worker.stats()).toMatchObject({ completed: 8, lost: 0 }));
    expect(faults).toEqual([]);
  });
});
