/** Conformance of what operators look at: counts and lists. */
import assert from 'node:assert/strict';
import type { ArgsOf } from '../../model/machine.js';
import { create, fenceOf, LANE, PARTITION, take, type ConformanceScenario } from './conformance-steps.js';

/** The scenarios. */
export const listScenarios: readonly ConformanceScenario[] = [
  {
    name: 'lanes say how many executions they have in each state',
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
    name: 'executions are listed by what they are, newest first, page by page',
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
      assert.ok((createdAt as number) <= (lastTransitionAt as number));
      assert.deepEqual(row, {
        executionId: taken.executionId,
        namespace: 'conformance',
        laneId: LANE,
        executionKind: row.executionKind,
        publicState: 'failed',
        priority: 3,
        totalAttemptCount: 1,
        failureCategory: 'broken',
        replayCount: 0,
        held: false,
        workerInstanceId: undefined,
        leaseId: undefined,
      });
      const first = await backend.listExecutionSummaries({ partition: PARTITION, limit: 3 });
      assert.equal(first.nextCursor, newest[2]);
      assert.deepEqual(await list({ cursor: first.nextCursor }), newest.slice(3));
    },
  },
];
