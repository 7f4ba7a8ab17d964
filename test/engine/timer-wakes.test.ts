/**
 * A new head of the timers is announced to the loops of other processes, whichever operation made it. A loop that
 * learned of it only by its poll would apply it seconds late.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { present } from '../../model/core/present.js';
import { handleOf } from '../../model/handle.js';
import { meterSetOf, metersOf } from '../../model/metering/meters.js';
import type { Wake } from '../../src/backend/backend.js';
import { create, fenceOf, LANE, PARTITION, take } from '../../src/testing/conformance/steps.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { until } from '../app/support.js';
import { sharedValkey } from '../support/valkey/index.js';

const MINUTE = 60_000;
const NEAR = 10_000;
const WORKER = { workerId: 'w', workerInstanceId: 'w-1' };

/** What happens before the loops look, and what then brings a timer forward. */
type Case = (engine: TestEngine) => Promise<() => Promise<unknown>> | (() => Promise<unknown>);

/** An owned execution whose lease is long. */
async function owned(engine: TestEngine, facts: Parameters<typeof create>[1] = {}) {
  const executionId = await create(engine, facts);
  const owner = await take(engine, { leaseTtlMs: 10 * MINUTE });
  return { executionId, fence: fenceOf(owner), owner };
}

const suspension = (engine: TestEngine, facts: object) => ({
  suspensionId: engine.uuid(),
  waitpoints: [{ waitpointId: engine.uuid(), waitpointKey: 'k' }],
  resumeCondition: { type: 'single', waitpointKey: 'k', matcher: { type: 'by_name', name: 's' } } as const,
  reasonCode: 'waiting_for_signal' as const,
  ...facts,
});

const CASES: Readonly<Record<string, Case>> = {
  'a delay at the creation': (engine) => () => create(engine, { delayUntil: engine.now() + NEAR }),
  'a deadline': (engine) => () => create(engine, { executionDeadlineAt: engine.now() + NEAR }),
  'a lease': async (engine) => {
    await create(engine);
    return () => take(engine, { leaseTtlMs: NEAR });
  },
  'the timeout of an attempt': async (engine) => {
    await create(engine, { policy: { timeoutPolicy: { attemptTimeoutMs: NEAR } } });
    return () => take(engine, { leaseTtlMs: 10 * MINUTE });
  },
  'the timeout of an attempt that begins later': async (engine) => {
    await create(engine, { policy: { timeoutPolicy: { attemptTimeoutMs: NEAR } } });
    const owner = await take(engine, { leaseTtlMs: 10 * MINUTE, ahead: true });
    return () => engine.backend.beginAttempt({ executionId: owner.executionId, fence: fenceOf(owner) });
  },
  'a delay by the handler': async (engine) => {
    const { executionId, fence } = await owned(engine);
    return () => engine.backend.delayExecution({ executionId, fence, delayUntil: engine.now() + NEAR });
  },
  'the backoff of a retry': async (engine) => {
    const backoff = { type: 'fixed', delayMs: NEAR } as const;
    const { executionId, fence } = await owned(engine, { policy: { retryPolicy: { maxRetries: 1, backoff } } });
    const failure = { failureReason: 'r', failureCategory: 'c', failureClass: 'transient' } as const;
    return () => engine.backend.failExecution({ executionId, fence, ...failure });
  },
  'the timeout of a suspension': async (engine) => {
    const { executionId, fence } = await owned(engine);
    const args = suspension(engine, { timeoutAt: engine.now() + NEAR });
    return () => engine.backend.suspendExecution({ executionId, fence, ...args });
  },
  'the timeout of a suspension behind one that is later': async (engine) => {
    const first = await owned(engine);
    const later = suspension(engine, { timeoutAt: engine.now() + MINUTE });
    await engine.backend.suspendExecution({ executionId: first.executionId, fence: first.fence, ...later });
    const second = await owned(engine);
    const args = suspension(engine, { timeoutAt: engine.now() + NEAR });
    return () => engine.backend.suspendExecution({ executionId: second.executionId, fence: second.fence, ...args });
  },
  'the delay of a resumption': async (engine) => {
    const { executionId, fence } = await owned(engine);
    const args = suspension(engine, { timeoutAt: engine.now() + MINUTE, resumePolicy: { resumeDelayMs: NEAR } });
    await engine.backend.suspendExecution({ executionId, fence, ...args });
    const [{ waitpointId } = { waitpointId: '' }] = args.waitpoints;
    const signal = { executionId, waitpointId, signalId: engine.uuid(), signalName: 's', idempotencySuffix: 'x' };
    return () => engine.backend.deliverApprovalSignal({ ...signal, decidedBy: 'me' });
  },
  'a pending waitpoint': async (engine) => {
    const { owner } = await owned(engine);
    await engine.backend.rotateWaitpointHmacSecret({
      ...{ partition: PARTITION, newKid: 'k1', newSecret: new Uint8Array(32).fill(7) },
    });
    const issuer = { backend: engine.backend.label, laneId: LANE, workerInstanceId: 'w', leaseTtlMs: 10 * MINUTE };
    const pending = { waitpointId: engine.uuid(), waitpointKey: 'k', expiresInMs: NEAR };
    return () => engine.backend.createPendingWaitpoint({ handle: handleOf(owner, issuer), ...pending });
  },
  'a grant': async (engine) => {
    const executionId = await create(engine);
    const grant = { grantId: engine.uuid(), grantTtlMs: NEAR, laneId: LANE };
    return () => engine.backend.issueClaimGrant({ executionId, ...grant, ...WORKER });
  },
  'the walk of an ending with many dependents': async (engine) => {
    const { backend } = engine;
    const flowId = engine.executionId();
    await backend.createFlow({ flowId, flowKind: 'f', namespace: 'n' });
    const ids = Array.from({ length: 100 }, () => engine.executionId());
    const [first = ''] = ids;
    const members = ids.map((executionId) => ({ executionId, laneId: LANE, executionKind: 'k' }));
    const edges = ids.slice(1).map((downstreamExecutionId) => ({
      ...{ edgeId: engine.uuid(), upstreamExecutionId: first, downstreamExecutionId },
    }));
    await backend.growFlow({ flowId, graph: { members, edges } });
    const owner = await take(engine, { leaseTtlMs: 10 * MINUTE });
    return () => backend.completeExecution({ executionId: first, fence: fenceOf(owner) });
  },
  'the life of a worker': (engine) => () =>
    engine.backend.registerWorker({ namespace: 'n', lanes: [LANE], livenessTtlMs: NEAR, ...WORKER }),
  'a shorter life of a worker': async (engine) => {
    const worker = { namespace: 'n', lanes: [LANE], ...WORKER };
    await engine.backend.registerWorker({ ...worker, livenessTtlMs: MINUTE });
    return () => engine.backend.registerWorker({ ...worker, livenessTtlMs: NEAR });
  },
  'the reset of a budget': (engine) => () =>
    engine.backend.createBudget({ budgetId: engine.uuid(), resetIntervalMs: MINUTE, limits: { c: { hard: 1 } } }),
  'the life of a reservation': async (engine) => {
    const budgetId = engine.uuid();
    await engine.backend.createBudget({ budgetId, limits: { c: { hard: 9 } } });
    const reservation = { reservationId: engine.uuid(), amounts: { c: 1 }, ttlMs: NEAR };
    return () => engine.backend.reserveBudget({ budgetId, ...reservation });
  },
  'the slot of a quota': async (engine) => {
    const quotaPolicyId = engine.uuid();
    await engine.backend.createQuotaPolicy({ quotaPolicyId, maxConcurrent: 2, slotTtlMs: NEAR });
    return () => engine.backend.checkAdmission({ partition: PARTITION, quotaPolicyId, admissionIds: [engine.uuid()] });
  },
  'the window of a quota': async (engine) => {
    const quotaPolicyId = engine.uuid();
    await engine.backend.createQuotaPolicy({ quotaPolicyId, windowSeconds: 1, maxRequestsPerWindow: 1 });
    await engine.backend.checkAdmission({ partition: PARTITION, quotaPolicyId, admissionIds: [engine.uuid()] });
    const meters = meterSetOf(metersOf({ quotaPolicyIds: [quotaPolicyId] }));
    const waiter = { laneId: LANE, workerInstanceId: 'w-1', meters };
    return () =>
      engine.backend.checkAdmission({ partition: PARTITION, quotaPolicyId, admissionIds: [engine.uuid()], ...waiter });
  },
};

