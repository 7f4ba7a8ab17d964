/**
 * Ruling 40 for kinds besides executions: any index of a flow, a budget, a worker, a signing key or a quota policy, and any
 * timer, may be lost, be of a wrong type or say something else; it is named, and made anew from the records.
 */
import { Valkey } from 'iovalkey';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isKnown } from '../../model/events.js';
import { KEYS, QUOTA_SUFFIXES, RECORDS, SUFFIXES } from '../../lua/layout.js';
import { fold } from '../../model/evolve.js';
import { ONE_OF_EACH } from '../../model/partition.js';
import { emptyState, live, type EntityKind } from '../../model/state.js';
import { readEvents } from '../../src/engine/log.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { shortIdOf } from '../../model/short-id.js';
import { executionOfKey, familyOf } from '../../src/valkey/verify/key-families.js';
import { sharedValkey } from '../support/valkey/index.js';

const PREFIX = `verify-kinds-${process.pid}:`;
let engine: TestEngine;
let admin: Valkey;
let minted = 0;
const uuid = (): string => `00000000-0000-4000-8000-${String(++minted).padStart(12, '0')}`;
const id = (): string => `{fp:0}:${uuid()}`;

beforeAll(async () => {
  const { url } = await sharedValkey();
  engine = await testEngine({ backend: { url }, prefix: PREFIX, partitions: ONE_OF_EACH });
  admin = new Valkey(url);
  await Promise.all([flows(), budgets(), workers(), quotas()]);
});
afterAll(async () => {
  admin?.disconnect();
  await engine?.close();
});

/** A flow in which some has ended, one whose members are to be forgotten, and a signing key besides. */
async function flows(): Promise<void> {
  const { backend } = engine;
  const [first, second, third, last] = [id(), id(), id(), id()] as [string, string, string, string];
  const edge = (from: string, to: string) => ({ edgeId: uuid(), upstreamExecutionId: from, downstreamExecutionId: to });
  const graph = {
    members: [first, second, third, last].map((executionId) => ({ executionId, laneId: 'flows', executionKind: 'k' })),
    edges: [edge(first, third), edge(second, third), edge(third, last)],
  };
  await backend.createFlow({ flowId: id(), flowKind: 'k', namespace: 'n', graph });
  await backend.cancelExecution({ executionId: first, reason: 'r', source: 'operator_override' });
  const [only, ended] = [id(), id()];
  const member = { executionId: only, laneId: 'flows', executionKind: 'k' };
  await backend.createFlow({
    flowId: ended,
    flowKind: 'k',
    namespace: 'n',
    closed: true,
    graph: { members: [member] },
  });
  await backend.cancelExecution({ executionId: only, reason: 'r', source: 'operator_override' });
  for (let i = 0; i < 5; i++) await backend.applyDue({ partition: '{fp:0}' });
  for (const newKid of ['one', 'two'])
    await backend.rotateWaitpointHmacSecret({
      partition: '{fp:0}',
      newKid,
      newSecret: new Uint8Array(32),
      graceMs: 60_000,
    });
}

async function budgets(): Promise<void> {
  const { backend } = engine;
  const budgetId = uuid();
  await backend.createBudget({
    ...{ budgetId, scopeType: 'tenant', scopeId: 'a'.repeat(200), resetIntervalMs: 60_000 },
    limits: { tokens: { hard: 100, soft: 50 } },
  });
  await backend.createBudget({ budgetId: uuid(), scopeType: 'tenant', scopeId: 'b', limits: { tokens: { hard: 1 } } });
  await backend.reserveBudget({ budgetId, reservationId: uuid(), amounts: { tokens: 5 }, ttlMs: 30_000 });
  await backend.recordSpend({ budgetId, executionId: id(), leaseEpoch: 1, deltas: { tokens: 3 } });
}

