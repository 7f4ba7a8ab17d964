/** Batches that are too much for one call, and callers whose commands are too much for a joined one. */
import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { EngineError } from '../../model/errors.js';
import { LIMITS, MAX_CALL_UNITS, SUSPENSION_UNITS } from '../../model/limits.js';
import type { Command, ParsedCommand } from '../../model/machine.js';
import type { CommandResult } from '../../src/backend/backend.js';
import { MAX_CALL_BYTES, MAX_CALL_TEXT } from '../../src/backend/joined-calls.js';
import type { Answer } from '../../src/valkey/wire/answers.js';
import { runInParts } from '../../src/valkey/calls/large-batches.js';
import { deployment } from '../support/valkey/deployment.js';

const creation = (bytes: number): ParsedCommand =>
  ({ name: 'createExecution', args: { inputPayload: { byteLength: bytes } } }) as unknown as ParsedCommand;
const sizeOf = ({ args }: ParsedCommand): number =>
  (args as unknown as { inputPayload: { byteLength: number } }).inputPayload.byteLength;
const HALF = MAX_CALL_BYTES / 2;

/** The sizes in each call, and the answers; call number `failing` fails. */
async function played(sizes: readonly number[], failing?: number) {
  const calls: number[][] = [];
  const answers = await runInParts(sizes.map(creation), async (part) => {
    calls.push(part.map(sizeOf));
    if (calls.length === failing) throw new EngineError('call_timeout', 'late');
    return part.map((command): Answer => ({ ok: true, outcome: sizeOf(command) as never }));
  });
  return { calls, answers: answers.map((answer) => (answer.ok ? answer.outcome : 'fault')) };
}

it('a large batch runs in several calls in order, none above its limit', async () => {
  const sizes = [1, HALF, HALF, 1, MAX_CALL_BYTES, 2];
  const { calls, answers } = await played(sizes);
  expect(calls).toEqual([[1, HALF], [HALF, 1], [MAX_CALL_BYTES], [2]]);
  expect(answers).toEqual(sizes);
});

it('a batch runs in one call when it fits', async () => {
  expect((await played([HALF, HALF])).calls).toEqual([[HALF, HALF]]);
});

it('a batch stops at a failed call, and its earlier answers remain', async () => {
  const { calls, answers } = await played([HALF, HALF, HALF, 1, HALF], 2);
  expect(calls).toHaveLength(2);
  expect(answers).toEqual([HALF, HALF, 'fault', 'fault', 'fault']);
  await expect(played([HALF, HALF, 1], 1)).rejects.toMatchObject({ code: 'call_timeout' });
});

