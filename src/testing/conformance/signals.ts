/** Conformance of signals sent by name. */
import assert from 'node:assert/strict';
import { bytes, create, fenceOf, refused, stateOf, take, type ConformanceScenario } from './steps.js';

export const signalScenarios: readonly ConformanceScenario[] = [
  {
    name: 'a signal by name is kept until an execution waits for it, resumes that execution, and refuses a suspension that missed it',
    async run(engine) {
      const { backend } = engine;
      const executionId = await create(engine);
      const send = (signalName: string, payload?: Uint8Array, signalId = engine.uuid()) =>
        backend.signalExecution({ executionId, signalId, signalName, payload, payloadEncoding: 'raw' });
      const kept = await send('go', bytes(0, 255));
      assert.equal(kept.kind === 'accepted' && kept.effect, 'kept_for_a_wait');
      const owner = await take(engine);
      const suspend = (seenSignals: number) =>
        backend.suspendExecution({
          executionId,
          fence: fenceOf(owner),
          suspensionId: engine.uuid(),
          waitpoints: [{ waitpointId: engine.uuid(), waitpointKey: 'go#1' }],
          resumeCondition: { type: 'count', n: 1, countKind: 'distinct_signals', waitpoints: ['go#1'] },
          seenSignals,
        });
      await refused(suspend(0), 'signals_arrived');
      assert.equal(await stateOf(engine, executionId), 'active');
      assert.equal((await suspend(1)).kind, 'suspended');
      const other = await send('other');
      assert.equal(other.kind === 'accepted' && other.effect, 'kept_for_a_wait');
      const id = engine.uuid();
      const taken = await send('go', bytes(7), id);
      assert.equal(taken.kind === 'accepted' && taken.effect, 'resume_condition_satisfied');
      assert.deepEqual(await send('go', bytes(8), id), { kind: 'duplicate', existingSignalId: id });
      const { signals } = await backend.listSignals({ executionId });
      const told = signals.map(({ signalName, waitpointKey, payload }) => [
        signalName,
        waitpointKey,
        payload && [...payload],
      ]);
      assert.deepEqual(
        new Set(told.map((each) => JSON.stringify(each))),
        new Set([
          JSON.stringify(['go', '', [0, 255]]),
          JSON.stringify(['other', '', undefined]),
          JSON.stringify(['go', 'go#1', [7]]),
        ]),
      );
      const again = await take(engine);
      await backend.completeExecution({ executionId, fence: fenceOf(again) });
      await refused(send('go'), 'target_not_signalable');
    },
  },
];
