/** Conformance of outside schedulers: grants, and claims with grants. */
import assert from 'node:assert/strict';
import { present } from '../../../model/core/present.js';
import { claimFromGrant, claimFromResumeGrant } from '../../engine/grants.js';
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
import type { TestEngine } from '../engine.js';

const WORKER = { workerId: 'worker', workerInstanceId: 'worker-1' } as const;
const GRANT_TTL_MS = 2_000;

const issue = (engine: TestEngine, executionId: string, facts: object = {}) =>
  engine.backend.issueClaimGrant({
    executionId,
    grantId: engine.uuid(),
    grantTtlMs: GRANT_TTL_MS,
    laneId: LANE,
    ...WORKER,
    ...facts,
  });

const scan = (engine: TestEngine, facts: object = {}): Promise<readonly string[]> =>
  engine.backend.scanEligibleExecutions({ partition: PARTITION, laneId: LANE, ...facts });

/** Large input that is stored apart from the facts of an execution. */
const LONG_INPUT = bytes(...Array.from({ length: 300 }, (_, i) => i % 256));

export const grantScenarios: readonly ConformanceScenario[] = [
  {
    name: 'granted work is hidden from scans, and can be claimed only by the worker of the grant',
    async run(engine) {
      const { backend } = engine;
      const executionId = await create(engine, { inputPayload: LONG_INPUT, payloadEncoding: 'raw', priority: 5 });
      const other = await create(engine);
      assert.deepEqual(await scan(engine), [executionId, other]);
      const grant = await issue(engine, executionId);
      assert.deepEqual([grant.claimKind, grant.laneId, grant.expiresAt], ['fresh', LANE, engine.now() + GRANT_TTL_MS]);
      assert.deepEqual(await scan(engine), [other]);
      assert.equal((await take(engine)).executionId, other);
      assert.equal((await claim(engine)).kind, 'no_work');
      await refused(issue(engine, executionId, { workerId: 'another' }), 'grant_already_exists');
      const { execution, handle } = await claimFromGrant(backend, { grant, ...WORKER, leaseTtlMs: TTL_MS });
      assert.deepEqual(
        [execution.claimKind, execution.attemptType, execution.leaseEpoch, execution.priority],
        ['fresh', 'initial', 1, 5],
      );
      assert.deepEqual([...(execution.inputPayload ?? [])], [...LONG_INPUT]);
      await backend.renewLease({ handle, leaseTtlMs: TTL_MS });
      await backend.completeExecution({ handle });
      assert.equal(await stateOf(engine, executionId), 'completed');
      const types = await eventTypes(engine);
      assert.equal(types.filter((type) => type === 'grant_issued').length, 1);
    },
  },
  {
    name: 'a claim by id and a claim of a lane can be one call, each with the input of its work',
    async run(engine) {
      const { backend } = engine;
      const executionId = await create(engine, { inputPayload: LONG_INPUT });
      const { grantId } = await issue(engine, executionId);
      const other = await create(engine);
      const ids = () => ({ leaseId: engine.uuid(), attemptId: engine.uuid() });
      const owner = { laneId: LANE, leaseTtlMs: TTL_MS, ...WORKER };
      const [byId, ofLane] = await backend.execute([
        { name: 'claimExecution', args: { executionId, grantId, ...owner, ...ids() } },
        { name: 'claimForWorker', args: { partition: PARTITION, ...owner, claims: [ids()] } },
      ] as const);
      assert.ok(byId.ok && ofLane.ok && ofLane.outcome.kind === 'claimed');
      assert.deepEqual([...(byId.outcome.inputPayload ?? [])], [...LONG_INPUT]);
      assert.equal(ofLane.outcome.executions[0]?.executionId, other);
    },
  },
  {
    name: 'an unused grant lapses, and the work returns to its place',
    async run(engine) {
      const executionId = await create(engine);
      engine.setTime(engine.now() + 5);
      const later = await create(engine);
      const grant = await issue(engine, executionId);
      await engine.advance(GRANT_TTL_MS);
      assert.deepEqual(await scan(engine), [later]);
      await engine.advance(1);
      assert.deepEqual(await scan(engine), [executionId, later]);
      await refused(claimFromGrant(engine.backend, { grant, ...WORKER }), 'invalid_claim_grant');
      assert.equal((await take(engine)).executionId, executionId);
      assert.ok((await eventTypes(engine)).includes('grant_lapsed'));
    },
  },
  {
    name: 'an interrupted attempt continues under a grant',
    async run(engine) {
      const { backend } = engine;
      const executionId = await create(engine);
      const first = await take(engine);
      await backend.releaseLease({ executionId, fence: fenceOf(first) });
      const grant = await issue(engine, executionId);
      assert.equal(grant.claimKind, 'resumed');
      const work = await claimFromResumeGrant(backend, { grant, ...WORKER });
      assert.deepEqual(
        [work?.execution.attemptId, work?.execution.attemptIndex, work?.execution.leaseEpoch],
        [first.attemptId, 0, 2],
      );
      await backend.cancelExecution({ handle: present(work?.handle), reason: 'enough' });
      assert.equal(await claimFromResumeGrant(backend, { grant, ...WORKER }), undefined);
    },
  },
  {
    name: 'a scheduler reclaims work of a lost owner in the step that records the loss',
    async run(engine) {
      const { backend } = engine;
      const executionId = await create(engine);
      const lost = await take(engine);
      const grantOf = () =>
        backend.issueReclaimGrant({ executionId, grantId: engine.uuid(), grantTtlMs: GRANT_TTL_MS, ...WORKER });
      assert.equal((await grantOf()).kind, 'not_reclaimable');
      engine.setTime(lost.leaseExpiresAt);
      const grant = await grantOf();
      assert.ok(grant.kind === 'granted');
      assert.deepEqual((await eventTypes(engine)).slice(-2), ['lease_expired', 'grant_issued']);
      assert.deepEqual(await scan(engine, { among: 'lost' }), []);
      const { execution, handle } = await claimFromGrant(backend, { grant, ...WORKER });
      assert.deepEqual(
        [execution.claimKind, execution.attemptType, execution.attemptIndex],
        ['reclaimed', 'reclaim', 1],
      );
      await refused(backend.completeExecution({ executionId, fence: fenceOf(lost) }), 'stale_lease');
      await backend.completeExecution({ handle });
      assert.equal(await stateOf(engine, executionId), 'completed');
    },
  },
  {
    name: 'an operator claims one execution, also during a delay',
    async run(engine) {
      const { backend } = engine;
      const executionId = await create(engine);
      const first = await take(engine);
      await backend.delayExecution({ executionId, fence: fenceOf(first), delayUntil: engine.now() + 60_000 });
      const taken = await backend.issueGrantAndClaim({
        executionId,
        leaseDurationMs: TTL_MS,
        leaseId: engine.uuid(),
        attemptId: engine.uuid(),
      });
      assert.deepEqual([taken.claimKind, taken.attemptId], ['resumed', first.attemptId]);
      assert.equal((await backend.readExecutionInfo({ executionId }))?.delayUntil, undefined);
      await backend.completeExecution({ executionId, fence: fenceOf(taken) });
    },
  },
];
