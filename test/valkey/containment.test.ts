/** What one command meets does not become another's, although they travel in one call. */
import { randomBytes, randomUUID } from 'node:crypto';
import { Valkey } from 'iovalkey';
import { afterEach, expect, it, vi } from 'vitest';
import { COUNTED_FLOW, FIELDS, KEYS } from '../../lua/layout.js';
import { LIMITS } from '../../model/limits.js';
import type { Command } from '../../model/machine.js';
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import { meterSetOf, metersOf } from '../../model/metering/meters.js';
import { shortIdOf } from '../../model/short-id.js';
import { FETCHED_FROM_CLAIMS } from '../../src/valkey/bytes/payloads.js';
import { STAGED_FROM_BYTES } from '../../src/valkey/bytes/staging.js';
import { WakeListeners } from '../../src/backend/wake-listeners.js';
import { deployment } from '../support/valkey/deployment.js';

const P = '{fp:0}';
const queueKey = (laneId: string): string => `ff:${P}:${KEYS.queue}${laneId}\t\tk`;
const deployed = deployment(2);
afterEach(async () => {
  vi.restoreAllMocks();
  const keys = await deployed.admin.keys('ff:{*');
  if (keys.length > 0) await deployed.admin.del(...keys);
});

const creation = (
  facts: Partial<Extract<Command, { name: 'createExecution' }>['args']> = {},
): Extract<Command, { name: 'createExecution' }> => ({
  name: 'createExecution',
  args: {
    executionId: `${P}:${randomUUID()}`,
    namespace: 'n',
    laneId: 'l',
    executionKind: 'k',
    creatorIdentity: 'c',
    ...facts,
  },
});
const claim = (
  count: number,
  laneId = 'l',
  workerCapabilities: string[] = [],
): Extract<Command, { name: 'claimForWorker' }> => ({
  name: 'claimForWorker',
  args: {
    partition: P,
    laneId,
    workerId: 'w',
    workerInstanceId: 'w1',
    workerCapabilities,
    claims: Array.from({ length: count }, () => ({ leaseId: randomUUID(), attemptId: randomUUID() })),
  },
});
const claimed = async (count: number): Promise<readonly ClaimedExecution[]> => {
  const outcome = await deployed.backend.claimForWorker(claim(count).args);
  return outcome.kind === 'claimed' ? outcome.executions : [];
};
const fenceOf = ({ leaseId, leaseEpoch, attemptId }: ClaimedExecution) => ({ leaseId, leaseEpoch, attemptId });
const long = () => randomBytes(STAGED_FROM_BYTES);

it('a call with very many claims takes all executions that it answers', async () => {
  const batches = 42;
  for (let i = 0; i < 7; i++)
    await deployed.backend.execute(Array.from({ length: 6 * LIMITS.maxClaimCount }, () => creation()));
  const results = await deployed.backend.execute(Array.from({ length: batches }, () => claim(LIMITS.maxClaimCount)));
  const owned = results.flatMap((result) =>
    result.ok && result.outcome.kind === 'claimed' ? result.outcome.executions : [],
  );
  expect(new Set(owned.map(({ executionId }) => executionId)).size).toBe(batches * LIMITS.maxClaimCount);
  expect([await deployed.admin.zcard(`ff:${P}:timers`), await deployed.admin.zcard(queueKey('l'))]).toEqual([
    batches * LIMITS.maxClaimCount,
    0,
  ]);
});

it.each([1, 2, 20])('%d creations whose ids cannot be entered leave nothing behind', async (count) => {
  const { admin, backend } = deployed;
  // The leaf is known to the library from now on: a creation that is alone does not look at it before it writes.
  await backend.execute([creation()]);
  const before = await admin.keys('ff:{*');
  await admin.set(`ff:${P}:${KEYS.leaf}-`, 'none of ours');
  const results = await backend.execute(Array.from({ length: count }, () => creation()));
  expect(results.map((result) => (result.ok ? 'created' : (result.error as { code?: string }).code))).toEqual(
    results.map(() => 'corruption'),
  );
  expect((await admin.keys('ff:{*')).sort()).toEqual(before.sort());
  expect([await admin.zcard(queueKey('l')), await admin.xlen(`ff:${P}:${KEYS.log}`)]).toEqual([1, 1]);
});

