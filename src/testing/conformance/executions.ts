/** Scenarios of executions: creation, claims, attempts, leases, endings and retention. */
import assert from 'node:assert/strict';
import { handleOf } from '../../../model/handle.js';
import { LIMITS } from '../../../model/limits.js';
import type { ArgsOf } from '../../../model/machine.js';
import {
  bytes,
  claim,
  create,
  eventTypes,
  fenceOf,
  LANE,
  PARTITION,
  refused,
  stateOf,
  take,
  TTL_MS,
  type ConformanceScenario,
} from './steps.js';

export const executionScenarios: readonly ConformanceScenario[] = [
  {
    name: 'work is created, claimed and completed, and its bytes are returned unchanged',
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
      const info = await engine.backend.readExecutionInfo({ executionId, withResult: true });
      assert.deepEqual([info?.resultBytes, info?.resultEncoding, info?.payloadBytes], [3, 'raw', 5]);
      assert.deepEqual(Uint8Array.from(info?.result ?? []), result);
      assert.deepEqual(await eventTypes(engine), ['execution_created', 'execution_claimed', 'execution_completed']);
    },
  },
  {
    name: 'a claim carries an input of 32 KiB, and the owner reads a longer one',
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
    name: 'an empty result differs from an absent one',
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
    name: 'creations with the same id or key give one execution',
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
    name: 'a key that an execution holds names it until its purge, and is free then',
    async run(engine) {
      const { backend } = engine;
      // A long key, which is stored beside the record, and a short one.
      for (const idempotencyKey of ['k', 'k'.repeat(LIMITS.maxIdempotencyKeyBytes)]) {
        const key = { idempotencyKey, holdsKey: true, policy: { dedupWindowMs: 1_000 } };
        const base = { namespace: 'conformance', laneId: LANE, executionKind: 'kind', creatorIdentity: 'suite' };
        const again = async (): Promise<string> => {
          const outcome = await backend.createExecution({ ...base, executionId: engine.executionId(), ...key });
          return `${outcome.kind} ${outcome.kind === 'duplicate' ? outcome.executionId : ''}`;
        };
        const executionId = await create(engine, key);
        await engine.advance(172_800_000);
        assert.equal(await again(), `duplicate ${executionId}`);
        await backend.completeExecution({ executionId, fence: fenceOf(await take(engine)) });
        await engine.advance(60_000);
        assert.equal(await again(), `duplicate ${executionId}`);
        await backend.replayExecution({ executionId, reason: 'r', requestedBy: 'ann' });
        await backend.completeExecution({ executionId, fence: fenceOf(await take(engine)) });
        const named = { partition: PARTITION, namespace: 'conformance', idempotencyKey };
        assert.equal(await backend.findExecution(named), executionId);
        await engine.advance(90_000_000);
        await backend.purgeExecution({ executionId });
        assert.equal(await backend.findExecution(named), undefined);
        assert.equal(await again(), 'created ');
        const last = await take(engine);
        await backend.completeExecution({ executionId: last.executionId, fence: fenceOf(last) });
      }
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
    name: 'a worker gets only work that its capabilities cover',
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
    name: 'work of a lost owner is reclaimed before all other work',
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
    name: 'work that is lost too often ends failed, and the claim reports it',
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
    name: 'work that was handed back continues in the same attempt',
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
    name: 'operators and the last owner can cancel work in any state, and others cannot',
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
    name: 'progress is stored, and belongs to its attempt',
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
    name: 'a handle is equivalent to the fence that it contains',
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
    name: 'finished work is purged after its retention',
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
];
