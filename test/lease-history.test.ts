import { afterEach, describe, expect, it } from 'vitest';
import { leaseHistory } from '../src/engine/log.js';
import { testEngine, type TestEngine } from '../src/testing/index.js';
import { sharedValkey } from './support/valkey/index.js';

const LANE = { namespace: 'test', laneId: 'default', executionKind: 'kind', creatorIdentity: 'test' };

async function claim(
  engine: TestEngine,
  workerInstanceId: string,
): Promise<{ leaseId: string; leaseEpoch: number; attemptId: string }> {
  const outcome = await engine.backend.claimForWorker({
    partition: '{fp:0}',
    laneId: 'default',
    workerId: 'pool',
    workerInstanceId,
    leaseTtlMs: 1_000,
    claims: [{ leaseId: engine.uuid(), attemptId: engine.uuid() }],
  });
  if (outcome.kind !== 'claimed') throw new Error(`nothing to claim: ${outcome.kind}`);
  const { leaseId, leaseEpoch, attemptId } = outcome.executions[0] as (typeof outcome.executions)[number];
  return { leaseId, leaseEpoch, attemptId };
}

describe.each(['memory', 'valkey'] as const)('the lease history on %s', (kind) => {
  let engine: TestEngine | undefined;
  afterEach(() => engine?.close());

  it('names the owners of an execution, and how each ownership ended', async () => {
    engine = await testEngine({ backend: kind === 'memory' ? 'memory' : { url: (await sharedValkey()).url } });
    const executionId = engine.executionId();
    await engine.backend.createExecution({
      executionId,
      ...LANE,
      policy: { retryPolicy: { maxRetries: 1, backoff: { type: 'fixed', delayMs: 10 } } },
    });

    const first = await claim(engine, 'one');
    await engine.backend.renewLease({ executionId, fence: first });
    await engine.backend.revokeLease({ executionId, reason: 'maintenance' });
    const second = await claim(engine, 'two');
    await engine.advance(1_000);
    const third = await claim(engine, 'three');
    await engine.backend.failExecution({ executionId, fence: third, failureReason: 'no' });
    await engine.advance(10);
    const fourth = await claim(engine, 'four');
    await engine.backend.releaseLease({ executionId, fence: fourth });
    const fifth = await claim(engine, 'five');
    await engine.backend.completeExecution({ executionId, fence: fifth });

    const told: string[] = [];
    for await (const entry of leaseHistory(engine.backend, { executionId })) {
      if (entry.type === 'replay_initiated') continue;
      told.push(
        `${entry.type} ${entry.leaseEpoch} ${entry.workerInstanceId} attempt ${entry.attemptIndex}${'reason' in entry ? ` (${entry.reason})` : ''}`,
      );
    }
    expect(told).toEqual([
      'acquired 1 one attempt 0 (claimed)',
      'revoked 1 one attempt 0 (maintenance)',
      'reclaimed 2 two attempt 1',
      'expired 2 two attempt 1',
      'reclaimed 3 three attempt 2',
      'released 3 three attempt 2 (failed_retry_scheduled)',
      'acquired 4 four attempt 3 (claimed)',
      'released 4 four attempt 3 (handed_back)',
      'acquired 5 five attempt 3 (resumed)',
      'released 5 five attempt 3 (completed)',
    ]);
    expect(second.leaseEpoch).toBe(2);
  });
});
