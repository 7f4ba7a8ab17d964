/**
 * What every backend must do, as a list of scenarios that need no test framework: run each with a fresh engine. They
 * use nothing but the engine's interface, so they hold for a backend of your own just as for ours.
 */
import assert from 'node:assert/strict';
import { present } from '../../../model/core/present.js';
import { handleOf } from '../../../model/handle.js';
import { LIMITS } from '../../../model/limits.js';
import type { ArgsOf } from '../../../model/machine.js';
import type { Wake } from '../../backend/backend.js';
import { grantScenarios } from './grants.js';
import { listScenarios } from './lists.js';
import { stepScenarios } from './checkpoints.js';
import { budgetScenarios } from './budgets.js';
import { streamScenarios } from './streams.js';
import { operatingScenarios } from './operating.js';
import { signalScenarios } from './signals.js';
import { waitingScenarios } from './waiting.js';
import {
  bytes,
  claim,
  create,
  eventTypes,
  fenceOf,
  LANE,
  PARTITION,
  refused,
  soon,
  stateOf,
  take,
  TTL_MS,
  type ConformanceScenario,
} from './steps.js';

export type { ConformanceScenario } from './steps.js';

/** Whether the wake announces existing work, not work that this process is about to create. */
const isStored = (wake: Wake): boolean => wake.kind !== 'work' || wake.arriving === undefined;

