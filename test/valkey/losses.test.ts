/** Losses that lie far apart are not counted together, on a server as in memory, and are kept by what else is counted. */
import { afterEach, expect, it } from 'vitest';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { sharedValkey } from '../support/valkey/index.js';

const LEASE_TTL_MS = 1_000;
const HOUR_MS = 3_600_000;
const PARTITION = '{fp:0}';

const engines: TestEngine[] = [];
afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close();
});

/** What is counted of an execution that a worker takes over again after each of these times, ms. */
async function lossesAfter(engine: TestEngine, timesMs: readonly number[]) {
  const { backend } = engine;
  const executionId = engine.executionId();
  const told: unknown[] = [];
  const tell = async (): Promise<void> => {
    const info = await backend.readExecutionInfo({ executionId });
    told.push([info?.leaseReclaimCount, info?.recentLossCount, info?.leaseReleaseCount, info?.retryCount]);
  };
  const claim = async () => {
    const ids = { leaseId: engine.uuid(), attemptId: engine.uuid() };
    const worker = { workerId: 'w', workerInstanceId: 'w-1', leaseTtlMs: LEASE_TTL_MS };
    const outcome = await backend.claimForWorker({ partition: PARTITION, laneId: 'l', ...worker, claims: [ids] });
    if (outcome.kind !== 'claimed') throw new Error(outcome.kind);
    const { leaseId, leaseEpoch, attemptId } = outcome.executions[0];
    return { leaseId, leaseEpoch, attemptId };
  };
  const names = { namespace: 'n', laneId: 'l', executionKind: 'k', creatorIdentity: 'c' };
  const policy = { retryPolicy: { maxRetries: 3, backoff: { type: 'fixed' as const, delayMs: 5 } } };
  await backend.createExecution({ executionId, ...names, policy });
  let fence = await claim();
  for (const ms of timesMs) {
    await engine.advance(ms);
    fence = await claim();
    await tell();
  }
  await backend.releaseLease({ executionId, fence });
  fence = await claim();
  await tell();
  await backend.failExecution({ executionId, fence, failureReason: 'r', failureClass: 'transient' });
  await engine.advance(10);
  fence = await claim();
  await tell();
  await backend.completeExecution({ executionId, fence });
  await tell();
  await backend.replayExecution({ executionId, requestedBy: 'o', expectedReplayCount: 0 });
  await claim();
  await tell();
  return told;
}

it('losses within an hour count as recent after hand-backs and retries, but not after a replay', async () => {
  const { url } = await sharedValkey();
  const times = [HOUR_MS - 1, HOUR_MS, HOUR_MS + 1, 2_000, 2_000];
  const prefix = `losses-${process.pid}:`;
  engines.push(await testEngine(), await testEngine({ backend: { url }, prefix, retentionMs: 48 * HOUR_MS }));
  for (const engine of engines)
    expect(await lossesAfter(engine, times), engine.backend.label).toEqual([
      [1, 1, 0, 0],
      [2, 2, 0, 0],
      [3, 1, 0, 0],
      [4, 2, 0, 0],
      [5, 3, 0, 0],
      [5, 3, 1, 0],
      [5, 3, 1, 1],
      [5, 3, 1, 1],
      [0, 0, 0, 0],
    ]);
});