async function workers(): Promise<void> {
  for (const workerInstanceId of ['w-1', 'w-2']) {
    const offer = { lanes: ['l'], capabilities: ['gpu'], kinds: ['k'], slots: 1, livenessTtlMs: 30_000 };
    await engine.backend.registerWorker({ namespace: 'n', workerId: 'w', workerInstanceId, ...offer });
  }
}

async function quotas(): Promise<void> {
  const quotaPolicyId = uuid();
  const limits = { maxConcurrent: 2 };
  await engine.backend.createQuotaPolicy({ quotaPolicyId, ...limits });
  await engine.backend.checkAdmission({ quotaPolicyId, admissionIds: [uuid()], partition: '{fp:0}' });
}

const INDEXES = [
  'timers',
  'budgets',
  'workers',
  'flows',
  'members',
  'edges',
  'kids',
  'counts',
  'lanes',
  'shelf',
  'suspended',
  'queue',
];

async function indexesOf(partition: string): Promise<string[]> {
  const start = `${PREFIX}${partition}:`;
  const names = (await admin.keys(`${start}*`)).map((key) => key.slice(start.length));
  const leads = (name: string) =>
    executionOfKey(name, 'leading') !== undefined || executionOfKey(name, 'only') !== undefined;
  return names.filter((name) => INDEXES.includes(familyOf(name)?.family ?? '') || leads(name));
}

const DAMAGES: Readonly<Record<string, (key: string, type: string) => Promise<unknown>>> = {
  lost: (key) => admin.del(key),
  'of a wrong type': async (key) => {
    const type = await admin.type(key);
    await admin.del(key);
    await (type === 'string' ? admin.sadd(key, 'something else') : admin.set(key, 'something else'));
  },
  'without its first entry': async (key, type) => {
    if (type === 'zset') return admin.zpopmin(key);
    if (type === 'set') return admin.spop(key);
    if (type === 'string') return admin.set(key, ((await admin.get(key)) as string).slice(1));
    return admin.hdel(key, (await admin.hkeys(key))[0] as string);
  },
  'that says something else': async (key, type) => {
    // Lists by name are in the order of names alone.
    if (type === 'zset') return admin.zincrby(key, 7, (await admin.zrange(key, 0, 0))[0] as string);
    if (type === 'string') return admin.set(key, ((await admin.get(key)) as string).replace(/.$/, '_'));
    if (type === 'hash') return admin.hset(key, (await admin.hkeys(key))[0] as string, '77');
    return admin.srem(key, (await admin.smembers(key))[0] as string);
  },
};

describe.each(['{fp:0}', '{b:0}', '{w:n}', '{q:0}'])('in %s', (partition) => {
  test('any damaged index is named and rebuilt', async () => {
    const verify = () => engine.backend.verifyPartition({ partition });
    expect(await verify()).toMatchObject({ findings: [], setAside: [] });
    const before = await engine.canonicalState(partition);
    const names = await indexesOf(partition);
    expect(names.length).toBeGreaterThan(0);
    for (const [what, damage] of Object.entries(DAMAGES)) {
      for (const name of names) {
        const key = `${PREFIX}${partition}:${name}`;
        await damage(key, await admin.type(key));
        expect((await verify()).findings.length, `${name} ${what}`).toBeGreaterThan(0);
        expect(await engine.canonicalState(partition), `${name} ${what}`).toEqual(before);
      }
    }
    expect(await verify()).toMatchObject({ findings: [], setAside: [] });
  });
});

test('entries without a record are removed, in indexes and timers', async () => {
  const { backend } = engine;
  const strangers = [
    ['{b:0}', KEYS.budgets, 'nobody'],
    ['{b:0}', KEYS.timers, `budget:${uuid()}`],
    ['{w:n}', KEYS.workers, 'nobody'],
    ['{w:n}', KEYS.timers, 'worker:nobody'],
    ['{q:0}', KEYS.timers, `quota_policy:${uuid()}`],
    ['{fp:0}', KEYS.flows, 'A'.repeat(22)],
    ['{fp:0}', KEYS.timers, `walk:r${'A'.repeat(22)}`],
    ['{fp:0}', KEYS.timers, `admission:${'A'.repeat(22)}`],
  ] as const;
  for (const [partition, index, member] of strangers) {
    await admin.zadd(`${PREFIX}${partition}:${index}`, 0, member);
    const { findings } = await backend.verifyPartition({ partition });
    expect(findings, `${partition} ${member}`).toEqual([{ index, problem: 'entries', count: 1 }]);
  }
});

