/** What every backend must do when operators change the course of work: holds. */
import assert from 'node:assert/strict';
import {
  claim,
  create,
  eventTypes,
  fenceOf,
  stateOf,
  take,
  TTL_MS,
  type ConformanceScenario,
} from './conformance-steps.js';

export const operatingScenarios: readonly ConformanceScenario[] = [
  {
    name: 'held work keeps its place and is not claimed until it is released',
    async run(engine) {
      const { backend } = engine;
      const executionId = await create(engine);
      engine.setTime(engine.now() + 5);
      const other = await create(engine);
      const held = await backend.holdExecution({ executionId, reason: 'the shop is closed', requestedBy: 'ann' });
      assert.deepEqual({ ...held }, { kind: 'held', executionId, publicState: 'waiting' });
      const snapshot = await backend.describeExecution({ executionId });
      assert.deepEqual(
        [snapshot?.blockingReason, snapshot?.blockingDetail],
        ['paused_by_operator', 'held by ann: the shop is closed'],
      );
      assert.equal((await take(engine)).executionId, other);
      assert.equal((await claim(engine)).kind, 'no_work');
      await backend.releaseHold({ executionId, requestedBy: 'ann' });
      assert.deepEqual(
        { ...(await backend.releaseHold({ executionId })) },
        { kind: 'already_satisfied', reason: 'not_held' },
      );
      assert.equal((await take(engine)).executionId, executionId);
      const types = await eventTypes(engine);
      assert.deepEqual([types.includes('execution_held'), types.at(-2)], [true, 'hold_released']);
    },
  },
  {
    name: 'a hold of owned work takes effect when its owner is lost, and ends with the execution',
    async run(engine) {
      const executionId = await create(engine);
      const owner = await take(engine);
      const held = await engine.backend.holdExecution({ executionId });
      assert.equal(held.kind === 'held' && held.publicState, 'active');
      await engine.backend.renewLease({ executionId, fence: fenceOf(owner), leaseTtlMs: TTL_MS });
      await engine.advance(TTL_MS);
      assert.equal((await claim(engine)).kind, 'no_work');
      await engine.backend.releaseHold({ executionId });
      const second = await take(engine);
      assert.equal(second.claimKind, 'reclaimed');
      await engine.backend.holdExecution({ executionId });
      await engine.backend.completeExecution({ executionId, fence: fenceOf(second) });
      assert.equal(await stateOf(engine, executionId), 'completed');
      assert.equal((await engine.backend.readExecutionInfo({ executionId }))?.hold, undefined);
    },
  },
];
