/** Calls made at one moment travel together, and nobody can tell but by their number. */
import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import type { Backend } from '../../src/backend/backend.js';
import { parseCommand } from '../../src/backend/boundary.js';
import { Coalescer } from '../../src/valkey/calls/coalescer.js';
import { deployment } from '../support/valkey/deployment.js';

const deployed = deployment(2);

const creation = (partition = 0) => ({
  executionId: `{fp:${partition}}:${randomUUID()}`,
  namespace: 'n',
  laneId: 'l',
  executionKind: 'k',
  creatorIdentity: 'c',
});
const claimArgs = (count: number) => ({
  partition: '{fp:0}',
  laneId: 'l',
  workerId: 'w',
  workerInstanceId: 'w1',
  claims: Array.from({ length: count }, () => ({ leaseId: randomUUID(), attemptId: randomUUID() })),
});
async function calls(): Promise<number> {
  return Number(/cmdstat_fcall:calls=(\d+)/.exec(await deployed.admin.info('commandstats'))?.[1] ?? 0);
}

it('the coalescer joins the calls of one turn, per partition, and answers each caller', async () => {
  const before = await calls();
  const all = [creation(0), creation(1), creation(0), creation(0)];
  const outcomes = await Promise.all(all.map((args) => deployed.backend.createExecution(args)));
  expect(outcomes.map((outcome) => [outcome.kind, outcome.executionId])).toEqual(
    all.map(({ executionId }) => ['created', executionId]),
  );
  expect((await calls()) - before).toBe(2);
});

it('the coalescer keeps the order of one caller, and a refusal concerns its caller alone', async () => {
  const claimed = await deployed.backend.claimForWorker(claimArgs(3));
  if (claimed.kind !== 'claimed') throw new Error(claimed.kind);
  const [a, b] = claimed.executions.map(({ executionId, leaseId, leaseEpoch, attemptId }) => ({
    executionId,
    fence: { leaseId, leaseEpoch, attemptId },
  }));
  if (a === undefined || b === undefined) throw new Error('two are needed');
  const before = await calls();
  const [pair, refused, third] = await Promise.all([
    deployed.backend.execute([
      { name: 'completeExecution', args: a },
      { name: 'cancelExecution', args: { executionId: a.executionId, reason: 'late', source: 'operator_override' } },
    ]),
    deployed.backend
      .completeExecution({ ...b, fence: { ...b.fence, leaseEpoch: 99 } })
      .catch((error: unknown) => error),
    deployed.backend.completeExecution(b),
  ]);
  expect((await calls()) - before).toBe(1);
  expect(pair[0]).toMatchObject({ ok: true, outcome: { kind: 'completed' } });
  expect(pair[1]).toMatchObject({ ok: false, error: { code: 'execution_not_active' } });
  expect(refused).toMatchObject({ code: 'stale_lease' });
  expect(third).toMatchObject({ kind: 'completed' });
});

it('the coalescer sends a read after the writes issued before it in the same turn', async () => {
  const args = creation();
  const [, state] = await Promise.all([
    deployed.backend.createExecution(args),
    deployed.backend.readExecutionState({ executionId: args.executionId }),
  ]);
  expect(state).toBe('waiting');
});

const claimed = (outcome: Awaited<ReturnType<Backend['claimForWorker']>>): string[] =>
  outcome.kind === 'claimed' ? outcome.executions.map(({ executionId }) => executionId) : [];

/** Listeners that claim what arrives, as workers with so many free slots would. */
async function claimants(
  laneId: string,
  slots: readonly number[],
): Promise<{ got: Promise<string[]>[]; published: () => number; stop: () => void }> {
  const got: Promise<string[]>[] = [];
  let published = 0;
  const stops = await Promise.all(
    slots.map((free, who) => {
      let left = free;
      return deployed.backend.onWake([laneId], (wake) => {
        if (wake.kind !== 'work') return;
        if (wake.arriving === undefined) published++;
        else if (left > 0) {
          const count = Math.min(left, wake.arriving);
          left -= count;
          got[who] = deployed.backend
            .claimForWorker({ ...claimArgs(count), laneId, partition: wake.partition })
            .then(claimed);
        }
      });
    }),
  );
  return { got, published: () => published, stop: () => stops.forEach((stop) => stop()) };
}

it('the coalescer offers new work to idle workers of this process, in the call that creates it', async () => {
  const { got, published, stop } = await claimants('near', [2, 0, 2, 2]);
  const before = await calls();
  const all = Array.from({ length: 3 }, () => ({ ...creation(), laneId: 'near' }));
  await Promise.all(all.map((args) => deployed.backend.createExecution(args)));
  expect((await calls()) - before).toBe(1);
  const ids = (await Promise.all(got)).flat();
  expect(ids.filter((id) => id !== undefined).sort()).toEqual(all.map(({ executionId }) => executionId).sort());
  // All of it was taken: the fourth was not asked, and nobody was woken.
  expect(got[3]).toBeUndefined();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(published()).toBe(0);
  await deployed.backend.createExecution({ ...creation(), laneId: 'near', delayUntil: Date.now() + 60_000 });
  expect(got[3]).toBeUndefined();
  stop();
});

