/**
 * One call reads a record as the one before was, and decides what is like the one before as that was decided. What differs
 * in one fact is read and decided by itself.
 */
import { Valkey } from 'iovalkey';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FIELDS, KEYS, TIMER_KINDS } from '../../lua/layout.js';
import { memberOf } from '../../model/ids.js';
import { RETURN_GRACE_MS } from '../../model/limits.js';
import type { ArgsOf, Command } from '../../model/machine.js';
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import { shortIdOf } from '../../model/short-id.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { sharedValkey } from '../support/valkey/index.js';

const PARTITION = '{fp:0}';
const PREFIX = `alike-${process.pid}:`;

let engine: TestEngine;
let admin: Valkey;
beforeAll(async () => {
  const { url } = await sharedValkey();
  admin = new Valkey(url);
  engine = await testEngine({ backend: { url }, prefix: PREFIX, retentionMs: 3_600_000 });
});
afterAll(async () => {
  admin?.disconnect();
  await engine?.close();
});
beforeEach(() => engine.clear());

type Given = Partial<ArgsOf<'createExecution'>>;

const slowly = (attemptTimeoutMs: number): Given => ({ policy: { timeoutPolicy: { attemptTimeoutMs } } });

/** Creates one execution for each; they are claimed in their order. */
async function create(each: readonly Given[]): Promise<string[]> {
  const ids: string[] = [];
  for (const more of each) {
    const executionId = engine.executionId();
    const given = { namespace: 'n', laneId: 'l', executionKind: 'k', creatorIdentity: 'c' };
    await engine.backend.createExecution({ executionId, ...given, ...more });
    ids.push(executionId);
    engine.setTime(engine.now() + 1);
  }
  return ids;
}

async function claimAll(): Promise<readonly ClaimedExecution[]> {
  const outcome = await engine.backend.claimForWorker({
    partition: PARTITION,
    laneId: 'l',
    kinds: ['k'],
    workerId: 'w',
    workerInstanceId: 'w-1',
    claims: Array.from({ length: 10 }, () => ({ leaseId: engine.uuid(), attemptId: engine.uuid() })),
  });
  return outcome.kind === 'claimed' ? outcome.executions : [];
}

const complete = (executions: readonly ClaimedExecution[], resultPayload?: Uint8Array) =>
  engine.backend.execute(
    executions.map(
      ({ executionId, leaseId, leaseEpoch, attemptId }): Command => ({
        name: 'completeExecution',
        args: { executionId, fence: { leaseId, leaseEpoch, attemptId }, resultPayload },
      }),
    ),
  );

const infoOf = (executionId: string) => engine.backend.readExecutionInfo({ executionId });
const coreOf = (executionId: string) => `${PREFIX}${PARTITION}:${memberOf(executionId)}`;

describe('work of one claim', () => {
  it('has the times of its own rules, and the answer has the earliest', async () => {
    const ids = await create([
      slowly(9_000),
      {},
      slowly(2_000),
      slowly(60_000),
      { tags: { 'a.b': 'c' } },
      slowly(2_000),
    ]);
    const start = engine.now();
    const claimed = await claimAll();
    expect(claimed.map(({ executionId }) => executionId)).toEqual(ids);
    expect(claimed.map(({ attemptTimeoutAt }) => (attemptTimeoutAt ?? start) - start)).toEqual([
      9_000, 0, 2_000, 60_000, 0, 2_000,
    ]);
    await engine.advance(2_000);
    const states = await Promise.all(ids.map(infoOf));
    expect(states.map((info) => info?.stateVector.publicState)).toEqual([
      'active',
      'active',
      'expired',
      'active',
      'active',
      'expired',
    ]);
  });

  it('is completed with the retention of its own rules, and no attempt times out afterwards', async () => {
    const ids = await create([
      slowly(5_000),
      { policy: { timeoutPolicy: { attemptTimeoutMs: 5_000 }, streamPolicy: { retentionTtlMs: 120_000 } } },
      slowly(5_000),
    ]);
    for (const result of await complete(await claimAll(), Buffer.from('done'))) expect(result.ok).toBe(true);
    await engine.advance(300_000);
    const [first, second, third] = await Promise.all(ids.map(infoOf));
    expect([first?.stateVector.publicState, second, third?.stateVector.publicState]).toEqual([
      'completed',
      undefined,
      'completed',
    ]);
    const result = await engine.backend.getExecutionResult({ executionId: ids[0] as string });
    expect(Buffer.from(result ?? []).toString()).toBe('done');
  });

  it.each(['rules', 'tags'] as const)('is claimed except for an execution that has lost its %s', async (lost) => {
    const given = { ...slowly(5_000), tags: { 'a.b': 'c' } };
    const ids = await create([given, given, given]);
    await admin.hdel(coreOf(ids[1] as string), FIELDS[lost]);
    const claimed = await claimAll();
    expect(claimed.map(({ executionId }) => executionId)).toEqual([ids[0], ids[2]]);
    const quarantined = await engine.backend.listQuarantined({ partition: PARTITION });
    expect(JSON.stringify(quarantined)).toContain(ids[1]);
  });

  it('is not affected by a broken candidate before it', async () => {
    // Plain work before it: its tables are used again.
    await create([{}, {}, {}]);
    await claimAll();
    const start = engine.now();
    const [broken, ...others] = Array.from({ length: 80 }, () => engine.executionId());
    const flowId = engine.executionId();
    const place = { laneId: 'l', executionKind: 'k' };
    await engine.backend.createFlow({
      ...{ flowId, flowKind: 'f', namespace: 'n', creatorIdentity: 'c' },
      graph: {
        edges: [],
        members: [
          {
            ...{ executionId: broken as string, ...place, priority: 100 },
            executionDeadlineAt: start + 5_000,
            policy: { maxReclaimCount: 3 },
          },
          ...others.map((executionId) => ({ executionId, ...place })),
        ],
      },
    });
    const [healthy = ''] = await create([{ priority: 50, executionDeadlineAt: start + 900_000 }]);
    // A cancellation that has not come to the first member yet: the claim looks at how it would end, and meets its rules.
    await engine.backend.cancelFlowHeader({ flowId });
    await admin.hset(coreOf(broken as string), FIELDS.rules, 'unreadable');
    const claimed = await claimAll();
    expect(claimed.map(({ executionId }) => executionId)).toEqual([healthy]);
    const timer = `${TIMER_KINDS['execution'] ?? ''}${memberOf(healthy)}`;
    expect(await admin.zscore(`${PREFIX}${PARTITION}:${KEYS.timers}`, timer)).toBe(String(claimed[0]?.leaseExpiresAt));
  });

  it('is completed except for an execution that has lost its timing', async () => {
    const ids = await create([slowly(5_000), slowly(5_000), slowly(5_000)]);
    const claimed = await claimAll();
    await admin.hdel(coreOf(ids[1] as string), FIELDS.timing);
    const results = await complete(claimed);
    expect(results.map(({ ok }) => ok)).toEqual([true, false, true]);
  });
});

