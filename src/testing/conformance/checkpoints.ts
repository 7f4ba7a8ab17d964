/** Conformance of recorded steps: their values, the right to record, the effect of a replay. */
import assert from 'node:assert/strict';
import { LIMITS } from '../../../model/limits.js';
import { bytes, claim, create, fenceOf, refused, stateOf, take, TTL_MS, type ConformanceScenario } from './steps.js';

export const stepScenarios: readonly ConformanceScenario[] = [
  {
    name: 'a step is recorded once: a repetition has the same answer, and another value is ignored',
    async run(engine) {
      const { backend } = engine;
      await create(engine);
      const taken = await take(engine);
      const { executionId } = taken;
      const step = { executionId, fence: fenceOf(taken), stepName: 'größe: 1', stepIndex: 1 };
      const value = Uint8Array.from({ length: 300 }, (_, i) => i % 256);
      const once = { ...step, value, encoding: 'bytes' };
      assert.deepEqual(await backend.recordStep(once), { kind: 'recorded', place: 0 });
      assert.deepEqual(await backend.recordStep(once), { kind: 'recorded', place: 0 });
      assert.deepEqual(await backend.recordStep({ ...once, value: bytes(1), failed: true }), {
        kind: 'already_recorded',
        place: 0,
      });
      const clash = await refused(backend.recordStep({ ...once, stepKind: 'wait' }), 'step_changed');
      assert.deepEqual(clash.detail, { stepName: 'größe: 1', stepIndex: '1', recorded: 'step', asked: 'wait' });
      assert.deepEqual(await backend.recordStep({ ...step, stepIndex: 0 }), { kind: 'recorded', place: 1 });
      assert.deepEqual(await backend.recordStep(once), { kind: 'recorded', place: 0 });
      await backend.recordStep({ ...step, stepName: 'empty', value: bytes(), encoding: 'bytes', failed: true });
      const { steps, stepCount, next } = await backend.readSteps({ executionId });
      assert.deepEqual([stepCount, next], [3, undefined]);
      assert.deepEqual(
        steps.map(({ stepName, stepIndex, stepFailed, value: stored }) => [
          stepName,
          stepIndex,
          stepFailed,
          stored && Uint8Array.from(stored),
        ]),
        [
          ['größe: 1', 1, false, value],
          ['größe: 1', 0, false, undefined],
          ['empty', 1, true, bytes()],
        ],
      );
    },
  },
  {
    name: 'steps belong to the execution: the next owner finds them, the previous one can add none, and pages are consecutive',
    async run(engine) {
      const { backend } = engine;
      const executionId = await create(engine);
      const first = await take(engine);
      const large = new Uint8Array(200_000);
      for (let stepIndex = 0; stepIndex < 3; stepIndex++) {
        const value = { value: large, encoding: 'bytes' };
        await backend.recordStep({ executionId, fence: fenceOf(first), stepName: 's', stepIndex, ...value });
      }
      await engine.advance(TTL_MS);
      const second = await take(engine);
      const late = { executionId, fence: fenceOf(first), stepName: 'late', stepIndex: 0 };
      await refused(backend.recordStep(late), 'stale_lease');
      await backend.recordStep({ ...late, fence: fenceOf(second), stepName: 'next' });
      const page = await backend.readSteps({ executionId });
      // Two of them do not fit into one page.
      assert.deepEqual([page.steps.length, page.next, page.stepCount], [1, 1, 4]);
      const rest = await backend.readSteps({ executionId, from: 2, limit: 2 });
      assert.deepEqual(
        rest.steps.map(({ stepName, value }) => [stepName, value?.byteLength]),
        [
          ['s', 200_000],
          ['next', undefined],
        ],
      );
      const listed = await backend.readSteps({ executionId, values: false, limit: 3 });
      assert.deepEqual([listed.steps.map(({ value }) => value), listed.next], [[undefined, undefined, undefined], 3]);
    },
  },
  {
    name: 'a replay keeps steps and signals unless it discards them, and a purge removes them',
    options: { retentionMs: 0 },
    async run(engine) {
      const { backend } = engine;
      const executionId = await create(engine);
      const first = await take(engine);
      const step = { executionId, stepName: 'pay', stepIndex: 0 };
      const value = { value: bytes(1), encoding: 'bytes' };
      await backend.recordStep({ ...step, fence: fenceOf(first), ...value });
      const sent = { executionId, signalId: engine.uuid(), signalName: 'paid', payload: bytes(7, 8) };
      await backend.signalExecution(sent);
      await backend.completeExecution({ executionId, fence: fenceOf(first) });
      await backend.replayExecution({ executionId });
      const second = await take(engine);
      assert.equal((await backend.readSteps({ executionId })).stepCount, 1);
      const [kept] = (await backend.listSignals({ executionId })).signals;
      assert.deepEqual(kept?.payload && Uint8Array.from(kept.payload), bytes(7, 8));
      await backend.completeExecution({ executionId, fence: fenceOf(second) });
      await backend.replayExecution({ executionId, steps: 'discard' });
      assert.deepEqual(await backend.readSteps({ executionId }), { steps: [], stepCount: 0, next: undefined });
      assert.deepEqual((await backend.listSignals({ executionId })).signals, []);
      const third = await take(engine);
      // The id of a discarded signal can be used again.
      assert.deepEqual(await backend.signalExecution(sent), {
        ...{ kind: 'accepted', signalId: sent.signalId, effect: 'kept_for_a_wait' },
      });
      assert.deepEqual(await backend.recordStep({ ...step, stepKind: 'sleep', fence: fenceOf(third) }), {
        kind: 'recorded',
        place: 0,
      });
      await backend.completeExecution({ executionId, fence: fenceOf(third) });
      await engine.advance(180_000);
      await backend.purgeExecution({ executionId });
      assert.equal(await stateOf(engine, executionId), undefined);
      assert.equal((await backend.readSteps({ executionId })).stepCount, 0);
    },
  },
  {
    name: 'a claim carries the checkpoints of earlier owners like the reads, while they are small',
    async run(engine) {
      const { backend } = engine;
      const executionId = await create(engine);
      const left = async () => ({
        steps: (await backend.readSteps({ executionId })).steps,
        waits: await backend.readWaits({ executionId }),
        signals: (await backend.listSignals({ executionId })).signals,
      });
      const first = await take(engine);
      assert.equal(first.earlier, undefined);
      await backend.releaseLease({ executionId, fence: fenceOf(first) });
      const second = await take(engine);
      assert.deepEqual(second.earlier, { steps: [], waits: { suspension: undefined, waitpoints: [] }, signals: [] });
      const step = { executionId, fence: fenceOf(second), stepName: 'größe: 1' };
      await backend.recordStep({ ...step, stepIndex: 0, value: bytes(0, 255), encoding: 'bytes' });
      await backend.recordStep({ ...step, stepIndex: 12, stepKind: 'wait', failed: true });
      await backend.suspendExecution({
        ...{ executionId, fence: fenceOf(second), suspensionId: engine.uuid() },
        waitpoints: [{ waitpointId: engine.uuid(), waitpointKey: 'go#1' }],
        resumeCondition: { type: 'single', waitpointKey: 'go#1', matcher: { type: 'by_name', name: 'go' } },
      });
      const signal = { executionId, payload: bytes(0, 9), payloadEncoding: 'raw' };
      await backend.signalExecution({ ...signal, signalId: engine.uuid(), signalName: 'kept' });
      await backend.signalExecution({ ...signal, signalId: engine.uuid(), signalName: 'go', payload: undefined });
      const third = await take(engine);
      assert.deepEqual([third.earlier?.steps.length, third.earlier?.signals.length], [2, 2]);
      assert.deepEqual(third.earlier, await left());
      await backend.releaseLease({ executionId, fence: fenceOf(third) });
      const ids = { leaseId: engine.uuid(), attemptId: engine.uuid() };
      const fourth = await backend.issueGrantAndClaim({ executionId, leaseDurationMs: TTL_MS, ...ids });
      assert.deepEqual(fourth.earlier, await left());
      const long = { value: new Uint8Array(LIMITS.maxCarriedBytes), encoding: 'bytes' };
      await backend.recordStep({ ...step, fence: fenceOf(fourth), stepIndex: 1, ...long });
      await backend.releaseLease({ executionId, fence: fenceOf(fourth) });
      const fifth = await take(engine);
      assert.deepEqual([fifth.leaseEpoch, fifth.earlier], [5, undefined]);
    },
  },
  {
    name: 'a claim of many executions brings what earlier owners left up to a bound of its own',
    async run(engine) {
      const { backend } = engine;
      const long = { value: new Uint8Array(LIMITS.maxCarriedBytes - 1_024), encoding: 'bytes' };
      const fit = Math.floor(LIMITS.maxCarriedBytesPerClaim / long.value.byteLength);
      for (let n = 0; n < fit + 2; n++) await create(engine);
      const takeAll = async () => {
        const outcome = await claim(engine, {}, fit + 2);
        return outcome.kind === 'claimed' ? outcome.executions : [];
      };
      for (const claimed of await takeAll()) {
        const owner = { executionId: claimed.executionId, fence: fenceOf(claimed) };
        await backend.recordStep({ ...owner, stepName: 's', stepIndex: 0, ...long });
        await backend.releaseLease(owner);
      }
      const brought = (await takeAll()).map(({ earlier }) => earlier?.steps.length);
      assert.deepEqual(brought, [...Array<number>(fit).fill(1), undefined, undefined]);
    },
  },
];
