/** Completions of one call that lead to the same executions: the edges of each of these are read together once. */
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { claimAll, LANE, PARTITION, populatedWorld, type SmallWorld } from './small-world.js';

const worldNow = populatedWorld<never>(() => Promise.resolve([]));
let world: SmallWorld<never>;
beforeAll(() => void (world = worldNow()));
beforeEach(() => world.reset());

const UPSTREAMS = 30;

async function readsOfHashes(): Promise<number> {
  return Number(/cmdstat_hgetall:calls=(\d+)/.exec(await world.admin.info('commandstats'))?.[1] ?? 0);
}

test.each([1, 2, 3])('completions that share a call resolve edges to %i executions in turn', async (count) => {
  const { backend, executionId, uuid } = world.engine;
  const upstreams = Array.from({ length: UPSTREAMS }, () => executionId());
  const judges = Array.from({ length: count }, () => executionId());
  await backend.createFlow({
    ...{ flowId: executionId(), flowKind: 'f', namespace: 'n' },
    graph: {
      members: [...upstreams, ...judges].map((id, i) => ({
        ...{ executionId: id, laneId: LANE, executionKind: i < UPSTREAMS ? 'up' : 'down' },
      })),
      edges: upstreams.flatMap((upstreamExecutionId) =>
        judges.map((downstreamExecutionId) => ({ edgeId: uuid(), upstreamExecutionId, downstreamExecutionId })),
      ),
    },
  });
  const answer = await backend.claimForWorker(claimAll(world.engine, UPSTREAMS, ['up']));
  const owned = answer.kind === 'claimed' ? answer.executions : [];
  expect(owned).toHaveLength(UPSTREAMS);
  const before = await readsOfHashes();
  await backend.execute(
    owned.map(({ executionId: id, leaseId, leaseEpoch, attemptId }) => ({
      name: 'completeExecution',
      args: { executionId: id, fence: { leaseId, leaseEpoch, attemptId } },
    })),
  );
  expect((await readsOfHashes()) - before).toBe(count);
  const states = await Promise.all(judges.map((id) => backend.readExecutionState({ executionId: id })));
  expect(new Set(states)).toEqual(new Set(['waiting']));
  expect((await backend.listQuarantined({ partition: PARTITION })).entries).toEqual([]);
});
