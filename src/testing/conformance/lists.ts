/** Conformance of lists and counts for operators. */
import assert from 'node:assert/strict';
import { present } from '../../../model/core/present.js';
import type { ArgsOf } from '../../../model/machine.js';
import { create, fenceOf, LANE, PARTITION, take, type ConformanceScenario } from './steps.js';

/** The scenarios. */
export const listScenarios: readonly ConformanceScenario[] = [
  {
    name: 'executions are counted by lane and state',
    async run(engine) {
      const executionId = await create(engine, { laneId: 'b' });
      await create(engine, { laneId: 'b', delayUntil: engine.now() + 60_000 });
      await engine.backend.holdExecution({ executionId });
      await create(engine);
      const taken = await take(engine);
      await create(engine);
      await engine.backend.completeExecution({ executionId: taken.executionId, fence: fenceOf(taken) });
      const { lanes, nextCursor } = await engine.backend.readCounts({ partition: PARTITION });
      assert.equal(nextCursor, undefined);
      const counted = lanes.map(({ laneId, total, states, held }) => ({ laneId, total, states, held }));
      assert.deepEqual(counted, [
        { laneId: 'b', total: 2, states: { waiting: 1, delayed: 1 }, held: 1 },
        { laneId: LANE, total: 2, states: { waiting: 1, completed: 1 }, held: 0 },
      ]);
      const page = await engine.backend.readCounts({ partition: PARTITION, limit: 1 });
      assert.deepEqual([page.lanes.map(({ laneId }) => laneId), page.nextCursor], [['b'], 'b']);
    },
  },
  {
    name: 'executions are listed by their facts, newest first, page by page',
    async run(engine) {
      const { backend } = engine;
      const ids: string[] = [];
      for (const laneId of ['b', LANE, 'b', LANE])
        ids.push(await create(engine, { laneId, tags: laneId === 'b' ? { 'team.name': 'Größe' } : {}, priority: 3 }));
      const newest = [...ids].sort().reverse();
      const list = async (filter: Partial<ArgsOf<'listExecutionSummaries'>>): Promise<string[]> => {
        const page = await backend.listExecutionSummaries({ partition: PARTITION, ...filter });
        return page.executions.map(({ executionId }) => executionId);
      };
      const taken = await take(engine);
      const failed = { executionId: taken.executionId, fence: fenceOf(taken), failureReason: 'why' };
      await backend.failExecution({ ...failed, failureClass: 'permanent', failureCategory: 'broken' });
      const [inB, others] = [
        newest.filter((id) => ids.indexOf(id) % 2 === 0),
        newest.filter((id) => id !== taken.executionId),
      ];
      assert.deepEqual(await list({}), newest);
      assert.deepEqual(await list({ laneId: 'b' }), inB);
      assert.deepEqual(await list({ tags: { 'team.name': 'Größe' } }), inB);
      assert.deepEqual(await list({ publicState: 'waiting' }), others);
      assert.deepEqual(await list({ publicState: 'failed', failureCategory: 'other' }), []);
      const { executions, nextCursor } = await backend.listExecutionSummaries({
        partition: PARTITION,
        publicState: 'failed',
      });
      assert.equal(nextCursor, undefined);
      const { createdAt, lastTransitionAt, ...row } = { ...executions[0] };
      assert.ok(present(createdAt) <= present(lastTransitionAt));
      assert.deepEqual(row, {
        executionId: taken.executionId,
        namespace: 'conformance',
        laneId: LANE,
        executionKind: row.executionKind,
        publicState: 'failed',
        priority: 3,
        totalAttemptCount: 1,
        failureCategory: 'broken',
        cancelledBy: undefined,
        replayCount: 0,
        held: false,
        workerInstanceId: undefined,
        leaseId: undefined,
        tags: {},
      });
      const [tagged] = (await backend.listExecutionSummaries({ partition: PARTITION, laneId: 'b' })).executions;
      assert.deepEqual(tagged?.tags, { 'team.name': 'Größe' });
      const first = await backend.listExecutionSummaries({ partition: PARTITION, limit: 3 });
      assert.equal(first.nextCursor, newest[2]);
      assert.deepEqual(await list({ cursor: first.nextCursor }), newest.slice(3));
    },
  },
  {
    name: 'a cancelled execution names its canceller, in lists and reads',
    async run(engine) {
      const { backend } = engine;
      const [operator, cascade, owned] = [await create(engine), await create(engine), await create(engine)];
      await backend.cancelExecution({ executionId: operator, reason: 'r', source: 'operator_override' });
      await backend.cancelExecution({ executionId: cascade, reason: 'r', source: 'flow_cascade' });
      const owner = await take(engine);
      await backend.cancelExecution({ executionId: owned, reason: 'r', ...fenceOf(owner) });
      const waiting = await create(engine);
      const list = async (filter: Partial<ArgsOf<'listExecutionSummaries'>>) => {
        const { executions } = await backend.listExecutionSummaries({ partition: PARTITION, ...filter });
        return Object.fromEntries(executions.map(({ executionId, cancelledBy }) => [executionId, cancelledBy]));
      };
      const all = { [operator]: 'operator_override', [cascade]: 'flow_cascade', [owned]: 'lease_holder' };
      assert.deepEqual(await list({}), { ...all, [waiting]: undefined });
      assert.deepEqual(await list({ publicState: 'cancelled' }), all);
      for (const [executionId, cancelledBy] of Object.entries(all))
        assert.deepEqual(await list({ cancelledBy }), { [executionId]: cancelledBy });
      assert.deepEqual(await list({ cancelledBy: 'flow_cascade', publicState: 'waiting' }), {});
      assert.deepEqual(await list({ cancelledBy: 'system_timeout' }), {});
    },
  },
  {
    name: 'waiting work of a lane is listed in the order of claims, page by page',
    async run(engine) {
      const { backend } = engine;
      const ids: string[] = [];
      // Most have equal keys, so they are ordered by id.
      for (const priority of [1, 5, 1, 1, 9, 1])
        ids.push(await create(engine, { priority, namespace: priority === 5 ? 'other' : 'conformance' }));
      await create(engine, { laneId: 'b', priority: 7 });
      await backend.holdExecution({ executionId: present(ids[2]) });
      const order = [ids[4], ids[1], ...[0, 3, 5].map((i) => ids[i]).sort()];
      const pages: (string | undefined)[][] = [];
      let cursor: string | undefined;
      do {
        const page = await backend.listQueued({ partition: PARTITION, laneId: LANE, cursor, limit: 2 });
        pages.push(page.executions.map(({ executionId }) => executionId));
        cursor = page.nextCursor;
      } while (cursor !== undefined);
      assert.deepEqual(pages, [order.slice(0, 2), order.slice(2, 4), order.slice(4)]);
      const { executions } = await backend.listQueued({ partition: PARTITION, laneId: LANE, namespace: 'other' });
      assert.deepEqual(
        executions.map(({ executionId, priority }) => [executionId, priority]),
        [[ids[1], 5]],
      );
      await backend.pauseLane({ partition: PARTITION, laneId: LANE });
      assert.equal((await backend.listQueued({ partition: PARTITION, laneId: LANE })).executions.length, 5);
    },
  },
  {
    name: 'lapsed and revoked leases are listed, recorded or not',
    async run(engine) {
      const { backend } = engine;
      for (let i = 0; i < 4; i++) await create(engine);
      const [noticed, revoked, kept, unnoticed] = [
        await take(engine, { leaseTtlMs: 2_000 }),
        await take(engine),
        await take(engine, { leaseTtlMs: 60_000 }),
        await take(engine, { leaseTtlMs: 5_000, workerInstanceId: 'worker-2' }),
      ];
      const start = engine.now();
      engine.setTime(start + 3_000);
      await backend.markLeaseExpiredIfDue({ executionId: noticed.executionId });
      engine.setTime(start + 4_000);
      await backend.revokeLease({ executionId: revoked.executionId, reason: 'r' });
      engine.setTime(start + 6_000);
      const { leases, nextCursor } = await backend.listExpiredLeases({ partition: PARTITION });
      assert.equal(nextCursor, undefined);
      assert.deepEqual(
        leases.map(({ executionId, leaseId, reason, lostAt }) => [executionId, leaseId, reason, lostAt - start]),
        [
          [noticed.executionId, noticed.leaseId, 'expired', 3_000],
          [revoked.executionId, revoked.leaseId, 'revoked', 4_000],
          [unnoticed.executionId, unnoticed.leaseId, 'expired', 5_000],
        ],
      );
      assert.equal(leases[2]?.workerInstanceId, 'worker-2');
      assert.ok(leases.every(({ executionId }) => executionId !== kept.executionId));
      const first = await backend.listExpiredLeases({ partition: PARTITION, limit: 1 });
      const rest = await backend.listExpiredLeases({ partition: PARTITION, cursor: first.nextCursor });
      assert.deepEqual([...first.leases, ...rest.leases], leases);
      const earlier = await backend.listExpiredLeases({ partition: PARTITION, asOf: start + 4_000 });
      assert.equal(earlier.leases.length, 2);
      assert.deepEqual((await backend.listExpiredLeases({ partition: PARTITION, namespace: 'other' })).leases, []);
    },
  },
];