it('a batch with the maximum number of commands, each of the largest size, reaches the server', async () => {
  const results = await deployed.backend.execute(
    Array.from({ length: LIMITS.maxBatchCommands }, () => claim(LIMITS.maxClaimCount)),
  );
  expect(results.every((result) => result.ok && result.outcome.kind === 'no_work')).toBe(true);
});

it('an index of a wrong type blocks its own entries, and sets none of them aside', async () => {
  const { admin, backend } = deployed;
  const delayed = creation();
  await backend.createExecution({ ...delayed.args, delayUntil: (await backend.serverTime()) + 250 });
  await admin.set(queueKey('l'), 'none of ours');
  await new Promise((resolve) => setTimeout(resolve, 260));
  const due = () => backend.applyDue({ partition: P, jitter: 0 });
  await expect(due()).rejects.toMatchObject({ code: 'corruption' });
  expect((await backend.listQuarantined({ partition: P })).entries).toEqual([]);
  await admin.del(queueKey('l'));
  await due();
  expect(await backend.readExecutionState({ executionId: delayed.args.executionId })).toBe('waiting');
  expect(await claimed(1)).toHaveLength(1);
});

it('an error in one command fails that command only, and the writes before it are completed', async () => {
  await deployed.backend.createExecution(creation().args);
  // What a claim reads that does not say which kinds it takes.
  await deployed.admin.set(`ff:${P}:queues:l`, 'no set');
  const [first, second, third] = await deployed.backend.execute([
    { name: 'claimForWorker', args: { ...claim(1).args, kinds: ['k'] } },
    claim(1, 'l', ['gpu']),
    creation({ laneId: 'm' }),
  ]);
  expect([first?.ok, second?.ok, third?.ok]).toEqual([true, false, true]);
  expect(!second?.ok && second?.error).toMatchObject({ code: 'corruption' });
  expect([
    await deployed.admin.zcard(`ff:${P}:timers`),
    await deployed.admin.zcard(queueKey('l')),
    await deployed.admin.zcard(queueKey('m')),
  ]).toEqual([1, 0, 1]);
});

it('a completion of work that another worker owns is refused among equal ones', async () => {
  await deployed.backend.execute(Array.from({ length: 4 }, () => creation()));
  const owned = await claimed(4);
  const [first, , third] = owned as [ClaimedExecution, ClaimedExecution, ClaimedExecution];
  const results = await deployed.backend.execute(
    owned.map((one) => ({
      name: 'completeExecution' as const,
      args: { executionId: one.executionId, fence: fenceOf(one === third ? first : one), attemptIndex: 0 },
    })),
  );
  expect(results.map((result) => (result.ok ? result.outcome.kind : result.error.code))).toEqual([
    'completed',
    'completed',
    'stale_lease',
    'completed',
  ]);
});

it('a completion without a fence is refused among equal ones, although its record has lost its fence and owner', async () => {
  const { admin, backend } = deployed;
  await backend.execute([creation(), creation()]);
  const [first, second] = (await claimed(2)) as [ClaimedExecution, ClaimedExecution];
  for (const { executionId } of [first, second]) {
    const core = `ff:${P}:${shortIdOf(executionId.slice(P.length + 1))}`;
    const life = (await admin.hget(core, FIELDS.life)) ?? '';
    // The count of attempts: one that never was claimed owes no fence.
    const never = life.split('\t').with(5, '').join('\t');
    expect([life.length - never.length, life.split('\t')[5]]).toEqual([1, '1']);
    await admin.hset(core, FIELDS.life, never);
    if (executionId === second.executionId) await admin.hdel(core, FIELDS.fence);
  }
  const results = await backend.execute([
    { name: 'completeExecution', args: { executionId: first.executionId, fence: fenceOf(first) } },
    { name: 'completeExecution', args: { executionId: second.executionId } },
  ]);
  expect(results.map((result) => (result.ok ? result.outcome.kind : result.error.code))).toEqual([
    'completed',
    'fence_required',
  ]);
});

