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

test('waiting work names the worker that it needs, and running or ended work says so', async () => {
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
  const sentence = 'It is delayed until 2223-07-06T14:13:20.000Z.';
  await because(backend, { because: 'waiting_for_delay', until: 8_000_000_000_000, sentence });
  await backend.holdExecution({ executionId: X, reason: 'checking', requestedBy: 'ann' });
  await because(backend, { because: 'hold', sentence: 'ann holds it: checking.', remedy: 'Release the hold.' });
});

test('a paused lane, and a block by a scheduler', async () => {
  const backend = await created();
  await backend.pauseLane({ partition: '{fp:0}', laneId: 'lane', requestedBy: 'bob', reason: 'no power' });
  await because(backend, { because: 'lane_paused', sentence: 'The lane lane is paused by bob: no power.' });
  await backend.blockExecutionForAdmission({
    executionId: X,
    blockingReason: 'waiting_for_quota',
    blockingDetail: 'five',
  });
  await because(backend, { because: 'waiting_for_quota' });
});

test('a suspended execution names the signals that it waits for, and its timeout', async () => {
  const backend = await created();
  const until = 8_000_000_000_000;
  const suspended = async (n: number, ask: Partial<ArgsOf<'suspendExecution'>>): Promise<void> => {
    const answer = await backend.claimForWorker({ ...claim, claims: [{ leaseId: uuid(n), attemptId: uuid(n + 1) }] });
    if (answer.kind !== 'claimed') throw new Error('it was not there');
    const { leaseId, leaseEpoch, attemptId } = answer.executions[0] as (typeof answer.executions)[number];
    await backend.suspendExecution({
      ...{ executionId: X, fence: { leaseId, leaseEpoch, attemptId }, suspensionId: uuid(n + 2) },
      ...{ waitpoints: [{ waitpointId: uuid(n + 3), waitpointKey: 'a#1' }], resumeCondition: { type: 'timeout_only' } },
      ...ask,
    });
  };
  const unblock = [
    { kind: 'call', call: 'resumeExecution', of: X, task: 'k' },
    { kind: 'call', call: 'claimForWorker', of: X, task: 'k' },
  ] as const;
  await suspended(50, { timeoutAt: until });
  await because(backend, { because: 'waiting_for_signal', sentence: 'It sleeps until 2223-07-06T14:13:20.000Z.' });
  await because(backend, { until, signals: [], unblock });
  await backend.resumeExecution({ executionId: X });
  const keys = ['a#1', 'b', 'c', 'd', 'e', 'f'];
  const waitpoints = keys.map((waitpointKey, at) => ({ waitpointId: uuid(70 + at), waitpointKey }));
  const members = keys.map((waitpointKey, at) => ({
    ...{ type: 'single' as const, waitpointKey },
    matcher: at === 1 ? { type: 'by_name' as const, name: 'paid' } : { type: 'wildcard' as const },
  }));
  await suspended(60, {
    ...{ waitpoints, resumeCondition: { type: 'all_of', members }, timeoutAt: Number.MAX_SAFE_INTEGER },
    reasonCode: 'waiting_for_approval',
  });
  await because(backend, {
    because: 'waiting_for_approval',
    sentence: `It waits for approvals "a", "paid", "c", "d", "e" and 1 more until ${Number.MAX_SAFE_INTEGER} ms after 1970. Received: 0 of 1 "a", 0 of 1 "paid", 0 of 1 "c", 0 of 1 "d", 0 of 1 "e" and 1 more; 6 missing.`,
    signals: ['a', 'paid', 'c', 'd', 'e', 'f'],
    awaited: ['a', 'paid', 'c', 'd', 'e', 'f'].map((name) => ({ names: [name], received: 0, needed: 1 })),
  });
  await backend.resumeExecution({ executionId: X });
  await suspended(80, { resumeCondition: { type: 'operator_only' }, reasonCode: 'manual_pause' });
  await because(backend, { because: 'paused_by_operator', sentence: 'It waits for an operator.', until: undefined });
});

test('a quota without room for its rate, and one without a free slot', async () => {
  const limits = { windowSeconds: 60, maxRequestsPerWindow: 1, maxConcurrent: 1 };
  const backend = await created({ policy: { keyedQuotas: [{ quotaPolicyId: POLICY, ...limits }] } });
  await because(backend, { because: 'worker' });
  await backend.checkAdmission({ quotaPolicyId: POLICY, admissionIds: [uuid(4)], partition: '{fp:0}', limits });
  const full = await explain(backend, X);
  expect(full).toMatchObject({ because: 'quota', meterId: POLICY });
  expect(full.unblock).toEqual([
    { kind: 'wait', until: full.until },
    { kind: 'call', call: 'releaseAdmission', of: POLICY },
    { kind: 'call', call: 'claimForWorker', of: X, task: 'k' },
  ]);
  engine.setTime(full.until as number);
  const slots = `The slot of quota ${POLICY} is held.`;
  await because(backend, { sentence: slots, unblock: full.unblock?.slice(1) });
  await backend.releaseAdmission({ quotaPolicyId: POLICY, admissionIds: [uuid(4)] });
  await because(backend, { because: 'worker' });
});

