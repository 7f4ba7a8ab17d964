/**
 * Ruling 40: indexes that are lost, of a wrong type or wrong are rebuilt from the records by explicit call. Any of them, and
 * all at once; while work goes on; and what cannot be read is set aside.
 */
import { Valkey } from 'iovalkey';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { FIELDS, KEYS, SHORT_SLOT } from '../../lua/layout.js';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { talliesByDefinition } from '../../model/schedule/counts.js';
import { canonicalCounts } from '../../src/testing/canonical/index.js';
import { familyOf } from '../../src/valkey/verify/key-families.js';
import { claimAll, coreOf, creation, keyOf, PARTITION, worldOfFile, type SmallWorld } from './small-world.js';

const worldNow = worldOfFile();
let world: SmallWorld;
let indexes: readonly string[];
beforeAll(async () => {
  world = worldNow();
  const { backend } = world.engine;
  await world.reset();
  // What is held stands on a shelf of its own.
  const waiting = world.inhabitants.find(({ situation }) => situation === 'ready');
  expect(waiting).toBeDefined();
  indexes = await indexNames();
  expect(await backend.verifyPartition({ partition: PARTITION })).toEqual(clean());
});

const clean = () => ({
  executions: world.inhabitants.length,
  findings: [],
  setAside: [],
  countsVerified: true,
});

async function indexNames(): Promise<string[]> {
  const names = (await world.admin.keys(keyOf('*'))).map((key) => key.slice(keyOf('').length));
  return names.filter((name) => {
    const family = familyOf(name)?.family;
    return family !== undefined && family !== 'log' && family !== 'header' && family !== 'quarantine';
  });
}

const state = () => world.engine.canonicalState(PARTITION);
const verify = () => world.engine.backend.verifyPartition({ partition: PARTITION });

const DAMAGES = {
  lost: async (name: string) => void (await world.admin.del(keyOf(name))),
  'of a wrong type': async (name: string) => {
    await world.admin.del(keyOf(name));
    await world.admin.set(keyOf(name), 'something else');
  },
};

/** Damages values, not the names that they stand under. Answers whether there were any. */
async function spoilValues(name: string): Promise<boolean> {
  const { admin } = world;
  const key = keyOf(name);
  const type = await admin.type(key);
  if (type === 'hash') for (const field of await admin.hkeys(key)) await admin.hset(key, field, 'something else');
  else if (type === 'zset') for (const member of await admin.zrange(key, 0, -1)) await admin.zadd(key, 1.5, member);
  return type === 'hash' || type === 'zset';
}

describe.each(Object.entries(DAMAGES))('an index that is %s', (_, spoil) => {
  test('is rebuilt and named', async () => {
    await world.reset();
    const before = await state();
    expect(indexes.length).toBeGreaterThan(15);
    for (const name of indexes) {
      await world.reset();
      await spoil(name);
      const { findings, countsVerified } = await verify();
      expect(findings.length, name).toBeGreaterThan(0);
      expect(countsVerified).toBe(true);
      expect(await state(), name).toEqual(before);
      expect(await verify(), name).toEqual(clean());
    }
  });

  test('is rebuilt together with all others', async () => {
    await world.reset();
    const before = await state();
    for (const name of indexes) await spoil(name);
    await verify();
    expect(await state()).toEqual(before);
    expect(await verify()).toEqual(clean());
  });
});

test('impossible values in an index are corrected, and named', async () => {
  await world.reset();
  const before = await state();
  let spoiled = 0;
  for (const name of indexes) {
    await world.reset();
    if (!(await spoilValues(name))) continue;
    spoiled++;
    expect((await verify()).findings.length, name).toBeGreaterThan(0);
    expect(await state(), name).toEqual(before);
  }
  expect(spoiled).toBeGreaterThan(3);
});

test('a count that is not an exact number is corrected, and found once', async () => {
  const key = keyOf(`${KEYS.counts}lane`);
  for (const spoilt of [
    '7',
    '-1',
    '9'.repeat(14),
    '9'.repeat(16),
    '9'.repeat(17),
    `-${'9'.repeat(18)}`,
    '9'.repeat(19),
    '9'.repeat(30),
    '1.5',
    '',
  ]) {
    await world.reset();
    const before = await state();
    await world.admin.hset(key, 'C', spoilt);
    expect((await verify()).findings, spoilt).toEqual([{ index: `${KEYS.counts}lane`, problem: 'entries', count: 1 }]);
    expect(await state(), spoilt).toEqual(before);
    expect(await verify(), spoilt).toEqual(clean());
  }
});

test('a timer that has an earlier time than its record lets nothing happen, and is set right', async () => {
  await world.reset();
  const { admin, engine } = world;
  const apply = () => engine.backend.applyDue({ partition: PARTITION });
  await apply();
  const before = await state();
  const timers = await admin.zrange(keyOf(KEYS.timers), 0, -1);
  expect(timers.length).toBeGreaterThan(3);
  for (const member of timers) await admin.zadd(keyOf(KEYS.timers), 5, member);
  await apply();
  expect(await state()).toEqual(before);
});

test('entries that belong to nothing are removed', async () => {
  await world.reset();
  const before = await state();
  const { admin } = world;
  const stranger = `${'A'.repeat(21)}-`;
  await admin.zadd(keyOf(KEYS.timers), 5, `execution:${stranger}`);
  await admin.zadd(keyOf(KEYS.suspended), 5, stranger);
  for (const name of indexes) {
    const family = familyOf(name)?.family;
    if (family === 'queue') await admin.zadd(keyOf(name), 5, stranger);
    if (family === 'leaf' || family === 'shelved') await admin.rpush(keyOf(name), stranger);
    if (family === 'queues') await admin.sadd(keyOf(name), 'no\tsuch queue');
    if (family === 'counts') await admin.hincrby(keyOf(name), 'r', 7);
    if (family === 'ids' || family === 'shelf') await admin.zadd(keyOf(name), 0, stranger);
  }
  await admin.zadd(keyOf(KEYS.retention), 9, '9');
  expect((await verify()).findings.length).toBeGreaterThan(5);
  expect(await state()).toEqual(before);
  expect(await verify()).toEqual(clean());
});

