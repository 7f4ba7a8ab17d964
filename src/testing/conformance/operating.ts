/** Conformance of operators' commands: holds, blocks, priority, replays, tags. */
import assert from 'node:assert/strict';
import { present } from '../../../model/core/present.js';
import { decodeHandle } from '../../../model/handle.js';
import { OPERATIONS, QUERIES } from '../../../model/machine.js';
import { capabilitiesIn, markDead, takersOf } from '../../engine/workers.js';
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

export const operatingScenarios: readonly ConformanceScenario[] = [
  {
    name: 'capabilities are data: the supported calls and the reserved arguments',
    async run({ backend }) {
      const { family, supports, reserved, durability, shared, server } = backend.capabilities();
      assert.equal(family, backend.label);
      const isThere = (call: string): boolean =>
        typeof (backend as unknown as Record<string, unknown>)[call] === 'function';
      const names = [...Object.keys(OPERATIONS), ...Object.keys(QUERIES), 'verifyPartition', 'onNotice'];
      assert.deepEqual(Object.keys(supports).sort(), names.sort());
      assert.deepEqual(
        Object.entries(supports).filter(([call, supported]) => supported !== isThere(call)),
        [],
      );
      const [member = ''] = reserved.filter(
        (path) => path.endsWith('isolationLevel') && path.startsWith('createExecution.'),
      );
      assert.equal(member, 'createExecution.policy.routingRequirements.isolationLevel');
      // Stores on a server are shared and outlive the process; others belong to one process.
      assert.deepEqual([shared, durability === 'server'], [server !== undefined, server !== undefined]);
    },
  },
  {
    name: 'a worker is registered while it sends heartbeats, lapses as due work, and can be read with its lanes and capabilities',
    async run(engine) {
      const { backend } = engine;
      const worker = { namespace: 'n', workerInstanceId: 'w-1' };
      const offer = { workerId: 'pool', lanes: [LANE], capabilities: ['gpu'], kinds: ['a,b'], livenessTtlMs: 5_000 };
      const list = async (): Promise<readonly string[]> =>
        (await backend.listWorkers({ namespace: 'n' })).workers.map(({ workerInstanceId }) => workerInstanceId);
      assert.equal((await backend.heartbeatWorker(worker)).kind, 'not_registered');
      assert.equal((await backend.registerWorker({ ...worker, ...offer })).kind, 'registered');
      assert.equal((await backend.registerWorker({ ...worker, ...offer })).kind, 'refreshed');
      await refused(backend.registerWorker({ ...worker, ...offer, workerId: 'other' }), 'invalid_input');
      await backend.registerWorker({ ...worker, ...offer, workerInstanceId: 'w-2', livenessTtlMs: 60_000 });
      assert.deepEqual(await list(), ['w-1', 'w-2']);
      const work = { laneId: LANE, executionKind: 'a,b', requiredCapabilities: ['eu', 'gpu'] };
      assert.deepEqual(await takersOf(backend, 'n', work), {
        live: 2,
        onLane: 2,
        ofKind: 2,
        capable: 0,
        missing: ['eu'],
      });
      assert.equal((await takersOf(backend, 'n', { ...work, requiredCapabilities: ['gpu'] })).capable, 2);
      assert.equal((await takersOf(backend, 'n', { ...work, executionKind: 'other' })).ofKind, 0);
      assert.equal((await takersOf(backend, 'other', work)).live, 0);
      await engine.advance(3_000);
      assert.equal((await backend.heartbeatWorker({ ...worker, running: 2, draining: true })).kind, 'refreshed');
      assert.equal((await takersOf(backend, 'n', { laneId: LANE })).live, 1);
      await engine.advance(4_999);
      assert.deepEqual(await list(), ['w-1', 'w-2']);
      await engine.advance(1);
      assert.deepEqual(await list(), ['w-2']);
      assert.equal((await backend.heartbeatWorker(worker)).kind, 'not_registered');
      assert.equal((await backend.markWorkerDead({ ...worker, workerInstanceId: 'w-2' })).kind, 'marked');
      const { events } = await backend.readLog({ partition: '{w:n}', limit: 100 });
      assert.deepEqual(
        events.map(({ event }) => event.type),
        [...Array<string>(3).fill('worker_registered'), 'worker_heard', 'worker_lapsed', 'worker_marked_dead'],
      );
    },
  },
  {
    name: 'the capabilities of a namespace are those of its live workers',
    async run(engine) {
      const { backend } = engine;
      const offer = { workerId: 'pool', namespace: 'n', lanes: [LANE], livenessTtlMs: 5_000 };
      const register = (workerInstanceId: string, ...capabilities: string[]) =>
        backend.registerWorker({ ...offer, workerInstanceId, capabilities });
      const offered = async (namespace: string) => [...(await capabilitiesIn(backend, { namespace }))];
      assert.deepEqual(await offered('n'), []);
      await register('w-1', 'gpu', 'é', 'eu');
      await register('w-2', 'gpu');
      await register('w-3');
      await backend.registerWorker({ ...offer, namespace: 'other', workerInstanceId: 'w-1', capabilities: ['tpu'] });
      assert.deepEqual(await offered('n'), [
        ['eu', 1],
        ['gpu', 2],
        ['é', 1],
      ]);
      await backend.heartbeatWorker({ namespace: 'n', workerInstanceId: 'w-1', draining: true });
      assert.deepEqual(await offered('n'), [['gpu', 1]]);
      await engine.advance(5_000);
      assert.deepEqual(await offered('n'), []);
    },
  },
  {
    name: 'only the leases of a worker that is marked dead are revoked',
    async run(engine) {
      const { backend } = engine;
      for (let i = 0; i < 5; i++) await create(engine);
      await claim(engine, { workerInstanceId: 'dead' }, 3);
      await claim(engine, { workerInstanceId: 'alive' }, 1);
      const owned = async (workerInstanceId: string): Promise<number> =>
        (await backend.listExecutionSummaries({ partition: PARTITION, workerInstanceId })).executions.length;
      assert.deepEqual([await owned('dead'), await owned('alive'), await owned('other')], [3, 1, 0]);
      const dead = { namespace: 'n', workerInstanceId: 'dead', reason: 'burned', revoke: true };
      assert.deepEqual(await markDead(backend, dead), { wasRegistered: false, revoked: 3, complete: true });
      assert.deepEqual(await markDead(backend, dead), { wasRegistered: false, revoked: 0, complete: true });
      const taken = await claim(engine, { workerInstanceId: 'alive' }, 5);
      assert.equal(taken.kind === 'claimed' && taken.executions.length, 4);
      assert.equal(await owned('dead'), 0);
    },
  },
  {
    name: 'a refusal names the lane, also one whose name has the form of a short id',
    async run(engine) {
      const laneId = 'notification_send_bulk';
      await engine.backend.drainLane({ partition: PARTITION, laneId });
      const { detail } = await refused(create(engine, { laneId }), 'lane_draining');
      assert.equal(detail['laneId'], laneId);
    },
  },
  {
    name: 'a paused lane accepts work and gives none, and a draining one gives its work and accepts none',
    async run(engine) {
      const { backend } = engine;
      const wakes: string[] = [];
      const leave = await backend.onWake([LANE], (wake) => {
        if (wake.kind === 'work' && wake.arriving === undefined) wakes.push(wake.executionKind);
      });
      const lane = { partition: PARTITION, laneId: LANE, requestedBy: 'ann' };
      const before = await create(engine);
      const paused = await backend.pauseLane({ ...lane, reason: 'the shop is closed' });
      assert.deepEqual({ ...paused }, { kind: 'lane_paused', laneId: LANE, previousState: 'open' });
      const during = await create(engine);
      assert.equal((await claim(engine)).kind, 'no_work');
      assert.deepEqual(await backend.listQueueHeads({ partition: PARTITION, laneIds: [LANE] }), []);
      const told = wakes.length;
      assert.equal((await backend.drainLane(lane)).kind, 'lane_drained');
      await soon(() => wakes.length > told, 'work of the lane is not announced when it gives work again');
      await refused(create(engine), 'lane_draining');
      const owner = await take(engine);
      assert.equal(owner.executionId, before);
      await backend.failExecution({
        executionId: before,
        fence: fenceOf(owner),
        failureReason: 'once more',
        failureCategory: 'any',
      });
      assert.equal((await take(engine)).executionId, during);
      const known = await backend.readLane({ partition: PARTITION, laneId: LANE });
      assert.deepEqual([known.laneState, known.stateChangedBy, known.stateReason], ['draining', 'ann', '']);
      assert.equal((await backend.resumeLane(lane)).kind, 'lane_resumed');
      assert.equal((await backend.resumeLane(lane)).kind, 'already_satisfied');
      await create(engine);
      const types = (await eventTypes(engine)).filter((type) => type.startsWith('lane_'));
      assert.deepEqual(types, ['lane_paused', 'lane_drained', 'lane_resumed']);
      leave();
    },
  },
  {
    name: 'changed settings of a deployment apply to all later work',
    options: { retentionMs: 60_000 },
    async run(engine) {
      const { backend } = engine;
      assert.equal(backend.settings.retentionMs, 60_000);
      const end = async (): Promise<string> => {
        const executionId = await create(engine);
        await backend.completeExecution({ executionId, fence: fenceOf(await take(engine)) });
        return executionId;
      };
      const before = await end();
      const { version } = backend.settings;
      const changed = await backend.configureDeployment({ retentionMs: 600_000, logMaxEntries: 500 });
      assert.deepEqual(changed, {
        version: version + 1,
        families: [],
        retentionMs: 600_000,
        logMaxEntries: 500,
        indexedTags: [],
      });
      assert.deepEqual(backend.settings, changed);
      assert.equal((await backend.configureDeployment({ retentionMs: 600_000 })).version, version + 1);
      await refused(backend.configureDeployment({ logMaxEntries: 0 }), 'invalid_input');
      const after = await end();
      await engine.advance(300_000);
      assert.equal(await backend.describeExecution({ executionId: before }), undefined);
      assert.equal(await stateOf(engine, after), 'completed');
    },
  },
  {
    name: 'held work keeps its place and is not claimed until it is released',
    async run(engine) {
      const { backend } = engine;
      const executionId = await create(engine);
      engine.setTime(engine.now() + 5);
      const other = await create(engine);
      const held = await backend.holdExecution({ executionId, reason: 'the shop is closed', requestedBy: 'ann' });
      assert.deepEqual({ ...held }, { kind: 'held', executionId, publicState: 'waiting' });
      const snapshot = await backend.describeExecution({ executionId });
      assert.deepEqual(
        [snapshot?.blockingReason, snapshot?.blockingDetail],
        ['paused_by_operator', 'held by ann: the shop is closed'],
      );
      assert.equal((await take(engine)).executionId, other);
      assert.equal((await claim(engine)).kind, 'no_work');
      await backend.releaseHold({ executionId, requestedBy: 'ann' });
      assert.deepEqual(
        { ...(await backend.releaseHold({ executionId })) },
        { kind: 'already_satisfied', reason: 'not_held' },
      );
      assert.equal((await take(engine)).executionId, executionId);
      const types = await eventTypes(engine);
      assert.deepEqual([types.includes('execution_held'), types.at(-2)], [true, 'hold_released']);
    },
  },
  {
    name: 'a hold of owned work takes effect when its owner is lost, and ends with the execution',
    async run(engine) {
      const executionId = await create(engine);
      const owner = await take(engine);
      const held = await engine.backend.holdExecution({ executionId });
      assert.equal(held.kind === 'held' && held.publicState, 'active');
      await engine.backend.renewLease({ executionId, fence: fenceOf(owner), leaseTtlMs: TTL_MS });
      await engine.advance(TTL_MS);
      assert.equal((await claim(engine)).kind, 'no_work');
      await engine.backend.releaseHold({ executionId });
      const second = await take(engine);
      assert.equal(second.claimKind, 'reclaimed');
      await engine.backend.holdExecution({ executionId });
      await engine.backend.completeExecution({ executionId, fence: fenceOf(second) });
      assert.equal(await stateOf(engine, executionId), 'completed');
      assert.equal((await engine.backend.readExecutionInfo({ executionId }))?.hold, undefined);
    },
  },
  {
    name: 'blocked work is not claimed, shows its reason, and is unblocked by a call with that reason',
    async run(engine) {
      const { backend } = engine;
      const executionId = await create(engine);
      const blockingReason = 'waiting_for_quota';
      await backend.blockExecutionForAdmission({ executionId, blockingReason, blockingDetail: '5 of 5 run' });
      const snapshot = await backend.describeExecution({ executionId });
      assert.deepEqual(
        [snapshot?.publicState, snapshot?.blockingReason, snapshot?.blockingDetail],
        ['rate_limited', 'waiting_for_quota', '5 of 5 run'],
      );
      assert.equal((await claim(engine)).kind, 'no_work');
      assert.deepEqual(
        { ...(await backend.blockRoute({ executionId })) },
        { kind: 'not_blocked', reason: 'execution_not_eligible' },
      );
      await refused(
        backend.unblockExecution({ executionId, expectedBlockingReason: 'waiting_for_budget' }),
        'execution_not_eligible',
      );
      await backend.unblockExecution({ executionId, expectedBlockingReason: 'waiting_for_quota' });
      assert.equal((await backend.blockRoute({ executionId, reasonDetail: 'nobody has a gpu' })).kind, 'blocked');
      assert.equal(await stateOf(engine, executionId), 'waiting');
      await backend.unblockExecution({ executionId });
      assert.equal((await take(engine)).executionId, executionId);
    },
  },
  {
    name: 'work can be created blocked or held, before any claim',
    async run(engine) {
      const { backend } = engine;
      const blockingReason = 'waiting_for_budget';
      const blocked = await create(engine, { initialBlock: { blockingReason, blockingDetail: 'no tokens' } });
      const hold = { blockingReason: 'paused_by_operator', blockingDetail: 'checking' } as const;
      const delayUntil = engine.now() + 1_000;
      const held = await create(engine, { initialBlock: hold, delayUntil, inputPayload: new Uint8Array([1, 2]) });
      const at = { delayUntil, initialBlock: { blockingReason } } as const;
      await refused(create(engine, at), 'invalid_input');
      const snapshots = [blocked, held].map((executionId) => backend.describeExecution({ executionId }));
      assert.deepEqual(
        (await Promise.all(snapshots)).map((it) => [it?.publicState, it?.blockingReason, it?.blockingDetail]),
        [
          ['rate_limited', 'waiting_for_budget', 'no tokens'],
          ['delayed', 'waiting_for_delay', `delayed until ${delayUntil}; held by suite: checking`],
        ],
      );
      assert.equal((await claim(engine)).kind, 'no_work');
      engine.setTime(delayUntil);
      await backend.applyDue({ partition: PARTITION });
      assert.equal((await claim(engine)).kind, 'no_work');
      await backend.releaseHold({ executionId: held });
      assert.equal((await take(engine)).executionId, held);
      await backend.unblockExecution({ executionId: blocked, expectedBlockingReason: blockingReason });
      assert.equal((await take(engine)).executionId, blocked);
    },
  },
  {
    name: 'work whose priority is raised is claimed first, and keeps its age among equals',
    async run(engine) {
      const urgent = await create(engine, { priority: 5 });
      engine.setTime(engine.now() + 5);
      const plain = await create(engine);
      const delayed = await create(engine, { delayUntil: engine.now() + 1_000 });
      await engine.backend.changePriority({ executionId: plain, newPriority: 9 });
      await engine.backend.changePriority({ executionId: delayed, newPriority: 5 });
      assert.equal((await take(engine)).executionId, plain);
      await engine.advance(1_000);
      assert.equal((await take(engine)).executionId, urgent);
      const last = await take(engine);
      assert.deepEqual([last.executionId, last.priority], [delayed, 5]);
      const change = engine.backend.changePriority({ executionId: delayed, newPriority: 1 });
      const error = await refused(change, 'execution_not_eligible');
      assert.equal(error.detail['publicState'], 'active');
    },
  },
  {
    name: 'an ended execution can be replayed without the results of its last run, as often as its policy says',
    async run(engine) {
      const { backend } = engine;
      const executionId = await create(engine, {
        policy: { maxReplayCount: 2, retryPolicy: { maxRetries: 1, backoff: { type: 'fixed', delayMs: 0 } } },
      });
      await refused(backend.replayExecution({ executionId }), 'execution_not_terminal');
      const fail = async (failureClass: 'permanent' | 'transient') =>
        backend.failExecution({ executionId, fence: fenceOf(await take(engine)), failureReason: 'no', failureClass });
      await fail('permanent');
      const replayed = await backend.replayExecution({ executionId, reason: 'mended', requestedBy: 'ann' });
      assert.deepEqual({ ...replayed }, { kind: 'replayed', executionId, publicState: 'waiting', replayCount: 1 });
      const info = await backend.readExecutionInfo({ executionId });
      assert.deepEqual(
        [info?.failureReason, info?.completedAt, info?.replayCount, info?.stateVector.attemptState],
        [undefined, undefined, 1, 'pending_replay_attempt'],
      );
      assert.equal((await fail('transient')).kind, 'retry_scheduled');
      await engine.advance(0);
      const attempt = await take(engine);
      assert.deepEqual([attempt.attemptType, attempt.attemptIndex, attempt.leaseEpoch], ['retry', 2, 3]);
      await backend.completeExecution({
        executionId,
        fence: fenceOf(attempt),
        resultPayload: bytes(...Array(80).keys()),
      });
      const again = { executionId, expectedReplayCount: 1 };
      assert.equal((await backend.replayExecution(again)).kind, 'replayed');
      assert.equal((await backend.replayExecution(again)).kind, 'already_satisfied');
      assert.equal(await backend.getExecutionResult({ executionId }), undefined);
      const last = await take(engine);
      assert.equal(last.attemptType, 'replay');
      await backend.completeExecution({ executionId, fence: fenceOf(last) });
      assert.equal(await backend.getExecutionResult({ executionId }), undefined);
      await refused(backend.replayExecution({ executionId }), 'max_replays_exhausted');
    },
  },
  {
    name: 'tags are merged in every state of the execution',
    async run(engine) {
      const { backend } = engine;
      const executionId = await create(engine, { tags: { 'team.name': 'Größe', 'a.b': '1' } });
      await backend.setExecutionTags({ executionId, tags: { 'z.z': '"', 'a.b': '2' } });
      await backend.cancelExecution({ executionId, reason: '', source: 'operator_override' });
      await backend.setExecutionTags({ executionId, tags: { 'a.0': '' } });
      assert.deepEqual(
        { ...(await backend.getExecutionTags({ executionId })) },
        { 'a.0': '', 'a.b': '2', 'team.name': 'Größe', 'z.z': '"' },
      );
      await refused(backend.setExecutionTags({ executionId, tags: {} }), 'invalid_input');
      await refused(backend.setExecutionTags({ executionId, tags: { Nope: '' } }), 'invalid_tag_key');
      await refused(
        backend.setExecutionTags({ executionId: engine.executionId(), tags: { 'a.b': '' } }),
        'execution_not_found',
      );
    },
  },
  {
    name: 'a claim returns handles on request, and they are equivalent to the fence',
    async run(engine) {
      const { backend } = engine;
      const executionId = await create(engine, { policy: { timeoutPolicy: { attemptTimeoutMs: 5_000 } } });
      const { handle, attemptTimeoutRemainingMs } = await take(engine, { handles: true, ahead: true });
      assert.equal(attemptTimeoutRemainingMs, 5_000);
      assert.ok(handle !== undefined);
      const { leaseId: _, attemptId: __, ...said } = decodeHandle(handle, backend.label);
      assert.deepEqual(said, {
        ...{ backend: backend.label, kind: 'fresh', executionId, attemptIndex: 0, leaseEpoch: 1, leaseTtlMs: TTL_MS },
        ...{ laneId: LANE, workerInstanceId: 'worker-1' },
      });
      const renewed = await backend.renewLease({ handle, leaseTtlMs: 2 * TTL_MS });
      assert.deepEqual({ ...renewed }, { kind: 'renewed', expiresAt: engine.now() + 2 * TTL_MS, leaseEpoch: 1 });
      await backend.completeExecution({ handle });
      assert.equal(await stateOf(engine, executionId), 'completed');
      await create(engine);
      const [result] = await backend.execute([
        {
          name: 'claimForWorker',
          args: {
            partition: PARTITION,
            laneId: LANE,
            workerId: 'worker',
            workerInstanceId: 'worker-1',
            handles: true,
            claims: [{ leaseId: engine.uuid(), attemptId: engine.uuid() }],
          },
        },
      ]);
      assert.ok(result.ok && result.outcome.kind === 'claimed');
      const [claimed] = result.outcome.executions;
      assert.equal(claimed.attemptTimeoutRemainingMs, undefined);
      await backend.failExecution({ handle: present(claimed.handle), failureReason: 'no' });
    },
  },
  {
    name: 'a handle has the kind of its claim, and renewals return the epoch',
    async run(engine) {
      const { backend } = engine;
      await create(engine);
      const first = await take(engine, { handles: true, leaseTtlMs: 1_000 });
      engine.setTime(engine.now() + 1_000);
      await backend.applyDue({ partition: PARTITION });
      const second = await take(engine, { handles: true, leaseTtlMs: 2_000 });
      await refused(backend.renewLease({ handle: present(first.handle) }), 'stale_lease');
      const delayed = engine.now() + 1_000;
      await backend.delayExecution({ handle: present(second.handle), delayUntil: delayed });
      engine.setTime(delayed);
      await backend.applyDue({ partition: PARTITION });
      const third = await take(engine, { handles: true });
      const said = [first, second, third].map(({ handle }) => {
        const { kind, attemptIndex, leaseEpoch, leaseTtlMs } = decodeHandle(handle, backend.label);
        return [kind, attemptIndex, leaseEpoch, leaseTtlMs];
      });
      assert.deepEqual(said, [
        ['fresh', 0, 1, 1_000],
        ['reclaimed', 1, 2, 2_000],
        ['resumed', 1, 3, TTL_MS],
      ]);
      for (const args of [
        { handle: present(third.handle) },
        { executionId: third.executionId, fence: fenceOf(third) },
      ]) {
        const renewed = await backend.renewLease({ ...args, leaseTtlMs: 2 * TTL_MS });
        assert.equal(renewed.leaseEpoch, 3);
      }
    },
  },
  {
    name: 'the arguments of a creation are stored completely, and reads return them',
    async run(engine) {
      const { backend } = engine;
      const policy = {
        priority: 7,
        retryPolicy: { maxRetries: 2, backoff: { type: 'fixed', delayMs: 9 }, retryableCategories: ['net'] },
        timeoutPolicy: { attemptTimeoutMs: 5_000, executionDeadlineMs: 60_000 },
        ...{ maxReclaimCount: 3, maxReplayCount: 4, maxReleaseCount: 5, maxSignalsPerExecution: 6 },
        suspensionPolicy: { defaultTimeoutMs: 1_000, timeoutBehavior: 'cancel' },
        routingRequirements: { requiredCapabilities: ['eu', 'gpu'] },
        dedupWindowMs: 70_000,
        streamPolicy: { retentionTtlMs: 90_000, retentionMaxlen: 8 },
      } as const;
      const createdAt = engine.now();
      const executionId = await create(engine, { policy: structuredClone(policy) as object, idempotencyKey: 'k' });
      const { executions } = await backend.readSnapshot({ partition: PARTITION, cursor: 'execution:' });
      const stored = executions.find((execution) => execution.executionId === executionId);
      const { routingRequirements, ...others } = policy;
      const kept = JSON.parse(JSON.stringify(stored?.policy ?? {})) as Record<string, unknown>;
      assert.deepEqual({ ...kept, routingRequirements }, { ...others, routingRequirements });
      assert.deepEqual(
        [stored?.requiredCapabilities, stored?.priority, stored?.idempotencyExpiresAt],
        [['eu', 'gpu'], 7, createdAt + 70_000],
      );
      const claimed = await take(engine, { workerCapabilities: ['eu', 'gpu'] });
      const answer = { ...claimed };
      assert.deepEqual(
        [answer.priority, answer.attemptTimeoutAt, answer.executionDeadlineAt],
        [7, createdAt + 5_000, createdAt + 60_000],
      );
      const info = await backend.readExecutionInfo({ executionId });
      assert.deepEqual(
        [info?.requiredCapabilities, info?.attemptTimeoutAt, info?.executionDeadlineAt],
        [['eu', 'gpu'], createdAt + 5_000, createdAt + 60_000],
      );
      await backend.completeExecution({ executionId, fence: fenceOf(claimed) });
      // Rounded up to a slot: executions that end at about the same time are purged together.
      const { purgeAt = 0 } = { ...(await backend.readExecutionInfo({ executionId })) };
      assert.ok(purgeAt >= createdAt + 90_000 && purgeAt <= createdAt + 120_000);
    },
  },
  {
    name: 'a failure carries detail bytes, and an operator can pass another retry policy',
    async run(engine) {
      const { backend } = engine;
      const executionId = await create(engine);
      const fence = fenceOf(await take(engine));
      const failure = { executionId, fence, failureReason: 'no', failureDetail: bytes(0, 255, 10) };
      const retryPolicy = { maxRetries: 1, backoff: { type: 'fixed', delayMs: 0 } } as const;
      await refused(backend.failExecution({ ...failure, retryPolicy }), 'override_not_allowed');
      const outcome = await backend.failExecution({ ...failure, retryPolicy, source: 'operator_override' });
      assert.equal(outcome.kind, 'retry_scheduled');
      const detail = async () => (await backend.readExecutionInfo({ executionId }))?.failureDetail;
      assert.deepEqual(Uint8Array.from((await detail()) ?? []), bytes(0, 255, 10));
      await engine.advance(0);
      await backend.completeExecution({ executionId, fence: fenceOf(await take(engine)) });
      assert.equal(await detail(), undefined);
    },
  },
];