test('an exhausted budget, and one that was never created', async () => {
  const backend = await created({ policy: { budgetIds: [POLICY, uuid(8)] } });
  await because(backend, { because: 'worker' });
  await backend.createBudget({ budgetId: POLICY, limits: { tokens: { hard: 1 } } });
  await backend.reportUsageAdmin({ budgetId: POLICY, deltas: { tokens: 1 } });
  const unblock = [
    { kind: 'call', call: 'resetBudget', of: POLICY },
    { kind: 'call', call: 'claimForWorker', of: X, task: 'k' },
  ] as const;
  const remedy = 'Raise its limits, release what was spent, or reset it.';
  await because(backend, { because: 'budget', meterId: POLICY, remedy, unblock });
  await backend.resetBudget({ budgetId: POLICY });
  await because(backend, { because: 'worker' });
});

test('a budget whose reservations survive a reset', async () => {
  const backend = await created({ policy: { budgetIds: [POLICY] } });
  await backend.createBudget({ budgetId: POLICY, limits: { tokens: { hard: 10 } }, resetIntervalMs: 1_000 });
  await backend.reserveBudget({ budgetId: POLICY, reservationId: uuid(5), amounts: { tokens: 10 } });
  const unblock = [
    { kind: 'call', call: 'updateBudgetLimits', of: POLICY },
    { kind: 'call', call: 'claimForWorker', of: X, task: 'k' },
  ] as const;
  const sentence = `Budget ${POLICY} is exhausted: tokens. Reservations hold all of tokens.`;
  await because(backend, { sentence, until: undefined, unblock });
  await backend.resetBudget({ budgetId: POLICY });
  await because(backend, { sentence });
  await backend.updateBudgetLimits({ budgetId: POLICY, limits: { tokens: { hard: 11 } } });
  await because(backend, { because: 'worker' });
});

test('an execution that was replayed as often as its policy allows cannot run again', async () => {
  const backend = await created({ policy: { maxReplayCount: 0 } });
  await backend.cancelExecution({ executionId: X, source: 'operator_override', reason: '' });
  await because(backend, { sentence: 'It ended cancelled: its policy allows 0 replays.', unblock: undefined });
  await expect(backend.replayExecution({ executionId: X })).rejects.toMatchObject({ code: 'max_replays_exhausted' });
});

test('a chain of thirty is unblocked from its start, and one of more than a hundred is not', async () => {
  engine = await testEngine({});
  const { backend } = engine;
  const chain = async (from: number, count: number): Promise<string> => {
    const ids = Array.from({ length: count }, (_, at) => `{fp:0}:${uuid(from + at)}`);
    const members = ids.map((executionId) => ({ executionId, laneId: 'lane', executionKind: 'k' }));
    const edges = ids.slice(1).map((downstreamExecutionId, at) => ({
      edgeId: uuid(from + at),
      upstreamExecutionId: ids[at] as string,
      downstreamExecutionId,
    }));
    const flowId = `{fp:0}:${uuid(from + count)}`;
    await backend.createFlow({ flowId, flowKind: 'f', namespace: 'n', graph: { members, edges } });
    return ids.at(-1) as string;
  };
  const { unblock } = await explain(backend, await chain(1_000, 30));
  expect(unblock).toHaveLength(59);
  expect(unblock?.[0]).toMatchObject({ call: 'claimForWorker', of: `{fp:0}:${uuid(1_000)}` });
  expect((await explain(backend, await chain(2_000, 102))).unblock).toBeUndefined();
});

test('a dependent member names the tasks that it waits for, and a step that several of them need is listed once', async () => {
  engine = await testEngine({});
  const id = (n: number): string => `{fp:0}:${uuid(n)}`;
  const member = (executionId: string, executionKind: string) => ({ executionId, laneId: 'lane', executionKind });
  const edges = [
    [20, 21],
    [20, 22],
    [21, 1],
    [22, 1],
  ].map(([from, to], at) => ({
    edgeId: uuid(30 + at),
    upstreamExecutionId: id(from as number),
    downstreamExecutionId: id(to as number),
  }));
  const members = [member(id(20), 'load'), member(id(21), 'crop'), member(id(22), 'crop'), member(X, 'join')];
  const { backend } = engine;
  await backend.createFlow({ flowId: id(40), flowKind: 'f', namespace: 'n', graph: { members, edges } });
  await because(backend, {
    because: 'waiting_for_children',
    sentence: 'It waits for 2 of 2 that it depends on: crop (2).',
    unblock: [
      { kind: 'call', call: 'claimForWorker', of: id(20), task: 'load' },
      { kind: 'call', call: 'completeExecution', of: id(20), task: 'load' },
      { kind: 'call', call: 'claimForWorker', of: id(21), task: 'crop' },
      { kind: 'call', call: 'completeExecution', of: id(21), task: 'crop' },
      { kind: 'call', call: 'claimForWorker', of: id(22), task: 'crop' },
      { kind: 'call', call: 'completeExecution', of: id(22), task: 'crop' },
      { kind: 'call', call: 'claimForWorker', of: X, task: 'join' },
    ],
  });
});