test('a log and a header of a wrong type are named, and work continues', async () => {
  for (const name of [KEYS.log, KEYS.header]) {
    await world.reset();
    await DAMAGES['of a wrong type'](name);
    expect((await verify()).findings).toContainEqual({ index: name, problem: 'wrong_type', count: 1 });
    expect(await world.engine.backend.createExecution(creation(world.engine))).toMatchObject({ kind: 'created' });
    expect(await world.engine.backend.claimForWorker(claimAll(world.engine))).toMatchObject({ kind: 'claimed' });
  }
});

test('unreadable records are set aside, and named', async () => {
  await world.reset();
  const [one] = world.inhabitants as [SmallWorld['inhabitants'][number]];
  await world.admin.hdel(coreOf(one), FIELDS.naming);
  expect((await verify()).setAside).toEqual([`execution:${one.executionId}`]);
  const { entries } = await world.engine.backend.listQuarantined({ partition: PARTITION });
  expect(entries.map(({ name }) => name)).toEqual([`execution:${one.executionId}`]);
});

test('a long slot is filled again, and counts are corrected while work continues', async () => {
  await world.reset();
  const { backend } = world.engine;
  const { admin } = world;
  const finish = async (count: number): Promise<void> => {
    await backend.execute(
      Array.from({ length: count }, () => ({
        name: 'createExecution' as const,
        args: creation(world.engine, { laneId: 'many', policy: undefined }),
      })),
    );
    const outcome = await backend.claimForWorker({ ...claimAll(world.engine, count), laneId: 'many' });
    if (outcome.kind !== 'claimed') return;
    for (const { executionId, leaseId, leaseEpoch, attemptId } of outcome.executions)
      await backend.completeExecution({ executionId, fence: { leaseId, leaseEpoch, attemptId } });
  };
  for (let i = 0; i < 4; i++) await finish(100);
  world.engine.setTime(world.engine.now() + 10);
  const before = await state();
  const slot = (await admin.keys(keyOf(`${KEYS.slot}*`))).toSorted();
  const lengths = await Promise.all(slot.map((key) => admin.llen(key)));
  expect(Math.max(...lengths)).toBeGreaterThan(SHORT_SLOT * 2);
  for (const key of slot) await admin.del(key);
  await verify();
  expect(await state()).toEqual(before);
  // What stands in it is not entered again.
  expect(await verify()).toMatchObject({ findings: [], countsVerified: true });
  expect(await state()).toEqual(before);
  await admin.hincrby(keyOf(`${KEYS.counts}many`), 'C', 5);
  await admin.hincrby(keyOf(`${KEYS.counts}lane`), 'F', -3);
  let busy = true;
  const work = (async () => {
    while (busy) await finish(7);
  })();
  const report = await verify();
  busy = false;
  await work;
  expect(report.countsVerified).toBe(true);
  const after = await state();
  expect(after.counts).toEqual(
    canonicalCounts(talliesByDefinition(after.tables.execution as readonly ReadonlyExecution[])),
  );
  expect(after.strays).toEqual([]);
});

/** Calls `before` when the counts are about to be compared for the first time. */
async function verifyWith(before: () => Promise<unknown>): Promise<Awaited<ReturnType<typeof verify>>> {
  const send = Valkey.prototype.sendCommand;
  let isCalled = false;
  const spy = vi.spyOn(Valkey.prototype, 'sendCommand').mockImplementation(function (this: Valkey, command, stream) {
    if (isCalled || (command as { argv?: unknown[] }).argv?.includes('recount') !== true)
      return send.call(this, command, stream);
    isCalled = true;
    return before().then(() => send.call(this, command, stream));
  });
  try {
    return await verify();
  } finally {
    spy.mockRestore();
  }
}

test.each(['', ', and has grown again'])('counts stay as they are when the log has lost its end%s', async (regrown) => {
  await world.reset();
  const before = await state();
  await world.engine.backend.createExecution(creation(world.engine));
  const report = await verifyWith(async () => {
    // Its replica had not got the creation, and was promoted.
    await world.reset();
    if (regrown === '') return;
    world.engine.setTime(world.engine.now() + 5);
    await world.engine.backend.createExecution(creation(world.engine));
  });
  expect(report.countsVerified).toBe(false);
  if (regrown === '') expect(await state()).toEqual(before);
  expect(await verify()).toMatchObject({ findings: [], countsVerified: true });
});

test('counts stay right when more changes during a verification than one recount reads', async () => {
  await world.reset();
  const { backend } = world.engine;
  const report = await verifyWith(async () => {
    const args = () => creation(world.engine, { laneId: 'busy', policy: undefined });
    const commands = Array.from({ length: 150 }, () => ({ name: 'createExecution' as const, args: args() }));
    await backend.execute(commands);
    await backend.claimForWorker({ ...claimAll(world.engine, 100), laneId: 'busy' });
  });
  expect(report).toMatchObject({ findings: [], countsVerified: true });
  const { counts, tables } = await state();
  expect(counts).toEqual(canonicalCounts(talliesByDefinition(tables.execution as readonly ReadonlyExecution[])));
  expect(await verify()).toMatchObject({ findings: [], countsVerified: true });
});
