/** Bytes belong to their callers: what they write into them after a call is not stored. */
import { expect, onTestFinished, test } from 'vitest';
import { testEngine } from '../../src/testing/index.js';

const LANE = { partition: '{fp:0}', laneId: 'l', workerId: 'w', workerInstanceId: 'i' };

test.each(['memory', 'embedded'] as const)(
  'a write into the bytes of a call, %s, does not change the store',
  async (name) => {
    const engine = await testEngine({ backend: name });
    onTestFinished(() => engine.close());
    const { backend } = engine;
    const executionId = engine.executionId();
    const input = Buffer.from('input');
    await backend.createExecution({
      executionId,
      namespace: 'n',
      laneId: 'l',
      executionKind: 'k',
      creatorIdentity: 'c',
      inputPayload: input,
    });
    input.fill(0);
    const claims = [{ leaseId: engine.uuid(), attemptId: engine.uuid() }];
    const claimed = await backend.claimForWorker({ ...LANE, claims });
    const owned = claimed.kind === 'claimed' ? claimed.executions[0] : undefined;
    expect(Buffer.from(owned?.inputPayload ?? []).toString()).toBe('input');
    const fence = { leaseId: claims[0]?.leaseId, attemptId: claims[0]?.attemptId, leaseEpoch: owned?.leaseEpoch };
    const frame = Buffer.from('frame');
    await backend.appendFrame({ executionId, fence, attemptIndex: 0, payload: frame });
    frame.fill(0);
    // Nor does a write into bytes that the store gave.
    for (let read = 0; read < 2; read++) {
      const { frames } = await backend.readStream({ executionId, attemptIndex: 0 });
      expect(frames.map(({ payload }) => Buffer.from(payload).toString())).toEqual(['frame']);
      for (const { payload } of frames) payload.fill(0);
    }
  },
);
