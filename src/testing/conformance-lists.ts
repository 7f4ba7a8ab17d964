/** Conformance of what operators look at: counts and lists. */
import assert from 'node:assert/strict';
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
];
