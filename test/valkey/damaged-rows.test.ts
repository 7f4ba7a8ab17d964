/** Lists leave out what is damaged, and list all that stands behind it. */
import { Valkey } from 'iovalkey';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FIELDS, RECORDS } from '../../lua/layout.js';
import { memberOf } from '../../model/ids.js';
import { ONE_OF_EACH } from '../../model/partition.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { sharedValkey } from '../support/valkey/index.js';

const PREFIX = `damaged-rows-${process.pid}:`;
const [PARTITION, BUDGETS] = ['{fp:0}', '{b:0}'];
const LEASE_TTL_MS = 1_000;
let engine: TestEngine;
let admin: Valkey;

beforeAll(async () => {
  const { url } = await sharedValkey();
  engine = await testEngine({ backend: { url }, prefix: PREFIX, partitions: ONE_OF_EACH });
  admin = new Valkey(url);
});
afterAll(async () => {
  admin?.disconnect();
  await engine?.close();
});

/** Ids of three of a kind, ascending, made one after another. */
async function three(make: () => Promise<string>): Promise<[string, string, string]> {
  const [first, second, third] = [await make(), await make(), await make()].sort();
  return [first, second, third] as [string, string, string];
}

/** All pages of a list, one row each. */
async function paged<Row>(
  read: (cursor: string | undefined) => Promise<{ rows: readonly Row[]; nextCursor: string | undefined }>,
): Promise<Row[]> {
  const all: Row[] = [];
  for (let cursor: string | undefined, hasMore = true; hasMore; hasMore = cursor !== undefined) {
    const page = await read(cursor);
    all.push(...page.rows);
    cursor = page.nextCursor;
  }
  return all;
}

/** Damages a key in one way after another, and puts it back each time. */
async function eachDamage(key: string, fields: readonly string[], look: (how: string) => Promise<void>): Promise<void> {
  const kept = (await admin.dumpBuffer(key)) as Buffer;
  const put = async (how: string, damage: () => Promise<unknown>): Promise<void> => {
    await damage();
    await look(how);
    await admin.restore(key, 0, kept, 'REPLACE');
  };
  await put('type', () => admin.del(key).then(() => admin.set(key, 'no hash')));
  for (const field of fields) {
    const value = (await admin.hget(key, field)) ?? '';
    await put(`${field}: other`, () => admin.hset(key, field, 'x\ty\tz'));
    // The library reads fewer of the values than the client.
    await put(`${field}: its end`, () => admin.hset(key, field, `${value.slice(0, -1)}!`));
  }
}

test('budgets', async () => {
  const { backend } = engine;
  const ids = await three(async () => {
    const budgetId = engine.uuid();
    await backend.createBudget({ budgetId, limits: { tokens: { hard: 5 } } });
    return budgetId;
  });
  const list = () =>
    paged(async (cursor) => {
      const { budgets, nextCursor } = await backend.listBudgets({ partition: BUDGETS, cursor, limit: 1 });
      return { rows: budgets.map(({ budgetId }) => budgetId), nextCursor };
    });
  expect(await list()).toEqual(ids);
  const key = `${PREFIX}${BUDGETS}:${RECORDS.budget?.key}${ids[1]}`;
  const { given = '', limits = '', usage = '', scopeId = '' } = RECORDS.budget?.fields ?? {};
  await eachDamage(key, [given, limits, usage], async (how) =>
    expect([how, await list()]).toEqual([how, [ids[0], ids[2]]]),
  );
  await admin.hdel(key, scopeId);
  expect(await list()).toEqual([ids[0], ids[2]]);
  const again = { budgetId: ids[1], limits: { tokens: { hard: 5 } } };
  await expect(backend.createBudget(again)).rejects.toMatchObject({ code: 'corruption' });
  await expect(backend.getBudgetStatus({ budgetId: ids[1] })).rejects.toMatchObject({ code: 'corruption' });
});

test('flows, in a list and in a snapshot', async () => {
  const { backend } = engine;
  const ids = await three(async () => {
    const flowId = engine.executionId();
    await backend.createFlow({ flowId, flowKind: 'f', namespace: 'n' });
    return flowId;
  });
  const list = () =>
    paged(async (cursor) => {
      const { flows, damaged, nextCursor } = await backend.listFlows({ partition: PARTITION, cursor, limit: 1 });
      expect(damaged).toEqual(flows.length === 0 ? [ids[1]] : []);
      return { rows: flows.map(({ flowId }) => flowId), nextCursor };
    });
  const snapshot = () =>
    paged(async (cursor) => {
      const { flows, nextCursor } = await backend.readSnapshot({ partition: PARTITION, cursor, limit: 1 });
      return { rows: flows.map(({ flow }) => `${PARTITION}:${flow}`), nextCursor };
    });
  expect([await list(), await snapshot()]).toEqual([ids, ids]);
  const key = `${PREFIX}${PARTITION}:${RECORDS.flow?.key}${memberOf(ids[1])}`;
  const { given = '', life = '', tags = '' } = RECORDS.flow?.fields ?? {};
  await eachDamage(key, [given, life, tags], async (how) => {
    const rest = [ids[0], ids[2]];
    expect([how, await list(), await snapshot()]).toEqual([how, rest, rest]);
    await expect(backend.describeFlow({ flowId: ids[1] })).rejects.toMatchObject({ code: 'corruption' });
  });
});

test('executions: all, those with a lapsed lease, and those of a queue', async () => {
  const { backend } = engine;
  const names = { namespace: 'n', laneId: 'lane', executionKind: 'k', creatorIdentity: 'c' };
  const ids = await three(async () => {
    const executionId = engine.executionId();
    await backend.createExecution({ executionId, ...names, tags: { 'a.b': 'c' } });
    return executionId;
  });
  const idsOf = (rows: readonly { readonly executionId: string }[]) =>
    rows.map(({ executionId }) => executionId).sort();
  const all = async () =>
    idsOf((await backend.listExecutionSummaries({ partition: PARTITION, laneId: 'lane', limit: 10 })).executions);
  const queued = async () =>
    idsOf((await backend.listQueued({ partition: PARTITION, laneId: 'lane', limit: 10 })).executions);
  const expired = async () => idsOf((await backend.listExpiredLeases({ partition: PARTITION, limit: 10 })).leases);
  const key = `${PREFIX}${PARTITION}:${memberOf(ids[1])}`;
  const rest = [ids[0], ids[2]];
  expect([await all(), await queued()]).toEqual([ids, ids]);
  await eachDamage(key, [FIELDS.given, FIELDS.tags], async (how) =>
    expect([how, await all(), await queued()]).toEqual([how, rest, rest]),
  );
  const worker = { workerId: 'w', workerInstanceId: 'w-1', leaseTtlMs: LEASE_TTL_MS };
  const claims = ids.map(() => ({ leaseId: engine.uuid(), attemptId: engine.uuid() }));
  await backend.claimForWorker({ partition: PARTITION, laneId: 'lane', ...worker, claims });
  engine.setTime(engine.now() + LEASE_TTL_MS + 1);
  expect(await expired()).toEqual(ids);
  await eachDamage(key, [FIELDS.fence], async (how) =>
    expect([how, await all(), await expired()]).toEqual([how, rest, rest]),
  );
});