it('a remembered budget is checked again in each call', async () => {
  const { admin, backend } = deployed;
  const budgetId = randomUUID();
  await backend.createBudget({ budgetId });
  const report = () => backend.reportUsageAdmin({ budgetId, deltas: { tokens: 1 } });
  await report();
  await report();
  const [key = ''] = await admin.keys(`ff:*${budgetId}`);
  await admin.set(key, 'no hash');
  const log = `${key.slice(0, key.indexOf('}:') + 2)}${KEYS.log}`;
  const length = await admin.xlen(log);
  await expect(report()).rejects.toMatchObject({ code: 'corruption' });
  expect(await admin.xlen(log)).toBe(length);
});

it('a claim that breaks off does not affect the tables of later calls', async () => {
  const { admin, backend } = deployed;
  const [first, second] = [creation(), creation()].map(({ args }) => args.executionId) as [string, string];
  const flowId = `${P}:${randomUUID()}`;
  const members = [first, second].map((executionId) => ({ executionId, laneId: 'l', executionKind: 'k' }));
  const edges = [{ edgeId: randomUUID(), upstreamExecutionId: first, downstreamExecutionId: second }];
  await backend.createFlow({ flowId, flowKind: 'f', namespace: 'n', graph: { members, edges } });
  const [owned] = await claimed(1);
  // One that was lost too often is ended by the claim that meets it, and the numbers of its flow cannot be read.
  const lost = creation({ policy: { maxReclaimCount: 0 } });
  const other = `${P}:${randomUUID()}`;
  await backend.createFlow({ flowId: other, flowKind: 'f', namespace: 'n' });
  await backend.createExecution(lost.args);
  await backend.addExecutionToFlow({ flowId: other, executionId: lost.args.executionId });
  await claimed(1);
  await backend.revokeLease({ executionId: lost.args.executionId, reason: 'r' });
  await admin.set(`ff:${P}:${KEYS.counts}${COUNTED_FLOW}${shortIdOf(other.slice(P.length + 1))}`, 'no hash');
  await expect(claimed(1)).rejects.toMatchObject({ code: 'corruption' });
  await backend.completeExecution({ executionId: first, fence: fenceOf(owned as ClaimedExecution) });
  expect(await backend.readExecutionState({ executionId: second })).toBe('waiting');
});

