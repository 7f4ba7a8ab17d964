/** A primary of a cluster dies: its replica takes over, calls and wakes find it, and nobody has to do anything. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EngineError } from '../../model/errors.js';
import { executionIdOf } from '../../model/ids.js';
import { ConnectionNotice } from '../../src/backend/connection-notice.js';
import type { Wake } from '../../src/backend/backend.js';
import { valkey } from '../../src/valkey/index.js';
import { watchLateness } from '../support/lateness.js';
import { startCluster, type ValkeyCluster } from '../support/valkey/index.js';
import { partitionOn, pause, slotOf, until } from './support.js';

let cluster: ValkeyCluster;
beforeAll(async () => {
  cluster = await startCluster({ nodes: 3, replicas: 1 });
});
afterAll(() => cluster?.stop());

describe('a primary of a cluster that dies', () => {
  it('is followed by its replica, for calls and for wakes', async () => {
    const { url } = cluster.nodes[1] as { url: string };
    await using backend = await valkey({ url, partitions: { count: 32 }, callTimeoutMs: 1_000 });
    const reached: unknown[] = [];
    backend.onNotice?.((notice) => {
      if (notice instanceof ConnectionNotice) reached.push(notice.isLost);
    });
    const lateMs = watchLateness();
    const wakes: Wake[] = [];
    await backend.onWake(['lane'], (wake) => void ('arriving' in wake || wakes.push(wake)));
    const partition = partitionOn(cluster, 0);
    const before: string[] = [];
    const create = async (): Promise<string> => {
      const executionId = executionIdOf(partition, randomUUID());
      await backend.createExecution({
        executionId,
        namespace: 'n',
        laneId: 'lane',
        executionKind: 'k',
        creatorIdentity: 'c',
      });
      return executionId;
    };
    for (let count = 0; count < 20; count++) before.push(await create());
    await pause(200);

    await cluster.nodes[0]?.kill('SIGKILL');
    let failures = 0;
    const startedAt = performance.now();
    await until(async () => {
      const callAt = performance.now();
      try {
        await create();
        return true;
      } catch (error) {
        failures++;
        expect(error).toBeInstanceOf(EngineError);
        expect((error as EngineError).retryable).toBe(true);
        expect(performance.now() - callAt).toBeLessThan(1_500 + lateMs());
        return false;
      }
    });
    console.log(
      `cluster failover: calls work again after ${Math.round(performance.now() - startedAt)} ms, ${failures} calls failed`,
    );

    await until(() => reached.length === 2);
    expect(reached).toEqual([true, false]);
    for (const executionId of before)
      expect((await backend.describeExecution({ executionId }))?.publicState).toBe('waiting');
    // A partition whose queue is empty wakes whoever waits, each time work comes.
    wakes.length = 0;
    const other = Array.from({ length: 32 }, (_, index) => index).find(
      (index) => index !== partition && cluster.initialOwner(slotOf(index)) === 0,
    ) as number;
    await until(async () => {
      await backend.createExecution({
        executionId: executionIdOf(other, randomUUID()),
        namespace: 'n',
        laneId: 'lane',
        executionKind: 'k',
        creatorIdentity: 'c',
      });
      await backend.execute([
        {
          name: 'claimForWorker',
          args: {
            partition: `{fp:${other}}`,
            laneId: 'lane',
            workerId: 'w',
            workerInstanceId: 'w',
            workerCapabilities: [],
            leaseTtlMs: 60_000,
            claims: [{ leaseId: randomUUID(), attemptId: randomUUID() }],
          },
        },
      ]);
      await pause(50);
      return wakes.length > 0;
    });
  });

  it('is awaited by calls within their timeout, and named by them afterwards; nothing is printed', async () => {
    const { url } = cluster.nodes[2] as { url: string };
    const victim = cluster.nodes[1] as { port: number; kill(signal: NodeJS.Signals): Promise<void> };
    await using patient = await valkey({ url, prefix: 'w:', partitions: { count: 32 }, callTimeoutMs: 20_000 });
    await using hasty = await valkey({ url, prefix: 'w:', partitions: { count: 32 }, callTimeoutMs: 600 });
    await patient.onWake(['lane'], () => undefined);
    const partition = partitionOn(cluster, 1);
    const create = (backend: typeof patient) =>
      backend.createExecution({
        executionId: executionIdOf(partition, randomUUID()),
        namespace: 'n',
        laneId: 'lane',
        executionKind: 'k',
        creatorIdentity: 'c',
      });
    const printed = capturePrinted();
    try {
      await create(patient);
      await victim.kill('SIGKILL');
      // What is sent from now on did not run on the one that is dead, and waits for its successor.
      await pause(20);
      const startedAt = performance.now();
      const hurried = create(hasty).then(
        () => expect.fail('there is no successor yet'),
        (error: EngineError) => ({ error, afterMs: performance.now() - startedAt }),
      );
      const waiting = Promise.all(Array.from({ length: 50 }, () => create(patient)));
      const { error, afterMs } = await hurried;
      expect(error.retryable).toBe(true);
      expect(['transport_failed', 'server_not_ready', 'call_timeout']).toContain(error.code);
      expect(afterMs).toBeGreaterThan(400);
      for (const [index, { port }] of cluster.nodes.entries())
        if (index !== 1 && error.code === 'transport_failed') expect(error.message).not.toContain(`:${port} `);
      for (const outcome of await waiting) expect(outcome.kind).toBe('created');
    } finally {
      printed.stop();
    }
    expect(printed.text()).toBe('');
  });
});

/** What is written to the standard streams and to the console, and warnings of Node. */
function capturePrinted(): { text(): string; stop(): void } {
  let text = '';
  const take = (...chunks: unknown[]): boolean => {
    text += chunks.map(String).join(' ');
    return true;
  };
  const undo: (() => void)[] = [];
  const replace = <Name extends string>(target: Record<Name, (...args: never[]) => unknown>, name: Name): void => {
    const original = target[name];
    target[name] = take;
    undo.push(() => (target[name] = original));
  };
  replace(process.stdout, 'write');
  replace(process.stderr, 'write');
  for (const name of ['log', 'info', 'warn', 'error', 'debug'] as const) replace(console, name);
  process.on('warning', take);
  undo.push(() => process.off('warning', take));
  return { text: () => text, stop: () => undo.forEach((each) => each()) };
}