/** The scenarios. */
export const conformance: readonly ConformanceScenario[] = [
  ...operatingScenarios,
  ...listScenarios,
  ...streamScenarios,
  ...budgetScenarios,
  ...stepScenarios,
  ...grantScenarios,
  ...waitingScenarios,
  ...signalScenarios,
  {
    name: 'work is created, claimed and completed, and its bytes come back as they were',
    async run(engine) {
      const input = bytes(0, 255, 128, 10, 13);
      const executionId = await create(engine, {
        inputPayload: input,
        payloadEncoding: 'raw',
        tags: { 'team.name': 'Größe' },
      });
      assert.equal(await stateOf(engine, executionId), 'waiting');
      const claimed = await take(engine);
      assert.equal(claimed.executionId, executionId);
      assert.deepEqual(
        [claimed.claimKind, claimed.attemptType, claimed.attemptIndex, claimed.leaseEpoch],
        ['fresh', 'initial', 0, 1],
      );
      assert.deepEqual(Uint8Array.from(claimed.inputPayload ?? []), input);
      assert.deepEqual(claimed.tags, { 'team.name': 'Größe' });
      assert.equal(claimed.payloadEncoding, 'raw');
      assert.equal(claimed.leaseExpiresAt, engine.now() + TTL_MS);
      const result = bytes(254, 0, 1);
      await engine.backend.completeExecution({
        executionId,
        fence: fenceOf(claimed),
        resultPayload: result,
        resultEncoding: 'raw',
      });
      assert.equal(await stateOf(engine, executionId), 'completed');
      assert.deepEqual(Uint8Array.from((await engine.backend.getExecutionResult({ executionId })) ?? []), result);
      const info = await engine.backend.readExecutionInfo({ executionId });
      assert.deepEqual([info?.resultBytes, info?.resultEncoding, info?.payloadBytes], [3, 'raw', 5]);
      assert.deepEqual(await eventTypes(engine), ['execution_created', 'execution_claimed', 'execution_completed']);
    },
  },
  {
    name: 'a claim carries an input of 32 KiB, and leaves a longer one for its owner to read',
    async run(engine) {
      const lengths = [LIMITS.maxClaimedInputBytes, LIMITS.maxClaimedInputBytes + 1, LIMITS.maxPartBytes + 1];
      for (const length of lengths) {
        const input = new Uint8Array(length).fill(7);
        const executionId = await create(engine, { inputPayload: input });
        const { payloadBytes, inputPayload } = await take(engine);
        const isCarried = length <= LIMITS.maxClaimedInputBytes;
        assert.deepEqual([payloadBytes, inputPayload?.byteLength], [length, isCarried ? length : undefined]);
        const read = await engine.backend.readExecutionContext({ executionId });
        assert.ok(Buffer.from(input).equals(read.inputPayload));
      }
    },
  },
  {
    name: 'an empty result is not the same as none',
    async run(engine) {
      for (const resultPayload of [undefined, bytes()]) {
        const executionId = await create(engine);
        await engine.backend.completeExecution({ executionId, fence: fenceOf(await take(engine)), resultPayload });
        const result = await engine.backend.getExecutionResult({ executionId });
        assert.equal(result?.byteLength, resultPayload?.byteLength);
      }
    },
  },
  {
    name: 'the same id, and the same key, make one execution',
    async run(engine) {
      const executionId = await create(engine, { idempotencyKey: 'once' });
      const base = { namespace: 'conformance', laneId: LANE, executionKind: 'kind', creatorIdentity: 'suite' };
      const duplicate = { kind: 'duplicate', executionId };
      assert.deepEqual({ ...(await engine.backend.createExecution({ ...base, executionId })) }, duplicate);
      assert.deepEqual(
        {
          ...(await engine.backend.createExecution({
            ...base,
            executionId: engine.executionId(),
            idempotencyKey: 'once',
          })),
        },
        duplicate,
      );
      engine.setTime(engine.now() + 86_400_000);
      assert.equal(
        (await engine.backend.createExecution({ ...base, executionId: engine.executionId(), idempotencyKey: 'once' }))
          .kind,
        'created',
      );
    },
  },
  {
    name: 'higher priority is served first, then older work',
    async run(engine) {
      const low = await create(engine, { priority: 1 });
      engine.setTime(engine.now() + 5);
      const high = await create(engine, { priority: 9_000 });
      engine.setTime(engine.now() + 5);
      const second = await create(engine, { priority: 1 });
      const outcome = await claim(engine, {}, 5);
      assert.deepEqual(outcome.kind === 'claimed' && outcome.executions.map(({ executionId }) => executionId), [
        high,
        low,
        second,
      ]);
      assert.equal((await claim(engine)).kind, 'no_work');
    },
  },
  {
    name: 'a worker gets only what it can do',
    async run(engine) {
      const both = await create(engine, { policy: { routingRequirements: { requiredCapabilities: ['gpu', 'eu'] } } });
      const plain = await create(engine, { priority: 0 });
      assert.equal((await take(engine, { workerCapabilities: ['gpu'] })).executionId, plain);
      assert.equal((await claim(engine, { workerCapabilities: ['gpu', 'us'] })).kind, 'no_work');
      assert.equal((await take(engine, { workerCapabilities: ['us', 'eu', 'gpu'] })).executionId, both);
    },
  },
  {
    name: 'delayed work waits for its time',
    async run(engine) {
      const executionId = await create(engine, { delayUntil: engine.now() + 1_000 });
      assert.equal(await stateOf(engine, executionId), 'delayed');
      await engine.advance(999);
      assert.equal((await claim(engine)).kind, 'no_work');
      await engine.advance(1);
      assert.equal((await take(engine)).executionId, executionId);
    },
  },
  {
    name: 'a failure is retried after its backoff, as often as the policy says',
    async run(engine) {
      const executionId = await create(engine, {
        policy: { retryPolicy: { maxRetries: 1, backoff: { type: 'fixed', delayMs: 500 } } },
      });
      const first = await take(engine);
      const scheduled = await engine.backend.failExecution({
        executionId,
        fence: fenceOf(first),
        failureReason: 'broken',
      });
      assert.deepEqual(
        { ...scheduled },
        { kind: 'retry_scheduled', delayUntil: engine.now() + 500, nextAttemptIndex: 1 },
      );
      await engine.advance(500);
      const second = await take(engine);
      assert.deepEqual([second.attemptType, second.attemptIndex, second.leaseEpoch], ['retry', 1, 2]);
      assert.deepEqual(
        { ...(await engine.backend.failExecution({ executionId, fence: fenceOf(second), failureReason: 'broken' })) },
        { kind: 'terminal_failed' },
      );
      assert.equal(await stateOf(engine, executionId), 'failed');
      const info = await engine.backend.readExecutionInfo({ executionId });
      assert.deepEqual([info?.failureReason, info?.failureCategory, info?.retryCount], ['broken', 'transient', 1]);
    },
  },
  {
    name: 'work whose owner vanished is reclaimed, before everything else',
    async run(engine) {
      const executionId = await create(engine);
      const lost = await take(engine);
      await engine.advance(TTL_MS);
      await refused(engine.backend.completeExecution({ executionId, fence: fenceOf(lost) }), 'lease_expired');
      await create(engine, { priority: 9_000 });
      const again = await take(engine);
      assert.deepEqual(
        [again.executionId, again.claimKind, again.attemptType, again.attemptIndex, again.leaseEpoch],
        [executionId, 'reclaimed', 'reclaim', 1, 2],
      );
      await refused(engine.backend.completeExecution({ executionId, fence: fenceOf(lost) }), 'stale_lease');
      await engine.backend.completeExecution({ executionId, fence: fenceOf(again) });
      await refused(engine.backend.renewLease({ executionId, fence: fenceOf(again) }), 'execution_not_active');
    },
  },
  {
    name: 'work that is lost too often ends failed, and the claim says so',
    async run(engine) {
      const executionId = await create(engine, { policy: { maxReclaimCount: 0 } });
      await take(engine);
      await engine.advance(TTL_MS);
      const outcome = await claim(engine);
      assert.equal(outcome.kind, 'no_work');
      assert.deepEqual(outcome.reclaimCapExceeded, [executionId]);
      assert.equal((await engine.backend.readExecutionInfo({ executionId }))?.failureReason, 'max_reclaims_exceeded');
    },
  },
  {
    name: 'a renewed lease lasts longer and is never shortened',
    async run(engine) {
      const executionId = await create(engine);
      const fence = fenceOf(await take(engine));
      await engine.advance(TTL_MS - 1);
      const renewed = await engine.backend.renewLease({ executionId, fence, leaseTtlMs: 60_000 });
      assert.equal(renewed.expiresAt, engine.now() + 60_000);
      assert.equal(
        (await engine.backend.renewLease({ executionId, fence, leaseTtlMs: 1_000 })).expiresAt,
        renewed.expiresAt,
      );
      await engine.advance(59_999);
      await engine.backend.completeExecution({ executionId, fence });
    },
  },
  {
    name: 'a revoked lease ends its owner at once',
    async run(engine) {
      const executionId = await create(engine);
      const owner = await take(engine);
      assert.deepEqual(
        { ...(await engine.backend.revokeLease({ executionId, reason: 'maintenance' })) },
        { kind: 'revoked', leaseId: owner.leaseId, leaseEpoch: 1 },
      );
      await refused(engine.backend.renewLease({ executionId, fence: fenceOf(owner) }), 'lease_revoked');
      assert.deepEqual(
        { ...(await engine.backend.revokeLease({ executionId })) },
        { kind: 'already_satisfied', reason: 'already_revoked' },
      );
      // An absent reason is empty, also as the last value of a record.
      await create(engine, { laneId: 'other' });
      const other = await take(engine, { laneId: 'other' });
      await refused(
        engine.backend.revokeLease({ executionId: other.executionId, expectedLeaseId: owner.leaseId, reason: '' }),
        'stale_lease',
      );
      assert.equal(
        (
          await engine.backend.revokeLease({
            executionId: other.executionId,
            expectedLeaseId: other.leaseId,
            reason: '',
          })
        ).kind,
        'revoked',
      );
      assert.equal((await take(engine, { laneId: 'other' })).claimKind, 'reclaimed');
      assert.equal((await take(engine)).claimKind, 'reclaimed');
    },
  },
  {
    name: 'work that was handed back goes on as the same attempt',
    async run(engine) {
      const executionId = await create(engine, { policy: { timeoutPolicy: { attemptTimeoutMs: 5_000 } } });
      const first = await take(engine);
      await engine.advance(1_000);
      await engine.backend.releaseLease({ executionId, fence: fenceOf(first) });
      await engine.backend.releaseLease({ executionId, fence: fenceOf(first) });
      await engine.advance(60_000);
      const second = await take(engine);
      assert.deepEqual(
        [second.claimKind, second.attemptId, second.attemptIndex, second.leaseEpoch],
        ['resumed', first.attemptId, 0, 2],
      );
      assert.equal(second.attemptTimeoutAt, engine.now() + 4_000);
      await refused(engine.backend.completeExecution({ executionId, fence: fenceOf(first) }), 'stale_lease');
    },
  },
  {
    name: 'a parked attempt comes back at its time',
    async run(engine) {
      const executionId = await create(engine);
      const first = await take(engine);
      const delayUntil = engine.now() + 30_000;
      assert.equal(
        (await engine.backend.delayExecution({ executionId, fence: fenceOf(first), delayUntil })).kind,
        'delayed',
      );
      assert.equal(
        (await engine.backend.delayExecution({ executionId, fence: fenceOf(first), delayUntil })).kind,
        'delayed',
      );
      await engine.advance(30_000);
      assert.deepEqual([(await take(engine)).claimKind, await stateOf(engine, executionId)], ['resumed', 'active']);
    },
  },
  {
    name: 'an attempt that takes too long ends, and so does an execution past its deadline',
    async run(engine) {
      const slow = await create(engine, { policy: { timeoutPolicy: { attemptTimeoutMs: 3_000 } } });
      const late = await create(engine, { executionDeadlineAt: engine.now() + 4_000, laneId: 'other' });
      await take(engine);
      await engine.advance(3_000);
      assert.deepEqual([await stateOf(engine, slow), await stateOf(engine, late)], ['expired', 'waiting']);
      await engine.advance(1_000);
      assert.equal(await stateOf(engine, late), 'expired');
    },
  },
  {
    name: 'cancelling ends work wherever it is, for operators and for the last owner only',
    async run(engine) {
      const executionId = await create(engine);
      await refused(engine.backend.cancelExecution({ executionId, reason: 'r' }), 'fence_required');
      const owner = await take(engine);
      await refused(
        engine.backend.cancelExecution({ executionId, reason: 'r', ...fenceOf(owner), leaseEpoch: 7 }),
        'stale_lease',
      );
      await engine.backend.cancelExecution({ executionId, reason: 'no longer wanted', source: 'operator_override' });
      assert.equal(await stateOf(engine, executionId), 'cancelled');
      await refused(engine.backend.completeExecution({ executionId, fence: fenceOf(owner) }), 'execution_not_active');
      const info = await engine.backend.readExecutionInfo({ executionId });
      assert.deepEqual([info?.cancellationReason, info?.cancelledBy], ['no longer wanted', 'operator_override']);
      // Epoch 0 belongs to an execution that never had an owner: without an attempt id it proves nothing.
      const untouched = {
        executionId: await create(engine),
        reason: 'r',
        source: 'operator_override' as const,
        leaseEpoch: 0,
      };
      await engine.backend.cancelExecution(untouched);
      await refused(engine.backend.cancelExecution(untouched), 'execution_not_active');
    },
  },
  {
    name: 'final calls can be repeated after a lost reply',
    async run(engine) {
      const executionId = await create(engine);
      const fence = fenceOf(await take(engine));
      const first = await engine.backend.completeExecution({ executionId, fence, resultPayload: bytes(1) });
      const again = await engine.backend.completeExecution({ executionId, fence, resultPayload: bytes(2) });
      assert.deepEqual(again, first);
      assert.deepEqual(Uint8Array.from((await engine.backend.getExecutionResult({ executionId })) ?? []), bytes(1));
      assert.equal((await eventTypes(engine)).filter((type) => type === 'execution_completed').length, 1);
    },
  },
  {
    name: 'progress is kept, and belongs to its attempt',
    async run(engine) {
      const executionId = await create(engine);
      const owner = await take(engine);
      await engine.backend.updateProgress({
        executionId,
        ...fenceOf(owner),
        progressPct: 40,
        progressMessage: 'halb fertig…',
      });
      await engine.backend.updateProgress({ executionId, ...fenceOf(owner), progressPct: 60 });
      const progress = async () => (await engine.backend.readExecutionInfo({ executionId }))?.progress;
      assert.deepEqual({ ...(await progress()) }, { percent: 60, message: 'halb fertig…', updatedAt: engine.now() });
      await engine.advance(TTL_MS);
      await take(engine);
      assert.equal(await progress(), undefined);
    },
  },
  {
    name: 'a handle stands for the fence it was made of',
    async run(engine) {
      const executionId = await create(engine);
      const claimed = await take(engine);
      const handle = handleOf(claimed, {
        backend: engine.backend.label,
        leaseTtlMs: TTL_MS,
        laneId: LANE,
        workerInstanceId: 'worker-1',
      });
      const both = { executionId, handle, source: 'lease_holder' } as unknown as ArgsOf<'completeExecution'>;
      await assert.rejects(engine.backend.completeExecution(both), {
        code: 'invalid_input',
        detail: { field: 'executionId' },
      });
      await engine.backend.completeExecution({ handle });
      assert.equal(await stateOf(engine, executionId), 'completed');
    },
  },
  {
    name: 'finished work is forgotten after its retention',
    options: { retentionMs: 120_000 },
    async run(engine) {
      const executionId = await create(engine, { inputPayload: bytes(1), tags: { 'a.b': 'c' } });
      await engine.backend.completeExecution({
        executionId,
        fence: fenceOf(await take(engine)),
        resultPayload: bytes(2),
      });
      await engine.advance(119_999);
      assert.equal(await stateOf(engine, executionId), 'completed');
      await engine.advance(60_001);
      assert.equal(await engine.backend.describeExecution({ executionId }), undefined);
      assert.equal(await engine.backend.getExecutionResult({ executionId }), undefined);
      await refused(engine.backend.readExecutionContext({ executionId }), 'execution_not_found');
      const { executions } = await engine.backend.listExecutions({ partition: PARTITION });
      assert.deepEqual(executions, []);
    },
  },
  {
    name: 'a batch runs in order, each command with its own answer',
    async run(engine) {
      const executionId = engine.executionId();
      const ids = { leaseId: engine.uuid(), attemptId: engine.uuid() };
      const results = await engine.backend.execute([
        {
          name: 'createExecution',
          args: {
            executionId,
            namespace: 'conformance',
            laneId: LANE,
            executionKind: 'kind',
            creatorIdentity: 'suite',
          },
        },
        {
          name: 'claimForWorker',
          args: { partition: PARTITION, laneId: LANE, workerId: 'worker', workerInstanceId: 'worker-1', claims: [ids] },
        },
        { name: 'renewLease', args: { executionId, fence: { ...ids, leaseEpoch: 9 } } },
        { name: 'completeExecution', args: { executionId, fence: { ...ids, leaseEpoch: 1 } } },
      ]);
      assert.deepEqual(
        results.map((result) => (result.ok ? result.outcome.kind : result.error.code)),
        ['created', 'claimed', 'stale_lease', 'completed'],
      );
      assert.equal(await stateOf(engine, executionId), 'completed');
    },
  },
  {
    name: 'a batch with a malformed command does nothing',
    async run(engine) {
      const executionId = await create(engine);
      const error = await refused(
        engine.backend.execute([
          { name: 'cancelExecution', args: { executionId, reason: 'r', source: 'operator_override' } },
          { name: 'promoteDelayed', args: { executionId: 'no id' } },
        ]),
        'invalid_input',
      );
      assert.equal(error.detail['field'], 'executionId');
      assert.equal(await stateOf(engine, executionId), 'waiting');
    },
  },
  {
    name: 'executions and lanes are listed in order, page by page',
    async run(engine) {
      const ids = [];
      for (const laneId of ['b', 'a', 'b', 'c']) ids.push(await create(engine, { laneId }));
      ids.sort();
      const first = await engine.backend.listExecutions({ partition: PARTITION, limit: 3 });
      assert.deepEqual([first.executions, first.nextCursor], [ids.slice(0, 3), ids[2]]);
      const second = await engine.backend.listExecutions({ partition: PARTITION, limit: 3, cursor: first.nextCursor });
      assert.deepEqual([second.executions, second.nextCursor], [ids.slice(3), undefined]);
      assert.deepEqual((await engine.backend.listLanes({ limit: 2 })).lanes, ['a', 'b']);
      assert.deepEqual((await engine.backend.listLanes({ limit: 2, cursor: 'b' })).lanes, ['c']);
      assert.deepEqual(await engine.backend.listPartitionLanes({ partition: PARTITION }), ['a', 'b', 'c']);
    },
  },
  {
    name: 'the log says what happened, in order, without gaps',
    async run(engine) {
      const executionId = await create(engine, { policy: { retryPolicy: { maxRetries: 2 } }, tags: { 'a.b': 'c' } });
      await engine.backend.failExecution({ executionId, fence: fenceOf(await take(engine)), failureReason: 'broken' });
      const { events, next, end, atEnd } = await engine.backend.readLog({ partition: PARTITION });
      assert.deepEqual(
        events.map(({ sequence }) => sequence),
        [1, 2, 3],
      );
      assert.deepEqual([next, atEnd], [end, true]);
      assert.deepEqual(
        events.map(({ event }) => event.type),
        ['execution_created', 'execution_claimed', 'retry_scheduled'],
      );
      const first = await engine.backend.readLog({ partition: PARTITION, limit: 1 });
      const second = await engine.backend.readLog({ partition: PARTITION, after: first.next, limit: 1 });
      assert.deepEqual([first.atEnd, second.events[0]?.sequence], [false, 2]);
      assert.deepEqual((await engine.backend.readLog({ partition: PARTITION, after: end })).events, []);
    },
  },
  {
    name: 'a reader that fell behind the log is told where to begin',
    options: { logMaxEntries: 10 },
    async run(engine) {
      const executionId = await create(engine);
      const owner = fenceOf(await take(engine));
      // Far more than are kept, because a backend may trim its log in large pieces.
      for (let i = 0; i < 20; i++)
        await engine.backend.execute(
          Array.from({ length: 100 }, () => ({ name: 'renewLease' as const, args: { executionId, fence: owner } })),
        );
      const error = await refused(engine.backend.readLog({ partition: PARTITION }), 'cursor_too_old');
      const after = present(error.detail['earliest']);
      const { events, atEnd } = await engine.backend.readLog({ partition: PARTITION, after, limit: 1_000 });
      assert.deepEqual([events.at(-1)?.sequence, atEnd], [2_002, true]);
    },
  },
  {
    name: 'a snapshot has every execution and flow with all its facts, page by page, and the position of each page',
    async run(engine) {
      const { backend } = engine;
      const flowId = engine.executionId();
      await backend.createFlow({ flowId, flowKind: 'etl', namespace: 'conformance' });
      const ids = [
        await create(engine, { tags: { 'a.b': 'c' }, inputPayload: new Uint8Array(70) }),
        await create(engine),
      ];
      const read = (args: object = {}) => backend.readSnapshot({ partition: PARTITION, ...args });
      const first = await read({ limit: 1 });
      assert.deepEqual(
        [first.flows.map(({ flow, flowKind }) => [flow, flowKind]), first.executions, first.nextCursor],
        [[[flowId.slice(-36), 'etl']], [], 'execution:'],
      );
      const second = await read({ cursor: 'execution:', limit: 1 });
      const [created] = second.executions;
      assert.equal(created?.executionId, [...ids].sort()[0]);
      assert.equal(second.nextCursor, `execution:${created?.executionId}`);
      const taken = await take(engine);
      await backend.failExecution({
        ...{ executionId: taken.executionId, fence: fenceOf(taken) },
        failureReason: 'why',
      });
      const last = await read({ cursor: 'execution:' });
      assert.deepEqual(
        last.executions.map(({ executionId }) => executionId),
        [...ids].sort(),
      );
      const failed = last.executions.find(({ executionId }) => executionId === taken.executionId);
      assert.deepEqual(
        [failed?.situation, failed?.failureReason, failed?.totalAttemptCount, failed?.laneId, last.nextCursor],
        ['failed', 'why', 1, LANE, undefined],
      );
      const whole = last.executions.find(({ executionId }) => executionId === ids[0]);
      assert.deepEqual([whole?.payloadBytes, { ...whole?.tags }], [70, { 'a.b': 'c' }]);
      // Each page has a log position: events after that of the second page explain the difference in the third.
      const { events, end } = await backend.readLog({ partition: PARTITION, after: second.position });
      assert.deepEqual(
        events.map(({ event }) => event.type),
        ['execution_claimed', 'execution_failed'],
      );
      assert.equal(last.position, end);
      await refused(read({ cursor: 'execution:nobody' }), 'invalid_input');
    },
  },
  {
    name: 'what is due is applied where it is listed, and it is told when to look again',
    async run(engine) {
      const executionId = await create(engine, { delayUntil: engine.now() + 1_000 });
      const apply = () => engine.backend.applyDue({ partition: PARTITION });
      const early = await apply();
      assert.deepEqual(early.kind === 'applied' && [early.promoted, early.nextDueAt], [0, engine.now() + 1_000]);
      engine.setTime(engine.now() + 1_000);
      const due = await apply();
      assert.deepEqual(due.kind === 'applied' && [due.promoted, due.nextDueAt], [1, undefined]);
      assert.equal(await engine.backend.readExecutionState({ executionId }), 'waiting');
    },
  },
  {
    name: 'whoever waits for a lane is woken by its work, and by timers',
    async run(engine) {
      const wakes: Wake[] = [];
      const stop = await engine.backend.onWake([LANE], (wake) => {
        if (isStored(wake)) wakes.push(wake);
      });
      const until = (kind: Wake['kind']): Promise<void> =>
        soon(() => wakes.some((wake) => wake.kind === kind), `no wake of kind ${kind}`);
      await create(engine, { laneId: 'other' });
      await create(engine);
      await until('work');
      assert.deepEqual(
        wakes.find(({ kind }) => kind === 'work'),
        {
          kind: 'work',
          laneId: LANE,
          partition: PARTITION,
          executionKind: 'kind',
          priority: 0,
          requiredCapabilities: [],
        },
      );
      await create(engine, { delayUntil: engine.now() + 1_000 });
      await until('timer');
      stop();
    },
  },
  {
    name: 'a wake says what its work needs, and comes only for work that still waits at the end of the step',
    async run(engine) {
      const wakes: Wake[] = [];
      const stop = await engine.backend.onWake([LANE, 'taken'], (wake) => {
        if (isStored(wake)) wakes.push(wake);
      });
      const creationOf = (laneId: string) => ({
        name: 'createExecution' as const,
        args: {
          executionId: engine.executionId(),
          namespace: 'conformance',
          laneId,
          executionKind: 'kind',
          creatorIdentity: 'suite',
        },
      });
      await engine.backend.execute([
        creationOf('taken'),
        {
          name: 'claimForWorker',
          args: {
            partition: PARTITION,
            laneId: 'taken',
            workerId: 'worker',
            workerInstanceId: 'worker-1',
            claims: [{ leaseId: engine.uuid(), attemptId: engine.uuid() }],
          },
        },
      ]);
      await create(engine, { policy: { routingRequirements: { requiredCapabilities: ['gpu', 'eu'] } } });
      await soon(() => wakes.some(({ kind }) => kind === 'work'), 'no wake');
      assert.deepEqual(
        wakes.filter(({ kind }) => kind === 'work'),
        [
          {
            kind: 'work',
            laneId: LANE,
            partition: PARTITION,
            executionKind: 'kind',
            priority: 0,
            requiredCapabilities: ['eu', 'gpu'],
          },
        ],
      );
      stop();
    },
  },
  {
    name: 'the clock of the store is the clock of the engine',
    async run(engine) {
      assert.equal(await engine.backend.serverTime(), engine.now());
      await engine.backend.ping();
    },
  },
  {
    name: 'a closed backend says so',
    async run(engine) {
      await engine.backend.close();
      await engine.backend.close();
      await refused(engine.backend.listPartitionLanes({ partition: PARTITION }), 'backend_closed');
      await refused(engine.backend.promoteDelayed({ executionId: engine.executionId() }), 'backend_closed');
      await refused(engine.backend.ping(), 'backend_closed');
    },
  },
];