it('a metered claim that breaks off leaves no admissions to another partition', async () => {
  const { admin, backend } = deployed;
  const policy = { quotaPolicyIds: [randomUUID()] };
  const meters = meterSetOf(metersOf(policy));
  const take = async (count: number, partition = P) => {
    const outcome = await backend.claimForWorker({ ...claim(count).args, partition, meters });
    return outcome.kind === 'claimed' ? outcome.executions : [];
  };
  // The claim takes one, and then meets one to end, which fails for the reason of the claim above.
  const [taken, lost] = [creation({ policy }).args, creation({ policy: { ...policy, maxReclaimCount: 0 } }).args];
  const flowId = `${P}:${randomUUID()}`;
  await backend.createFlow({ flowId, flowKind: 'f', namespace: 'n' });
  for (const args of [taken, lost]) await backend.createExecution(args);
  await backend.addExecutionToFlow({ flowId, executionId: lost.executionId });
  expect(await take(2)).toHaveLength(2);
  for (const { executionId } of [taken, lost]) {
    await backend.revokeLease({ executionId, reason: 'r' });
    // What lapsed earlier comes first.
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await admin.set(`ff:${P}:${KEYS.counts}${COUNTED_FLOW}${shortIdOf(flowId.slice(P.length + 1))}`, 'no hash');
  await expect(take(2)).rejects.toMatchObject({ code: 'corruption' });
  expect(await backend.readExecutionState({ executionId: taken.executionId })).toBe('active');
  const other = '{fp:1}';
  await backend.createExecution(creation({ policy, executionId: `${other}:${randomUUID()}` }).args);
  const [{ leaseId } = { leaseId: '' }] = await take(1, other);
  expect(await admin.hkeys(`ff:${other}:${KEYS.admissions}`)).toEqual([shortIdOf(leaseId)]);
});

it('slots returned by completions are visible to later commands of the call, and to due work', async () => {
  const { admin, backend } = deployed;
  const policy = { quotaPolicyIds: [randomUUID()] };
  for (let n = 0; n < 3; n++) await backend.createExecution(creation({ policy }).args);
  const outcome = await backend.claimForWorker({ ...claim(3).args, meters: meterSetOf(metersOf(policy)) });
  const taken = outcome.kind === 'claimed' ? outcome.executions : [];
  const complete = (execution: ClaimedExecution) => ({
    name: 'completeExecution' as const,
    args: { executionId: execution.executionId, fence: fenceOf(execution) },
  });
  const [one, two, three] = taken as [ClaimedExecution, ClaimedExecution, ClaimedExecution];
  const admissionIds = taken.map(({ leaseId }) => leaseId);
  const [, , settled] = await backend.execute([
    complete(one),
    complete(two),
    { name: 'settleAdmissions', args: { partition: P, admissionIds } },
    complete(three),
  ]);
  expect(settled).toMatchObject({ ok: true, outcome: { kind: 'settled', settled: 2 } });
  const left = shortIdOf(three.leaseId);
  expect(await admin.hgetall(`ff:${P}:${KEYS.admissions}`)).toEqual({ [left]: expect.stringMatching(/^r\t/) });
  expect(await admin.zrange(`ff:${P}:${KEYS.timers}`, 0, -1)).toEqual([`admission:${left}`]);
});

it('commands keep their order when the bytes beside their call did not arrive', async () => {
  const { args } = creation();
  await deployed.backend.createExecution(args);
  const [owner] = await claimed(1);
  vi.spyOn(Valkey.prototype, 'set').mockImplementation(() => Promise.resolve('OK'));
  const { executionId } = args;
  const [completed, cancelled] = await deployed.backend.execute([
    {
      name: 'completeExecution',
      args: { executionId, fence: fenceOf(owner as ClaimedExecution), resultPayload: long() },
    },
    { name: 'cancelExecution', args: { executionId, reason: 'r', source: 'operator_override' } },
  ]);
  expect([completed.ok, cancelled.ok]).toEqual([true, false]);
  const keyed = [creation({ idempotencyKey: 'k', inputPayload: long() }), creation({ idempotencyKey: 'k' })];
  const kinds = (await deployed.backend.execute(keyed)).map((result) => result.ok && result.outcome.kind);
  expect(kinds).toEqual(['created', 'duplicate']);
});

it('payloads lost with a connection are read again; if that fails, the claims come without them', async () => {
  const create = () =>
    Promise.all(
      Array.from({ length: FETCHED_FROM_CLAIMS }, () =>
        deployed.backend.createExecution(creation({ inputPayload: randomBytes(100) }).args),
      ),
    );
  const fetch = vi.spyOn(Valkey.prototype as unknown as { mgetBuffer(): Promise<never> }, 'mgetBuffer');
  await create();
  fetch.mockRejectedValueOnce(new Error('Connection is closed.'));
  expect(await claimed(FETCHED_FROM_CLAIMS)).toHaveLength(FETCHED_FROM_CLAIMS);

  await create();
  fetch.mockRejectedValueOnce(new Error("NOPERM User x has no permissions to run the 'mget' command"));
  const executions = await claimed(FETCHED_FROM_CLAIMS);
  expect(executions).toHaveLength(FETCHED_FROM_CLAIMS);
  for (const { executionId, inputPayload, payloadBytes } of executions) {
    expect([inputPayload, payloadBytes]).toEqual([undefined, 100]);
    const read = await deployed.backend.readExecutionContext({ executionId });
    expect(read.inputPayload.byteLength).toBe(100);
  }
});

it('a listener that throws is reported, and the other listeners are called', () => {
  const warn = vi.spyOn(process, 'emitWarning').mockReturnValue(undefined);
  const listeners = new WakeListeners();
  const heard = vi.fn();
  listeners.add(() => {
    throw new Error('mine');
  });
  listeners.add(heard);
  listeners.notify(() => ({
    kind: 'work',
    laneId: 'l',
    partition: P,
    executionKind: 'k',
    priority: 0,
    requiredCapabilities: [],
  }));
  expect(heard).toHaveBeenCalledTimes(1);
  expect(warn).toHaveBeenCalledWith(expect.stringContaining('mine'), expect.anything());
});