describe.each(['memory', 'valkey'] as const)('on %s another process hears of', (name) => {
  let engine: TestEngine;
  /** Another process. */
  let listener: TestEngine;
  let stop: () => void;
  const heard: Extract<Wake, { kind: 'timer' }>[] = [];

  beforeAll(async () => {
    const prefix = `timer-wakes-${process.pid}:`;
    const backend = name === 'memory' ? 'memory' : { url: (await sharedValkey()).url };
    engine = await testEngine({ backend, prefix });
    listener = name === 'memory' ? engine : await testEngine({ backend, prefix });
  });
  beforeEach(async () => {
    await engine.clear();
    stop = await listener.backend.onWake([], (wake) => void (wake.kind === 'timer' && heard.push(wake)));
  });
  afterEach(() => stop());
  afterAll(async () => {
    await engine.close();
    if (listener !== engine) await listener.close();
  });

  /** The next due time of each partition, as its loop is told. */
  async function looked(): Promise<Map<string, number>> {
    const heads = new Map<string, number>();
    for (const partition of engine.backend.partitionsInUse()) {
      const pass = await engine.backend.applyDue({ partition, owner: 'loop' });
      if (pass.kind === 'applied') heads.set(partition, pass.nextDueAt ?? Infinity);
    }
    return heads;
  }

  test.each(Object.entries(CASES))('%s', async (_, prepare) => {
    const bringForward = await prepare(engine);
    const before = await looked();
    heard.length = 0;
    await bringForward();
    const earlier = () => heard.filter(({ partition, at }) => at < (before.get(partition) ?? Infinity));
    await until(() => earlier().length > 0);
    const { partition, at } = present(earlier()[0]);
    engine.setTime(Math.max(at - 1, engine.now()));
    const wait = at > engine.now();
    const pass = await engine.backend.applyDue({ partition, owner: 'loop' });
    if (wait) expect(pass).toMatchObject({ kind: 'applied', nextDueAt: at });
    else expect(pass).toMatchObject({ kind: 'applied', others: { walk: expect.any(Number) } });
  });
});
