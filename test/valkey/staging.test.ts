/** Long payloads and results, which travel beside the calls that name them. */
import { randomBytes, randomUUID } from 'node:crypto';
import { Valkey } from 'iovalkey';
import { afterEach, expect, it, vi } from 'vitest';
import type { ClaimedExecution } from '../../model/schedule/claim.js';
import { FETCHED_FROM_CLAIMS } from '../../src/valkey/payloads.js';
import { STAGED_FROM_BYTES } from '../../src/valkey/staging.js';
import { deployment } from '../support/valkey/deployment.js';

const deployed = deployment();
afterEach(async () => {
  vi.restoreAllMocks();
  await deployed.admin.del(...(await deployed.admin.keys('ff:{*')));
});

const long = () => randomBytes(STAGED_FROM_BYTES);
const create = (inputPayload: Uint8Array, executionId = `{fp:0}:${randomUUID()}`) =>
  deployed.backend.createExecution({
    executionId,
    namespace: 'n',
    laneId: 'l',
    executionKind: 'k',
    creatorIdentity: 'c',
    inputPayload,
  });
const claim = async (count: number): Promise<readonly ClaimedExecution[]> => {
  const claims = Array.from({ length: count }, () => ({ leaseId: randomUUID(), attemptId: randomUUID() }));
  const outcome = await deployed.backend.claimForWorker({
    partition: '{fp:0}',
    laneId: 'l',
    workerId: 'w',
    workerInstanceId: 'w1',
    claims,
  });
  return outcome.kind === 'claimed' ? outcome.executions : [];
};
const complete = ({ executionId, leaseId, leaseEpoch, attemptId }: ClaimedExecution, resultPayload: Uint8Array) =>
  deployed.backend.completeExecution({ executionId, fence: { leaseId, leaseEpoch, attemptId }, resultPayload });
const payloadOf = async (executionId: string) =>
  (await deployed.backend.readExecutionContext({ executionId })).inputPayload;
/** Keys of executions by how they live: for ever, or for a while. */
const lives = async () => {
  const keys = (await deployed.admin.keys('ff:{fp:0}:*-*')).sort();
  return Promise.all(
    keys.map(async (key) => [key, (await deployed.admin.pttl(key)) > 0 ? 'for a while' : 'for ever'] as const),
  );
};

it('come back as they were, and stay', async () => {
  const [input, output] = [long(), long()];
  const { executionId } = await create(input);
  const [claimed] = await claim(1);
  expect(claimed?.inputPayload).toEqual(input);
  await complete(claimed as ClaimedExecution, output);
  expect(await payloadOf(executionId)).toEqual(input);
  expect(await deployed.backend.getExecutionResult({ executionId })).toEqual(output);
  expect(await lives()).toEqual([
    [`ff:${executionId}`, 'for ever'],
    [`ff:${executionId}:in`, 'for ever'],
    [`ff:${executionId}:out`, 'for ever'],
  ]);
});

it('come back for many claims at once, of every length, each to its own', async () => {
  const inputs = [long(), Buffer.alloc(0), randomBytes(100), long(), randomBytes(3)];
  const ids = (await Promise.all(inputs.map((input) => create(input)))).map(({ executionId }) => executionId);
  const claimed = await claim(FETCHED_FROM_CLAIMS);
  expect(new Map(claimed.map(({ executionId, inputPayload }) => [executionId, Buffer.from(inputPayload)]))).toEqual(
    new Map(ids.map((id, i) => [id, inputs[i]])),
  );
});

it('are sent with the command when they did not arrive beside it', async () => {
  const set = vi.spyOn(Valkey.prototype, 'set').mockImplementation(() => Promise.resolve('OK') as never);
  const [input, output] = [long(), long()];
  const { executionId } = await create(input);
  const [claimed] = await claim(1);
  await complete(claimed as ClaimedExecution, output);
  expect(set).toHaveBeenCalledTimes(2);
  expect(await payloadOf(executionId)).toEqual(input);
  expect(await deployed.backend.getExecutionResult({ executionId })).toEqual(output);
});

it('of a creation that is a duplicate replace nothing and leave nothing', async () => {
  const [first, second] = [long(), long()];
  const { executionId } = await create(first);
  expect((await create(second, executionId)).kind).toBe('duplicate');
  expect(await payloadOf(executionId)).toEqual(first);
  expect(await lives()).toEqual([
    [`ff:${executionId}`, 'for ever'],
    [`ff:${executionId}:in`, 'for ever'],
  ]);
});

it('of a completion that is refused leave nothing that stays', async () => {
  const { executionId } = await create(long());
  const [claimed] = await claim(1);
  await expect(complete({ ...(claimed as ClaimedExecution), leaseEpoch: 7 }, long())).rejects.toMatchObject({
    code: 'stale_lease',
  });
  const [core, input, staged, ...rest] = await lives();
  expect([core?.[1], input?.[1], staged?.[1], rest]).toEqual(['for ever', 'for ever', 'for a while', []]);
  expect(staged?.[0]).toMatch(`ff:${executionId}:out:`);
});

it('an execution whose payload something else deleted is handed to nobody', async () => {
  const [lost, kept] = [await create(long()), await create(long())];
  await deployed.admin.del(`ff:${lost.executionId}:in`);
  expect((await claim(FETCHED_FROM_CLAIMS)).map(({ executionId }) => executionId)).toEqual([kept.executionId]);
  const alone = await create(long());
  await deployed.admin.del(`ff:${alone.executionId}:in`);
  expect(await claim(1)).toEqual([]);
});