it('the coalescer offers the members of a new flow that have no dependencies', async () => {
  const { got, stop } = await claimants('first', [3, 3]);
  const member = () => ({ executionId: creation().executionId, executionKind: 'k', laneId: 'first' });
  const [one, two, last] = [member(), member(), member()];
  const edges = [
    { edgeId: randomUUID(), upstreamExecutionId: two.executionId, downstreamExecutionId: last.executionId },
  ];
  const flow = { flowId: creation().executionId, flowKind: 'k', namespace: 'n', creatorIdentity: 'c' };
  const before = await calls();
  await deployed.backend.createFlow({ ...flow, graph: { members: [one, two, last], edges } });
  expect((await calls()) - before).toBe(1);
  expect([...((await got[0]) ?? [])].sort()).toEqual([one.executionId, two.executionId].sort());
  const built = { ...flow, flowId: creation().executionId, building: true };
  await deployed.backend.createFlow({ ...built, graph: { members: [member()] } });
  expect(got[1]).toBeUndefined();
  stop();
});

it('the coalescer wakes other processes for work that this process did not claim', async () => {
  const { got, published, stop } = await claimants('left', [1]);
  await Promise.all(
    [creation(), creation()].map((args) => deployed.backend.createExecution({ ...args, laneId: 'left' })),
  );
  expect(await got[0]).toHaveLength(1);
  while (published() === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  stop();
});

it('the coalescer repeats a call without its creations when a full server refuses them', async () => {
  const kept = { ...creation(), laneId: 'full' };
  await deployed.backend.createExecution(kept);
  const { got, stop } = await claimants('full', [2]);
  await deployed.admin.config('SET', 'maxmemory', '1');
  await expect(deployed.backend.createExecution({ ...creation(), laneId: 'full' })).rejects.toMatchObject({
    code: 'server_memory_full',
  });
  expect(await got[0]).toEqual([kept.executionId]);
  await deployed.admin.config('SET', 'maxmemory', '0');
  stop();
});

it('a listener can read from the partition of the work that it is offered', async () => {
  let state: Promise<unknown> | undefined;
  const args = { ...creation(), laneId: 'curious' };
  const stop = await deployed.backend.onWake(['curious'], () => {
    state ??= deployed.backend.readExecutionState({ executionId: args.executionId });
  });
  await deployed.backend.createExecution(args);
  expect(await state).toBe('waiting');
  stop();
});

it('the coalescer sends one claim for several slots of one worker, and gives each slot its execution', async () => {
  const all = Array.from({ length: 5 }, (_, index) => ({ ...creation(), laneId: 'slots', priority: 9 - index }));
  for (const args of all) await deployed.backend.createExecution(args);
  await deployed.backend.createExecution({ ...creation(), laneId: 'elsewhere' });
  const claim = (count: number, facts: { laneId?: string; workerInstanceId?: string } = {}) =>
    deployed.backend.claimForWorker({ ...claimArgs(count), laneId: 'slots', ...facts });
  const before = await calls();
  const wanted = [
    claim(1),
    claim(2),
    claim(1, { laneId: 'elsewhere' }),
    claim(1, { workerInstanceId: 'another' }),
    claim(1),
    claim(3),
  ];
  const outcomes = await Promise.all(wanted);
  expect((await calls()) - before).toBe(1);
  expect(outcomes.map((outcome) => claimed(outcome).length)).toEqual([1, 2, 1, 1, 1, 0]);
  expect(outcomes.map(({ kind }) => kind)).toEqual(['claimed', 'claimed', 'claimed', 'claimed', 'claimed', 'no_work']);
  // The most urgent first, in the order in which they were asked for.
  expect(outcomes.filter((_, index) => index !== 2).flatMap(claimed)).toEqual(
    all.map(({ executionId }) => executionId),
  );
});

it('the coalescer gives no execution to two callers, even if they use the same ids', async () => {
  for (let i = 0; i < 2; i++) await deployed.backend.createExecution({ ...creation(), laneId: 'same' });
  const args = { ...claimArgs(1), laneId: 'same' };
  const outcomes = await Promise.all([deployed.backend.claimForWorker(args), deployed.backend.claimForWorker(args)]);
  expect(outcomes.map((outcome) => claimed(outcome).length)).toEqual([1, 1]);
  expect(new Set(outcomes.flatMap(claimed)).size).toBe(2);
});

it('the coalescer counts offered work per queue, in any order of creations', async () => {
  const offered: unknown[] = [];
  const coalescer = new Coalescer({
    send: async (_partition, commands) => commands.map(() => ({ ok: true, outcome: {} as never })),
    onArrival: ({ executionKind, priority, requiredCapabilities, unclaimed }) =>
      offered.push([executionKind, priority, requiredCapabilities, unclaimed()]),
  });
  const needs = (...requiredCapabilities: string[]) => ({ policy: { routingRequirements: { requiredCapabilities } } });
  const changes = [{}, {}, { executionKind: 'other' }, {}, needs('gpu'), needs('gpu'), { priority: 7 }, {}];
  // A delayed one is no work yet, and ends no row of equal ones.
  const commands = [...changes, { delayUntil: 5 }, {}].map((change) =>
    parseCommand('createExecution', { ...creation(), ...change }, 'valkey'),
  );
  await Promise.all([coalescer.run('{fp:0}', commands.slice(0, 5)), coalescer.run('{fp:0}', commands.slice(5))]);
  expect(offered).toEqual([
    // Of every priority: they wait in one queue.
    ['k', 0, [], 6],
    ['other', 0, [], 1],
    ['k', 0, ['gpu'], 2],
  ]);
});
