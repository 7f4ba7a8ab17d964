/** The index of all ids of a partition: a list of small leaves, in order whatever the order in which ids come and go. */
import { Valkey } from 'iovalkey';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KEYS } from '../../lua/layout.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { sharedValkey } from '../support/valkey/index.js';

const PARTITION = '{fp:0}';
const PREFIX = `ids-${process.pid}:`;
const SIZE = 5_000;
const ROUNDS = 5;
/** The server keeps up to so many entries as one compact text. */
const MAX_LEAF = 128;

let engine: TestEngine;
let admin: Valkey;
beforeAll(async () => {
  const { url } = await sharedValkey();
  engine = await testEngine({ backend: { url }, prefix: PREFIX, retentionMs: 60_000 });
  admin = new Valkey(url);
});
afterAll(async () => {
  admin?.disconnect();
  await engine?.close();
});

const idOf = (number: number): string =>
  `${PARTITION}:00000000-0000-7000-8000-${(number * 65_537).toString(16).padStart(12, '0')}`;

/** All ids, page by page. */
async function listed(): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await engine.backend.listExecutions({ partition: PARTITION, limit: 333, cursor });
    ids.push(...page.executions);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return ids;
}

async function expectSmallLeaves(): Promise<number> {
  const start = `${PREFIX}${PARTITION}:`;
  const names = await admin.zrange(start + KEYS.ids, 0, -1);
  let entries = 0;
  for (const name of names) {
    const key = start + KEYS.leaf + name;
    const count = await admin.llen(key);
    expect(count).toBeGreaterThan(0);
    expect(count).toBeLessThanOrEqual(MAX_LEAF);
    expect(await admin.object('ENCODING', key)).toBe('listpack');
    entries += count;
  }
  expect((await admin.keys(`${start}${KEYS.leaf}*`)).length, 'leaves that nothing leads to').toBe(names.length);
  return entries;
}

async function purgeAll(ids: readonly string[]): Promise<void> {
  const { backend } = engine;
  for (let i = 0; i < ids.length; i += 500)
    await backend.execute(
      ids.slice(i, i + 500).map((executionId) => ({
        name: 'cancelExecution' as const,
        args: { executionId, reason: 'r', source: 'operator_override' as const },
      })),
    );
  engine.setTime(engine.now() + 180_000);
  for (let purged = -1; purged !== 0; ) {
    const due = await backend.applyDue({ partition: PARTITION, limit: 1_000 });
    if (due.kind !== 'applied') throw new Error(due.kind);
    ({ purged } = due);
  }
}

describe('new ids', () => {
  it.each([
    ['in order', (i: number) => i],
    ['in reverse', (i: number) => SIZE - 1 - i],
    ['in no order', (i: number) => (i * 7_919) % SIZE],
  ])('%s, while others are purged, are listed in order', async (_, place) => {
    await engine.clear();
    const present = new Set<string>();
    const each = SIZE / ROUNDS;
    for (let round = 0; round < ROUNDS; round++) {
      const fresh = Array.from({ length: each }, (__, i) => idOf(place(round * each + i)));
      for (let i = 0; i < each; i += 500)
        await engine.backend.execute(
          fresh.slice(i, i + 500).map((executionId) => ({
            name: 'createExecution' as const,
            args: { executionId, namespace: 'n', laneId: 'l', executionKind: 'k', creatorIdentity: 'c' },
          })),
        );
      for (const id of fresh) present.add(id);
      expect(await expectSmallLeaves()).toBe(present.size);
      // Two of seven, and in the middle a whole range, so that leaves become empty.
      const gone = [...present].filter((__, i) => i % 7 < 2 || (i > 300 && i < 700));
      await purgeAll(gone);
      for (const id of gone) present.delete(id);
      expect(await expectSmallLeaves()).toBe(present.size);
      expect(await listed()).toEqual([...present].sort());
    }
    expect(present.size).toBeGreaterThan(SIZE / 5);
    await purgeAll([...present]);
    expect(await admin.exists(`${PREFIX}${PARTITION}:${KEYS.ids}`)).toBe(0);
  });
});

describe('with a damaged index', () => {
  const create = (numbers: readonly number[]) =>
    engine.backend.execute(
      numbers.map((number) => ({
        name: 'createExecution' as const,
        args: { executionId: idOf(number), namespace: 'n', laneId: 'l', executionKind: 'k', creatorIdentity: 'c' },
      })),
    );
  const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);
  /** The library knows of the index what it finds in it from now on. */
  const loseAndReload = async (name: string): Promise<void> => {
    expect(await admin.del(`${PREFIX}${PARTITION}:${name}`)).toBe(1);
    const library = await admin.callBuffer('FUNCTION', 'DUMP');
    await admin.call('FUNCTION', 'RESTORE', library as Buffer, 'REPLACE');
  };

  it('a late id is entered in order although the last leaf is empty', async () => {
    await engine.clear();
    await create(range(10, 150));
    const [first = '', last = ''] = await admin.zrange(`${PREFIX}${PARTITION}:${KEYS.ids}`, 0, -1);
    const kept = await admin.llen(`${PREFIX}${PARTITION}:${KEYS.leaf}${first}`);
    await loseAndReload(KEYS.leaf + last);
    await create([500]);
    await create([1]);
    expect(await listed()).toEqual([1, ...range(10, kept), 500].map(idOf));
  });

  it('late ids are entered in order although the first leaf is missing from the index', async () => {
    await engine.clear();
    await create(range(10, 100));
    await loseAndReload(KEYS.ids);
    for (const number of [1, 2, 3]) await create([number]);
    expect(await listed()).toEqual([1, 2, 3, ...range(10, 100)].map(idOf));
  });
});