test('an unreadable record of another kind is set aside, and named', async () => {
  const start = `${PREFIX}{b:0}:${RECORDS.budget?.key ?? ''}`;
  const [key = ''] = (await admin.keys(`${start}*`)).filter((each) => !each.endsWith(SUFFIXES.details));
  const stored = await admin.hgetall(key);
  await admin.hset(key, RECORDS.budget?.fields['given'] ?? '', 'rubbish');
  const name = `budget:${key.slice(start.length)}`;
  expect((await engine.backend.verifyPartition({ partition: '{b:0}' })).setAside).toEqual([name]);
  expect((await engine.backend.listQuarantined({ partition: '{b:0}' })).entries).toMatchObject([{ name }]);
  await admin.hset(key, stored);
  await engine.backend.retryQuarantined({ partition: '{b:0}', name });
});

test.each(['', QUOTA_SUFFIXES.slots])(
  'a quota policy whose key %j cannot be read delays no other policy',
  async (suffix) => {
    const partition = '{q:0}';
    const verify = () => engine.backend.verifyPartition({ partition });
    const start = `${PREFIX}${partition}:${RECORDS.quota_policy?.key ?? ''}`;
    await engine.backend.createQuotaPolicy({ quotaPolicyId: uuid(), maxConcurrent: 2 });
    const [slots = ''] = await admin.keys(`${start}*${QUOTA_SUFFIXES.slots}`);
    const record = slots.slice(0, -QUOTA_SUFFIXES.slots.length);
    const before = await engine.canonicalState(partition);
    const kept = (await admin.dumpBuffer(record + suffix)) as Buffer;
    await admin.del(record + suffix);
    await admin.set(record + suffix, 'no hash');
    const name = `quota_policy:${record.slice(start.length)}`;
    expect((await verify()).setAside).toEqual([name]);
    await engine.backend.applyDue({ partition });
    await admin.del(record + suffix);
    await admin.restore(record + suffix, 0, kept);
    await engine.backend.retryQuarantined({ partition, name });
    await engine.backend.applyDue({ partition });
    expect(await verify()).toMatchObject({ findings: [], setAside: [] });
    expect(await engine.canonicalState(partition)).toEqual(before);
  },
);

/** Kinds whose records can be set aside, and where they are. */
const KINDS_SET_ASIDE = [
  ['{b:0}', 'reservation'],
  ['{b:0}', 'ledger'],
  ['{b:0}', 'budget'],
  ['{w:n}', 'worker'],
  ['{q:0}', 'quota_policy'],
  ['{fp:0}', 'signing_key'],
  ['{fp:0}', 'flow'],
] as const;

test.each(KINDS_SET_ASIDE)('in %s: a %s that is retried before its time is unchanged', async (partition, kind) => {
  const { backend } = engine;
  const start = `${PREFIX}${partition}:`;
  const keys = (await admin.keys(`${start}${RECORDS[kind]?.key ?? ''}*`)).filter(
    (key, _, all) => !all.some((other) => other !== key && key.startsWith(other)),
  );
  expect(keys.length).toBeGreaterThan(0);
  await backend.applyDue({ partition, limit: 100 });
  for (const key of keys) {
    const before = await engine.canonicalState(partition);
    const name = `${kind}:${key.slice(start.length + (RECORDS[kind]?.key ?? '').length)}`;
    await admin.hset(`${start}${KEYS.quarantine}`, name, '1\tby hand');
    expect(await backend.retryQuarantined({ partition, name })).toMatchObject({ kind: 'retried' });
    for (let pass = 0; pass < 3; pass++) await backend.applyDue({ partition, limit: 100 });
    expect((await backend.listQuarantined({ partition })).entries).toEqual([]);
    expect(await engine.canonicalState(partition), name).toEqual(before);
  }
});