test('a delay that ends during a longer wait for a quota gets a step of its own', async () => {
  engine = await testEngine({});
  const { backend } = engine;
  const now = await backend.serverTime();
  const member = async (n: number, windowSeconds: number, delayUntil?: number) => {
    const limits = { windowSeconds, maxRequestsPerWindow: 1, maxConcurrent: 0 };
    const quotaPolicyId = uuid(n + 1);
    await backend.checkAdmission({ quotaPolicyId, admissionIds: [uuid(n)], partition: '{fp:0}', limits });
    const policy = { keyedQuotas: [{ quotaPolicyId, ...limits }] };
    return { executionId: `{fp:0}:${uuid(n)}`, laneId: 'lane', executionKind: 'k', policy, delayUntil };
  };
  const first = await member(20, 100);
  const second = await member(30, 200, now + 50_000);
  const edges = [first, second].map((upstream, at) => ({
    edgeId: uuid(40 + at),
    upstreamExecutionId: upstream.executionId,
    downstreamExecutionId: X,
  }));
  const members = [first, second, { executionId: X, laneId: 'lane', executionKind: 'k' }];
  const flowId = `{fp:0}:${uuid(50)}`;
  await backend.createFlow({ flowId, flowKind: 'f', namespace: 'n', graph: { members, edges } });
  const call = (name: string, of: string) => ({ kind: 'call', call: name, of, task: 'k' });
  expect((await explain(backend, X)).unblock).toEqual([
    { kind: 'wait', until: now + 100_000 },
    call('claimForWorker', first.executionId),
    call('completeExecution', first.executionId),
    call('applyDue', second.executionId),
    { kind: 'wait', until: now + 200_000 },
    call('claimForWorker', second.executionId),
    call('completeExecution', second.executionId),
    call('claimForWorker', X),
  ]);
});

test('registered workers are counted by whether they can take the work', async () => {
  const backend = await created({ policy: { routingRequirements: { requiredCapabilities: ['gpu'] } } });
  const worker = { namespace: 'n', workerId: 'w', lanes: ['lane'], kinds: ['k'] };
  await backend.registerWorker({ ...worker, workerInstanceId: 'w-1', capabilities: [] });
  const lacking = await explain(backend, X);
  expect(lacking.sentence).toContain('none of 1 has gpu');
  expect(lacking.takers).toMatchObject({ live: 1, ofKind: 1, capable: 0, missing: ['gpu'] });
  await backend.registerWorker({ ...worker, workerInstanceId: 'w-2', capabilities: ['gpu'] });
  expect((await explain(backend, X)).sentence).toContain('1 registered worker can take it');
});

test('capable workers that have been silent for longer than a heartbeat may be dead', async () => {
  const backend = await created();
  const worker = { namespace: 'n', workerId: 'w', lanes: ['lane'], capabilities: [], livenessTtlMs: 30_000 };
  await backend.registerWorker({ ...worker, workerInstanceId: 'w-1' });
  await engine.advance(4_000);
  await backend.registerWorker({ ...worker, workerInstanceId: 'w-2' });
  await engine.advance(10_000);
  expect((await explain(backend, X)).sentence).toMatch(/2 registered workers can take it\.$/);
  await engine.advance(3_000);
  const silent = await explain(backend, X);
  expect(silent.sentence).toMatch(/2 registered workers can take it, last heard of 13 s ago: they may be dead\.$/);
  expect(silent.remedy).toBe('Check whether their processes still run, or start another worker.');
});

test('a suspended member that its cancelled flow leaves alone ends when its wait does, not soon', async () => {
  const backend = await created();
  const flowId = `{fp:0}:${uuid(20)}`;
  await backend.createFlow({ flowId, flowKind: 'f', namespace: 'n' });
  await backend.addExecutionToFlow({ flowId, executionId: X });
  const answer = await backend.claimForWorker({ ...claim, claims: [{ leaseId: uuid(2), attemptId: uuid(3) }] });
  if (answer.kind !== 'claimed') throw new Error('it was not there');
  const { leaseId, leaseEpoch, attemptId } = answer.executions[0];
  await backend.suspendExecution({
    ...{ executionId: X, fence: { leaseId, leaseEpoch, attemptId }, suspensionId: uuid(4) },
    ...{ waitpoints: [{ waitpointId: uuid(5), waitpointKey: 'a#1' }], resumeCondition: { type: 'operator_only' } },
  });
  await backend.cancelFlowHeader({ flowId, cancellationPolicy: 'cancel_pending' });
  const sentence = 'Its flow was cancelled, and it ends when its wait is over.';
  await because(backend, { because: 'ended', sentence, unblock: undefined });
  await backend.resumeExecution({ executionId: X });
  await because(backend, { sentence: expect.stringMatching(/^It ended cancelled/) });
});