const P = '{fp:0}';
const deployed = deployment();
const created = (facts: object = {}): Extract<Command, { name: 'createExecution' }> => ({
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
const claim = (count: number): Extract<Command, { name: 'claimForWorker' }> => ({
  name: 'claimForWorker',
  args: {
    partition: P,
    laneId: 'l',
    workerId: 'w',
    workerInstanceId: 'w1',
    claims: Array.from({ length: count }, () => ({ leaseId: randomUUID(), attemptId: randomUUID() })),
  },
});
const times = <Item>(count: number, make: () => Item): Item[] => Array.from({ length: count }, make);
const claimedIn = (results: readonly CommandResult<'claimForWorker'>[]): number =>
  results.reduce(
    (sum, result) => sum + (result.ok && result.outcome.kind === 'claimed' ? result.outcome.executions.length : 0),
    0,
  );

/** The answer, and how many function calls it took. */
async function counted<Answer>(run: () => Promise<Answer>): Promise<{ answer: Answer; calls: number }> {
  const calls = async (): Promise<number> =>
    Number(/cmdstat_fcall:calls=(\d+)/.exec(await deployed.admin.info('commandstats'))?.[1] ?? 0);
  const before = await calls();
  const answer = await run();
  return { answer, calls: (await calls()) - before };
}

it('no call creates or claims more than its limit, whatever the batch', async () => {
  const { backend } = deployed;
  const creations = await counted(() => backend.execute(times(LIMITS.maxBatchCommands, () => created())));
  expect(creations.calls).toBe(LIMITS.maxBatchCommands / MAX_CALL_UNITS);
  expect(creations.answer.every(({ ok }) => ok)).toBe(true);
  const claims = await counted(() => backend.execute(times(10, () => claim(LIMITS.maxClaimCount))));
  expect(claims.calls).toBe(10 / Math.floor(MAX_CALL_UNITS / LIMITS.maxClaimCount));
  expect(claimedIn(claims.answer)).toBe(10 * LIMITS.maxClaimCount);
});

it('the claims of many callers are joined only within the limit of a call', async () => {
  await deployed.backend.execute(times(600, () => created()));
  const { answer, calls } = await counted(() =>
    Promise.all(times(6, () => deployed.backend.execute([claim(LIMITS.maxClaimCount)]))),
  );
  expect(claimedIn(answer.flat())).toBe(6 * LIMITS.maxClaimCount);
  expect(calls).toBe(6 / Math.floor(MAX_CALL_UNITS / LIMITS.maxClaimCount));
});

it('texts count like payloads: the tags of many creations are not one call', async () => {
  const tags = Object.fromEntries(times(64, randomUUID).map((_, index) => [`a.t${index}`, 'v'.repeat(1_024)]));
  const each = 64 * 1_024;
  const batch = await counted(() => deployed.backend.execute(times(12, () => created({ tags }))));
  expect(batch.calls).toBeGreaterThanOrEqual((12 * each) / MAX_CALL_TEXT);
  const joined = await counted(() =>
    Promise.all(times(12, () => deployed.backend.createExecution(created({ tags }).args))),
  );
  expect(joined.calls).toBeGreaterThanOrEqual((12 * each) / MAX_CALL_TEXT);
});

it('waitpoints count: suspensions at many of them are not one call', async () => {
  const waitpoints = times(LIMITS.maxWaitpoints, randomUUID).map((waitpointId, index) => ({
    ...{ waitpointId, waitpointKey: `k${index}` },
  }));
  const suspension = () => ({
    name: 'suspendExecution' as const,
    args: {
      ...{ executionId: `${P}:${randomUUID()}`, suspensionId: randomUUID(), waitpoints },
      fence: { leaseId: randomUUID(), leaseEpoch: 1, attemptId: randomUUID() },
      resumeCondition: {
        ...{ type: 'count' as const, n: 1, countKind: 'distinct_waitpoints' as const },
        waitpoints: waitpoints.map(({ waitpointKey }) => waitpointKey),
      },
    },
  });
  const { calls, answer } = await counted(() => deployed.backend.execute(times(12, suspension)));
  expect(answer.every((it) => !it.ok && it.error.code === 'execution_not_found')).toBe(true);
  expect(calls).toBe(12 / Math.floor(MAX_CALL_UNITS / LIMITS.maxWaitpoints));
});

/** Executions that are suspended at so many waitpoints, of which each resumes them. */
async function suspended(count: number, size: number) {
  await deployed.backend.execute(times(count, () => created()));
  const [claimed] = await deployed.backend.execute([claim(count)]);
  if (claimed?.ok !== true || claimed.outcome.kind !== 'claimed') return expect.fail('nothing was claimed');
  return Promise.all(
    claimed.outcome.executions.map(async ({ executionId, leaseId, leaseEpoch, attemptId }) => {
      const waitpoints = times(size, randomUUID).map((waitpointId, n) => ({ waitpointId, waitpointKey: `k${n}` }));
      await deployed.backend.suspendExecution({
        ...{ executionId, suspensionId: randomUUID(), waitpoints },
        fence: { leaseId, leaseEpoch, attemptId },
        resumeCondition: {
          ...{ type: 'count', n: 1, countKind: 'distinct_waitpoints' },
          waitpoints: waitpoints.map(({ waitpointKey }) => waitpointKey),
        },
      });
      return executionId;
    }),
  );
}

it('waitpoints that commands close count: cancellations of suspended executions are not one call', async () => {
  const waiting = await suspended(12, LIMITS.maxWaitpoints);
  const cancels = waiting.map((executionId) => ({
    name: 'cancelExecution' as const,
    args: { executionId, source: 'operator_override' as const, reason: 'no more' },
  }));
  const { calls, answer } = await counted(() => deployed.backend.execute(cancels));
  expect(answer.map((it) => it.ok && it.outcome.kind)).toEqual(times(12, () => 'cancelled'));
  expect(calls).toBe(12 / Math.ceil(MAX_CALL_UNITS / (LIMITS.maxWaitpoints + SUSPENSION_UNITS + 1)));
});
