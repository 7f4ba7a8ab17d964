/** Keys that executions hold: stored without an expiry, and removed with their execution. */
import { Valkey } from 'iovalkey';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { LIMITS } from '../../model/limits.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { sharedValkey } from '../support/valkey/index.js';

const PREFIX = `held-keys-${process.pid}:`;
const DAY_MS = 86_400_000;
let engine: TestEngine;
let admin: Valkey;

beforeEach(async () => {
  const { url } = await sharedValkey();
  engine = await testEngine({ backend: { url }, prefix: PREFIX });
  admin = new Valkey(url);
});
afterEach(async () => {
  await engine.close();
  await admin.quit();
});

const creation = (idempotencyKey: string, holdsKey: boolean) => ({
  ...{ executionId: engine.executionId(), namespace: 'n', laneId: 'lane', executionKind: 'k', creatorIdentity: 'test' },
  ...{ idempotencyKey, holdsKey, policy: { dedupWindowMs: 1_000 } },
});
const storedKeys = () => admin.keys(`${PREFIX}{fp:0}:idem:*`);

it('a purge removes the key that its execution holds, and not that of another execution', async () => {
  const { backend } = engine;
  for (const key of ['short', 'x'.repeat(LIMITS.maxIdempotencyKeyBytes)]) {
    const first = creation(key, true);
    await backend.createExecution(first);
    await backend.cancelExecution({ executionId: first.executionId, reason: 'r', source: 'operator_override' });
    await engine.advance(2 * DAY_MS);
    await backend.purgeExecution({ executionId: first.executionId });
    expect(await storedKeys()).toEqual([]);

    // A key that was forgotten, and is held by another execution since.
    const [loser, holder] = [creation(key, false), creation(key, true)];
    await backend.createExecution(loser);
    await engine.advance(1_000);
    expect(await backend.createExecution(holder)).toMatchObject({ kind: 'created' });
    for (const { executionId } of [loser, holder]) {
      expect(await storedKeys()).toHaveLength(1);
      await backend.cancelExecution({ executionId, reason: 'r', source: 'operator_override' });
      await engine.advance(2 * DAY_MS);
      await backend.purgeExecution({ executionId });
    }
    expect(await storedKeys()).toEqual([]);
  }
});

it('a damaged execution keeps its key', async () => {
  const { backend } = engine;
  const { executionId } = creation('k', true);
  await backend.createExecution({ ...creation('k', true), executionId });
  await engine.advance(DAY_MS);
  const record = `${PREFIX}${executionId}`;
  await admin.del(record);
  await admin.set(record, 'garbage');
  expect(await backend.createExecution(creation('k', true))).toMatchObject({ kind: 'duplicate', executionId });
  await admin.del(record);
});

it.each(['lost', 'garbled', 'of a wrong type'])(
  'verification rebuilds the entry of a held key that is %s',
  async (damage) => {
    const { backend } = engine;
    for (const key of ['short', 'x'.repeat(LIMITS.maxIdempotencyKeyBytes)]) {
      const first = creation(key, true);
      await backend.createExecution(first);
      const [name = ''] = await storedKeys();
      const before = await admin.get(name);
      await admin.del(name);
      if (damage === 'garbled') await admin.set(name, 'garbage');
      if (damage === 'of a wrong type') await admin.hset(name, 'a', 'b');
      const { findings } = await backend.verifyPartition({ partition: '{fp:0}' });
      expect(findings).toMatchObject([{ index: 'idempotency keys', problem: 'entries', count: 1 }]);
      expect(await admin.get(name)).toBe(before);
      await engine.advance(DAY_MS);
      expect(await backend.createExecution(creation(key, true))).toMatchObject({
        kind: 'duplicate',
        executionId: first.executionId,
      });
      expect((await backend.verifyPartition({ partition: '{fp:0}' })).findings).toEqual([]);
      await engine.clear();
    }
  },
);
