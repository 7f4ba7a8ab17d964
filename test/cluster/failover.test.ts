/** A primary of a cluster dies: its replica takes over, calls and wakes find it, and nobody has to do anything. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EngineError } from '../../model/errors.js';
import { executionIdOf } from '../../model/ids.js';
import type { Wake } from '../../src/backend.js';
import { valkey } from '../../src/valkey/index.js';
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
        expect(performance.now() - callAt).toBeLessThan(1_500);
        return false;
      }
    }, 20_000);
    console.log(
      `cluster failover: calls work again after ${Math.round(performance.now() - startedAt)} ms, ${failures} calls failed`,
    );

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
});
