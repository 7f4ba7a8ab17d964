/** Why work does not run: every situation that it can wait in, in words and as data. */
import { afterEach, expect, test } from 'vitest';
import { explain, type Explanation } from '../../src/engine/index.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import type { ArgsOf } from '../../model/machine.js';

const uuid = (n: number): string => `00000000-0000-4000-a000-${String(n).padStart(12, '0')}`;
const X = `{fp:0}:${uuid(1)}`;
const POLICY = uuid(9);

let engine: TestEngine;
afterEach(() => engine.close());

async function created(args: Partial<ArgsOf<'createExecution'>> = {}): Promise<TestEngine['backend']> {
  engine = await testEngine({});
  const base = { namespace: 'n', laneId: 'lane', executionKind: 'k', creatorIdentity: 'c', executionId: X };
  await engine.backend.createExecution({ ...base, ...args });
  return engine.backend;
}

const claim = { partition: '{fp:0}', laneId: 'lane', workerId: 'w', workerInstanceId: 'w-1' };
const because = async (backend: TestEngine['backend'], expected: Partial<Explanation>): Promise<void> => {
  expect(await explain(backend, X)).toMatchObject(expected);
};

test('what waits for a worker says which, what runs or ended says so', async () => {
  const backend = await created({ policy: { routingRequirements: { requiredCapabilities: ['gpu'] } } });
  await because(backend, {
    because: 'worker',
    sentence: 'It waits for a worker of lane lane with gpu that runs k: none is registered.',
  });
  const claims = [{ leaseId: uuid(2), attemptId: uuid(3) }];
  await backend.claimForWorker({ ...claim, workerCapabilities: ['gpu'], claims });
  await because(backend, { because: 'nothing' });
  await backend.completeExecution({ executionId: X, source: 'operator_override' });
  await because(backend, { because: 'ended', sentence: 'It ended completed.' });
  await expect(explain(backend, `{fp:0}:${uuid(7)}`)).rejects.toMatchObject({ code: 'execution_not_found' });
});

test('delays, holds, blocks and paused lanes are named', async () => {
  const backend = await created({ delayUntil: 8_000_000_000_000 });
  await because(backend, { because: 'waiting_for_delay', until: 8_000_000_000_000 });
  await backend.holdExecution({ executionId: X, reason: 'checking', requestedBy: 'ann' });
  await because(backend, { because: 'hold', sentence: 'ann holds it: checking.', remedy: 'Release the hold.' });
});

test('a paused lane, and a block of a scheduler', async () => {
  const backend = await created();
  await backend.pauseLane({ partition: '{fp:0}', laneId: 'lane', requestedBy: 'bob', reason: '' });
  await because(backend, { because: 'lane_paused', sentence: 'The lane lane is paused by bob.' });
  await backend.blockExecutionForAdmission({
    executionId: X,
    blockingReason: 'waiting_for_quota',
    blockingDetail: 'five',
  });
  await because(backend, { because: 'waiting_for_quota' });
});

test('a quota without room', async () => {
  const limits = { windowSeconds: 60, maxRequestsPerWindow: 1, maxConcurrent: 1 };
  const backend = await created({ policy: { keyedQuotas: [{ quotaPolicyId: POLICY, ...limits }] } });
  await because(backend, { because: 'worker' });
  await backend.checkAdmission({ quotaPolicyId: POLICY, admissionIds: [uuid(4)], partition: '{fp:0}', limits });
  const full = await explain(backend, X);
  expect(full).toMatchObject({ because: 'quota', meterId: POLICY });
  expect(full.unblock).toEqual([{ waitUntil: full.until }, { call: 'claimForWorker' }]);
});

test('a budget that is exhausted, and one that nobody made', async () => {
  const backend = await created({ policy: { budgetIds: [POLICY, uuid(8)] } });
  await because(backend, { because: 'worker' });
  await backend.createBudget({ budgetId: POLICY, limits: { tokens: { hard: 1 } } });
  await backend.reportUsageAdmin({ budgetId: POLICY, deltas: { tokens: 1 } });
  const unblock = [{ call: 'resetBudget' }, { call: 'claimForWorker' }] as const;
  await because(backend, { because: 'budget', meterId: POLICY, unblock });
});

test('registered workers are counted as far as they could take it', async () => {
  const backend = await created({ policy: { routingRequirements: { requiredCapabilities: ['gpu'] } } });
  const worker = { namespace: 'n', workerId: 'w', lanes: ['lane'], kinds: ['k'] };
  await backend.registerWorker({ ...worker, workerInstanceId: 'w-1', capabilities: [] });
  const lacking = await explain(backend, X);
  expect(lacking.sentence).toContain('none of 1 has gpu');
  expect(lacking.takers).toMatchObject({ live: 1, ofKind: 1, capable: 0, missing: ['gpu'] });
  await backend.registerWorker({ ...worker, workerInstanceId: 'w-2', capabilities: ['gpu'] });
  expect((await explain(backend, X)).sentence).toContain('1 lives that can take it');
});