describe('work with needs of one call', () => {
  /** Those by which a worker with this capability is to be found. */
  const GPU = { routingRequirements: { requiredCapabilities: ['gpu'] } };

  it('returns only the admissions of its metered work on completion', async () => {
    const quotaPolicyId = engine.uuid();
    await engine.backend.createQuotaPolicy({ quotaPolicyId, maxConcurrent: 10 });
    const metered = { quotaPolicyIds: [quotaPolicyId] };
    await create([{ policy: metered }, { policy: GPU }, { policy: metered }, { policy: metered }]);
    const worker = { partition: PARTITION, laneId: 'l', kinds: ['k'], workerId: 'w', workerInstanceId: 'w-1' };
    const ids = (count: number) =>
      Array.from({ length: count }, () => ({ leaseId: engine.uuid(), attemptId: engine.uuid() }));
    const { heads } = await engine.backend.listMeteredHeads({ partition: PARTITION, laneIds: ['l'] });
    const bySet = await engine.backend.claimForWorker({ ...worker, meters: heads[0]?.meters, claims: ids(3) });
    const byNeeds = await engine.backend.claimForWorker({ ...worker, workerCapabilities: ['gpu'], claims: ids(1) });
    if (bySet.kind !== 'claimed' || byNeeds.kind !== 'claimed') throw new Error('Some work was not claimed.');
    const [first, second, third] = bySet.executions as [ClaimedExecution, ClaimedExecution, ClaimedExecution];
    // The admission knows the meters, so damage of the needs keeps no slot.
    await admin.hdel(coreOf(second.executionId), FIELDS.needs);
    for (const result of await complete([first, ...byNeeds.executions, second])) expect(result.ok).toBe(true);
    const holding = await admin.hgetall(`${PREFIX}${PARTITION}:${KEYS.admissions}`);
    const stateOf = ({ leaseId }: ClaimedExecution) => holding[shortIdOf(leaseId)]?.charAt(0);
    expect([first, second, third].map(stateOf)).toEqual(['r', 'r', 'b']);
    expect(Object.keys(holding)).toHaveLength(3);
    // The worker gives them back within a second; then the timer loop does.
    await engine.backend.settleAdmissions({ partition: PARTITION, admissionIds: [first.leaseId, third.leaseId] });
    const offered = async () => {
      const outcome = await engine.backend.applyDue({ partition: PARTITION });
      return outcome.kind === 'applied' ? outcome.deliveries.map(({ id, text }) => [id, text]) : undefined;
    };
    expect(await offered()).toEqual([]);
    engine.setTime(engine.now() + RETURN_GRACE_MS);
    expect(await offered()).toEqual([[shortIdOf(second.leaseId), heads[0]?.meters]]);
  });
});

/** What the record of an execution says of its policy and its needs. */
const saidOf = async (executionId: string) =>
  (await admin.hmget(coreOf(executionId), FIELDS.rules, FIELDS.needs)) as unknown;

describe('members that join a flow in one call', () => {
  const policies = [
    { maxReclaimCount: 1 },
    undefined,
    { maxReclaimCount: 7 },
    { maxReclaimCount: 1, routingRequirements: { requiredCapabilities: ['gpu'] } },
  ];

  it('keep their own rules and needs when they differ in nothing else', async () => {
    const members = policies.map((policy) => ({
      executionId: engine.executionId(),
      laneId: 'l',
      executionKind: 'k',
      policy,
    }));
    await engine.backend.createFlow({
      flowId: engine.executionId(),
      flowKind: 'f',
      namespace: 'n',
      creatorIdentity: 'c',
      graph: { members, edges: [] },
    });
    const alone = await create(policies.map((policy) => ({ policy })));
    const expected = await Promise.all(alone.map(saidOf));
    expect(await Promise.all(members.map(({ executionId }) => saidOf(executionId)))).toEqual(expected);
    expect(new Set(expected.map((said) => JSON.stringify(said))).size).toBe(policies.length);
  });
});
