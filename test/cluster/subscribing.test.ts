/** A primary of a cluster dies under a subscription: what the replica has is delivered, what it lacks is told. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { EngineError } from '../../model/errors.js';
import { executionIdOf } from '../../model/ids.js';
import { Subscriptions } from '../../src/engine/index.js';
import { valkey } from '../../src/valkey/index.js';
import { startCluster, type ValkeyCluster } from '../support/valkey/index.js';
import { partitionOn, pause, until } from './support.js';

const PARTITIONS = 16;
let cluster: ValkeyCluster;
beforeAll(async () => {
  cluster = await startCluster({ nodes: 3, replicas: 1 });
});
afterAll(() => cluster?.stop());

it('a subscription outlives the failover of a primary', async () => {
  const { url } = cluster.nodes[1] as { url: string };
  const options = { url, partitions: { count: PARTITIONS }, callTimeoutMs: 1_000 };
  await using writer = await valkey(options);
  await using reader = await valkey(options);
  const create = async (partition: number): Promise<string> => {
    const executionId = executionIdOf(partition, randomUUID());
    const names = { namespace: 'n', laneId: 'lane', executionKind: 'k', creatorIdentity: 'c' };
    await writer.createExecution({ executionId, ...names });
    return executionId;
  };
  const feeds = new Subscriptions(reader);
  const seen = new Map<string, number>();
  const states: string[] = [];
  const lost: string[] = [];
  const controller = new AbortController();
  const { signal } = controller;
  const onStateChange = (state: string): void => void states.push(state);
  const following = (async () => {
    for (let from = 'now'; ; ) {
      try {
        for await (const { event, cursor } of await feeds.events({
          types: ['execution_created'],
          from,
          signal,
          onStateChange,
        })) {
          from = cursor;
          if ('executionId' in event) seen.set(event.executionId, (seen.get(event.executionId) ?? 0) + 1);
        }
      } catch (error) {
        if (signal.aborted) return;
        // A lost tail is told, never passed over in silence.
        expect(error).toBeInstanceOf(EngineError);
        expect((error as EngineError).code).toBe('cursor_lost');
        lost.push((error as EngineError).detail['partition'] as string);
        from = (error as EngineError).detail['earliest'] as string;
      }
    }
  })();
  await pause(300);
  const dead = partitionOn(cluster, 0);
  const before = await Promise.all(Array.from({ length: PARTITIONS * 3 }, (_, i) => create(i % PARTITIONS)));
  await until(() => before.every((id) => seen.has(id)));
  expect([...seen.values()].every((times) => times === 1)).toBe(true);
  await pause(300);

  await cluster.nodes[0]?.kill('SIGKILL');
  // Other partitions go on meanwhile.
  const beside = partitionOn(cluster, 1);
  const meanwhile = await create(beside);
  let after = '';
  await until(async () => {
    after = await create(dead).catch(() => '');
    return after !== '';
  });
  const last = await create(beside);
  await until(() => [meanwhile, after, last].every((id) => seen.has(id)));
  // Acknowledged and replicated before: all of it was delivered, and again only where the log was lost.
  expect([...seen.values()].every((times) => times === 1) || lost.length > 0).toBe(true);
  expect(states.at(-1) ?? 'live').toBe('live');
  controller.abort();
  await following;
});