test('a void admission that is retried before its time is kept until then', async () => {
  const { backend } = engine;
  const admissionId = uuid();
  await backend.voidAdmission({ partition: '{fp:0}', admissionId });
  const before = await engine.canonicalState('{fp:0}');
  const name = `admission:${shortIdOf(admissionId)}`;
  await admin.hset(`${PREFIX}{fp:0}:${KEYS.quarantine}`, name, '1\tby hand');
  await backend.retryQuarantined({ partition: '{fp:0}', name });
  await backend.applyDue({ partition: '{fp:0}', limit: 100 });
  expect(await engine.canonicalState('{fp:0}')).toEqual(before);
});

test.each(KINDS_SET_ASIDE)('in %s: a dropped %s leaves nothing behind, and is logged', async (partition, kind) => {
  const { backend } = engine;
  const { key: start = '', fields = {} } = RECORDS[kind] ?? {};
  const before = `${PREFIX}${partition}:`;
  const length = (name: string): number => name.slice(before.length + start.length).length;
  const names = await admin.keys(`${before}${start}*`);
  const key = names.sort((a, b) => length(a) - length(b) || a.localeCompare(b))[0] ?? '';
  const name = `${kind}:${key.slice(before.length + start.length)}`;
  await backend.verifyPartition({ partition });
  await admin.hset(key, Object.values(fields)[0] as string, 'rubbish');
  // What is found by looking, and what only due work meets.
  await admin.hset(`${before}${KEYS.quarantine}`, name, '1\tby hand');
  const dropped = await backend.dropQuarantined({ partition, name, reason: 'lost', requestedBy: 'ann' });
  expect({ ...dropped }).toEqual({ kind: 'dropped' });
  expect((await backend.listQuarantined({ partition })).entries).toEqual([]);
  expect(await backend.verifyPartition({ partition })).toMatchObject({ findings: [], setAside: [] });
  const after = await engine.canonicalState(partition);
  expect(after.strays).toEqual([]);
  expect(await admin.exists(key)).toBe(0);
  const folded = emptyState();
  let last: object | undefined;
  for await (const entry of readEvents(backend, { partition })) {
    if (isKnown(entry)) fold(folded, entry.event);
    last = entry.event;
  }
  expect(last).toMatchObject({ type: 'record_dropped', droppedKind: kind, requestedBy: 'ann', dropReason: 'lost' });
  for (const [table, entities] of Object.entries(after.tables) as [EntityKind, readonly object[]][])
    expect(live(table, folded, engine.now()).size, table).toBe(entities.length);
});

test('a flow of many members is dropped in parts', async () => {
  const { backend } = engine;
  const flowId = id();
  const members = Array.from({ length: 130 }, () => ({ executionId: id(), laneId: 'large', executionKind: 'k' }));
  await backend.createFlow({ flowId, flowKind: 'k', namespace: 'n', graph: { members, edges: [] } });
  const start = `${PREFIX}{fp:0}:`;
  const name = `flow:${shortIdOf(flowId.slice(-36))}`;
  await admin.del(`${start}${name}`);
  await admin.hset(`${start}${KEYS.quarantine}`, name, '1\tby hand');
  const drop = () => backend.dropQuarantined({ partition: '{fp:0}', name });
  expect({ ...(await drop()) }).toEqual({ kind: 'dropped_in_part', left: 30 });
  expect({ ...(await drop()) }).toEqual({ kind: 'dropped' });
  expect({ ...(await drop()) }).toEqual({ kind: 'already_satisfied', reason: 'not_quarantined' });
  const { strays, ids, queues } = await engine.canonicalState('{fp:0}');
  expect([strays, ids.filter((each) => members.some(({ executionId }) => executionId === each)), queues]).toEqual([
    [],
    [],
    {},
  ]);
});
