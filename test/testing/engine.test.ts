import { Valkey } from 'iovalkey';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { testEngine } from '../../src/testing/index.js';
import { sharedValkey } from '../support/valkey/index.js';

it('the test engine refuses a start that is no time', async () => {
  await expect(testEngine({ startAt: NaN })).rejects.toMatchObject({ code: 'invalid_input' });
});

it.each([NaN, -1, 0.5, Infinity, '5', undefined])(
  'the test engine refuses to move its clock by, or to, %j',
  async (odd) => {
    const engine = await testEngine();
    const before = engine.now();
    const code = 'invalid_input';
    await expect(engine.advance(odd as never)).rejects.toMatchObject({ code });
    expect(() => engine.setTime(odd as never)).toThrow(expect.objectContaining({ code }));
    expect(engine.now()).toBe(before);
    await engine.close();
  },
);

it('advance counts every change that time brought, a suspension that timed out and a budget that was reset too', async () => {
  const engine = await testEngine();
  const { backend, uuid } = engine;
  const executionId = engine.executionId();
  const work = { namespace: 'n', laneId: 'l', executionKind: 'k', creatorIdentity: 'c' };
  await backend.createExecution({ executionId, ...work });
  const worker = { partition: '{fp:0}', laneId: 'l', workerId: 'w', workerInstanceId: 'w1' };
  const outcome = await backend.claimForWorker({ ...worker, claims: [{ leaseId: uuid(), attemptId: uuid() }] });
  if (outcome.kind !== 'claimed') throw new Error('nothing was claimed');
  const [{ leaseId, leaseEpoch, attemptId }] = outcome.executions as [(typeof outcome.executions)[number]];
  await backend.suspendExecution({
    ...{ executionId, fence: { leaseId, leaseEpoch, attemptId }, suspensionId: uuid() },
    waitpoints: [{ waitpointId: uuid(), waitpointKey: 'w' }],
    resumeCondition: { type: 'timeout_only' },
    timeoutAt: engine.now() + 1_000,
    timeoutBehavior: 'fail',
  });
  expect(await engine.advance(2_000)).toBe(1);
  const budget = { budgetId: uuid(), scopeType: 't', scopeId: 's', enforcementMode: 'strict' as const, limits: {} };
  await backend.createBudget({ ...budget, resetIntervalMs: 60_000 });
  expect(await engine.advance(60_000)).toBe(1);
  await engine.close();
});

const PREFIX = `test-engine-${process.pid}:`;

it.each(['memory', 'embedded', 'a folder', 'valkey'] as const)(
  'clear leaves nothing of what was stored, and close leaves nothing at all: %s',
  async (name) => {
    const { url } = await sharedValkey();
    const path = join(tmpdir(), `test-engine-${process.pid}`);
    const backend = name === 'a folder' ? { path } : name === 'valkey' ? { url } : name;
    const engine = await testEngine({ backend, prefix: PREFIX });
    const create = () =>
      engine.backend.createExecution({
        executionId: engine.executionId(),
        ...{ namespace: 'n', laneId: 'l', executionKind: 'k', creatorIdentity: 'c' },
      });
    const stored = async () => (await engine.backend.listExecutions({ partition: '{fp:0}' })).executions.length;
    await create();
    await engine.clear();
    expect(await stored()).toBe(0);
    await create();
    expect(await stored()).toBe(1);
    await engine.close();
    expect(existsSync(path)).toBe(false);
    const client = new Valkey(url);
    expect(await client.keys(`${PREFIX}*`)).toEqual([]);
    client.disconnect();
  },
);
