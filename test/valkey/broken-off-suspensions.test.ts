/** Calls that break off while they end a suspension: a verification finishes what they began. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Backend } from '../../src/backend/backend.js';
import { aclOf, valkey } from '../../src/valkey/index.js';
import { deployment } from '../support/valkey/deployment.js';

const PARTITION = '{fp:0}';
const shared = deployment();
const { rules } = aclOf({ user: 'worker' });
/** The rights with which keys are written, as the rules spell them. */
const WRITES = rules.filter((rule) => /^\+(append|del|h|l|p?expire|persist|r|s|unlink|x|z)/.test(rule));
let backend: Backend;

const grant = (...more: string[]): Promise<unknown> =>
  shared.admin.call('ACL', 'SETUSER', 'worker', '>secret', ...rules, ...more);

beforeAll(async () => {
  await grant();
  backend = await valkey({ url: shared.server.url.replace('//', '//worker:secret@'), callTimeoutMs: 2_000 });
});
afterAll(() => backend.close());

/** An execution that waits for the signal `go`. */
async function suspended(
  timeout: { timeoutAt?: number; timeoutBehavior?: 'fail' | 'auto_resume' } = {},
  timeoutPolicy?: { executionDeadlineMs: number },
): Promise<string> {
  const [executionId, laneId] = [`${PARTITION}:${randomUUID()}`, randomUUID()];
  const facts = { laneId, executionKind: 'k', creatorIdentity: 'c', namespace: 'n' };
  await backend.createExecution({ ...facts, executionId, policy: { timeoutPolicy } });
  const answer = await backend.claimForWorker({
    ...{ partition: PARTITION, laneId, workerId: 'w', workerInstanceId: 'w', leaseTtlMs: 60_000 },
    claims: [{ leaseId: randomUUID(), attemptId: randomUUID() }],
  });
  if (answer.kind !== 'claimed') throw new Error(answer.kind);
  const [{ leaseId, leaseEpoch, attemptId }] = answer.executions;
  await backend.suspendExecution({
    ...{ executionId, fence: { leaseId, leaseEpoch, attemptId }, suspensionId: randomUUID(), ...timeout },
    waitpoints: [{ waitpointId: randomUUID(), waitpointKey: 'go' }],
    resumeCondition: { type: 'single', waitpointKey: 'go', matcher: { type: 'by_name', name: 'go' } },
    reasonCode: 'waiting_for_signal',
  });
  return executionId;
}

/** Runs a call while the user has not one of its rights. @returns whether it failed */
async function without(rule: string, call: () => Promise<unknown>): Promise<boolean> {
  await grant(`-${rule.slice(1)}`);
  const failed = await call().then(
    () => false,
    () => true,
  );
  await grant();
  return failed;
}

test('after a broken-off call, an accepted signal resumes the execution', async () => {
  let failures = 0;
  for (const rule of WRITES) {
    const executionId = await suspended();
    const signal = { executionId, signalId: randomUUID(), signalName: 'go' };
    const send = () => backend.signalExecution(signal);
    if (await without(rule, send)) failures += 1;
    await send();
    await backend.verifyPartition({ partition: PARTITION });
    expect([rule, await backend.readExecutionState({ executionId })]).toEqual([rule, 'waiting']);
  }
  expect(failures).toBeGreaterThan(3);
});

test('after a broken-off call, a timeout that ends the execution is still due', async () => {
  let failures = 0;
  for (const rule of WRITES) {
    const executionId = await suspended({ timeoutAt: (await backend.serverTime()) + 30, timeoutBehavior: 'fail' });
    await new Promise((done) => setTimeout(done, 40));
    if (await without(rule, () => backend.applyDue({ partition: PARTITION, owner: 'test' }))) failures += 1;
    await backend.verifyPartition({ partition: PARTITION });
    for (let pass = 0; pass < 3; pass++) await backend.applyDue({ partition: PARTITION, owner: 'test' });
    expect([rule, await backend.readExecutionState({ executionId })]).toEqual([rule, 'failed']);
  }
  expect(failures).toBeGreaterThan(3);
});

test('after a broken-off call, an execution whose sleep is over goes on, and its deadline waits for its time', async () => {
  const timeout = { timeoutAt: (await backend.serverTime()) + 30, timeoutBehavior: 'auto_resume' } as const;
  const executionId = await suspended(timeout, { executionDeadlineMs: 86_400_000 });
  await new Promise((done) => setTimeout(done, 40));
  const apply = () => backend.applyDue({ partition: PARTITION, owner: 'test' });
  expect(await without('+zadd', apply)).toBe(true);
  await apply();
  await backend.verifyPartition({ partition: PARTITION });
  expect(await backend.readExecutionState({ executionId })).toBe('waiting');
});
