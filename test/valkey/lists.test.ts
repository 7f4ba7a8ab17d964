/** Lists of many executions: shelves stay compact and exact, a page looks at a bounded number, and cursors lead to the end. */
import { Valkey } from 'iovalkey';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KEYS, MAX_LEAF_IDS, MAX_LIVE, MAX_LOOKED_AT, MAX_SUSPENDED } from '../../lua/layout.js';
import type { ExecutionSummary } from '../../model/listing/list.js';
import type { ArgsOf, Command } from '../../model/machine.js';
import { newId } from '../../src/engine/index.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { sharedValkey } from '../support/valkey/index.js';

const PARTITION = '{fp:0}';
const PREFIX = `lists-${process.pid}:`;
const START = `${PREFIX}${PARTITION}:`;
const SIZE = 1_200;

let engine: TestEngine;
let admin: Valkey;
beforeAll(async () => {
  const { url } = await sharedValkey();
  engine = await testEngine({ backend: { url }, prefix: PREFIX, retentionMs: 60_000 });
  admin = new Valkey(url);
  const commands = Array.from({ length: SIZE }, (_, number) => creation(number));
  for (let i = 0; i < SIZE; i += 400) await engine.backend.execute(commands.slice(i, i + 400));
});
afterAll(async () => {
  admin?.disconnect();
  await engine?.close();
});

const idOf = (number: number): string =>
  `${PARTITION}:00000000-0000-7000-8000-${(number * 65_537).toString(16).padStart(12, '0')}`;
/** The lane `rare` has the oldest of all and nothing else. */
const laneOf = (number: number): string => (number === 0 ? 'rare' : number % 3 === 0 ? 'third' : 'rest');
const creation = (number: number): Command => ({
  name: 'createExecution',
  args: {
    executionId: idOf(number),
    namespace: 'n',
    laneId: laneOf(number),
    executionKind: 'k',
    creatorIdentity: 'c',
  },
});
const numbersBelow = (count: number): number[] => Array.from({ length: count }, (_, number) => number);

type Filter = Omit<ArgsOf<'listExecutionSummaries'>, 'partition' | 'cursor'>;

/** The whole list, page by page, and how many pages it took. */
async function whole(filter: Filter): Promise<{ rows: ExecutionSummary[]; pages: number }> {
  const rows: ExecutionSummary[] = [];
  let [pages, cursor] = [0, undefined as string | undefined];
  do {
    const page = await engine.backend.listExecutionSummaries({ partition: PARTITION, ...filter, cursor });
    rows.push(...page.executions);
    cursor = page.nextCursor;
    pages++;
  } while (cursor !== undefined);
  return { rows, pages };
}

const idsOf = (rows: readonly ExecutionSummary[]): string[] => rows.map(({ executionId }) => executionId);
const newestFirst = (numbers: readonly number[]): string[] => [...numbers].sort((a, b) => b - a).map(idOf);

describe('a list', () => {
  test('returns all matches, newest first, from every source', async () => {
    const third = numbersBelow(SIZE).filter((number) => laneOf(number) === 'third');
    expect(idsOf((await whole({ limit: 77 })).rows)).toEqual(newestFirst(numbersBelow(SIZE)));
    expect(idsOf((await whole({ laneId: 'third', limit: 7 })).rows)).toEqual(newestFirst(third));
    expect(idsOf((await whole({ laneId: 'third', publicState: 'waiting' })).rows)).toEqual(newestFirst(third));
    expect(idsOf((await whole({ publicState: 'waiting', limit: 200 })).rows)).toEqual(newestFirst(numbersBelow(SIZE)));
  });

  test('of rare matches consists of bounded pages that lead to them', async () => {
    const { rows, pages } = await whole({ laneId: 'rare' });
    expect(idsOf(rows)).toEqual([idOf(0)]);
    expect(pages).toBe(Math.ceil(SIZE / MAX_LOOKED_AT));
    // What waits in a lane is read off its queues.
    expect(await whole({ laneId: 'rare', publicState: 'waiting' })).toMatchObject({
      pages: 1,
      rows: [{ priority: 0 }],
    });
  });

  test('of a shelf is compact and exact, in any order of changes', async () => {
    const { backend } = engine;
    // 7 and the number of executions have no common divisor: every one comes, and no two neighbours together.
    const order = numbersBelow(SIZE).map((i) => (i * 7) % SIZE);
    const cancelled = order.filter((number) => number % 2 === 0);
    const cancel = (number: number): Command => ({
      name: 'cancelExecution',
      args: { executionId: idOf(number), reason: 'r', source: 'operator_override' },
    });
    for (let i = 0; i < cancelled.length; i += 100) await backend.execute(cancelled.slice(i, i + 100).map(cancel));
    const leaves = await admin.zrange(`${START}${KEYS.shelf}X`, 0, -1);
    expect(leaves.length).toBeGreaterThan(4);
    for (const leaf of leaves) {
      const key = `${START}${KEYS.shelved}${leaf}:X`;
      expect(await admin.llen(key)).toBeLessThanOrEqual(MAX_LEAF_IDS);
      expect(await admin.object('ENCODING', key)).toBe('listpack');
    }
    const { rows, pages } = await whole({ publicState: 'cancelled', limit: 100 });
    expect(idsOf(rows)).toEqual(newestFirst(cancelled));
    expect(pages).toBe(cancelled.length / 100);
    engine.setTime(engine.now() + 200_000);
    await backend.execute(
      cancelled.map((number) => ({ name: 'purgeExecution' as const, args: { executionId: idOf(number) } })),
    );
    expect(await admin.keys(`${START}shel*`)).toEqual([]);
    expect((await whole({ publicState: 'cancelled' })).rows).toEqual([]);
  });

  test('of suspended executions is ordered by id, for any number', async () => {
    const { backend } = engine;
    const claims = numbersBelow(90).map(() => ({ leaseId: newId(), attemptId: newId() }));
    const claim = { partition: PARTITION, laneId: 'rest', workerId: 'w', workerInstanceId: 'w', claims };
    const claimed = await backend.claimForWorker({ ...claim, leaseTtlMs: 600_000 });
    if (claimed.kind !== 'claimed') throw new Error('Nothing waits.');
    // Their timeouts are in another order than their ids.
    const suspensions = claimed.executions.map(({ executionId, leaseId, leaseEpoch, attemptId }, n) => ({
      name: 'suspendExecution' as const,
      args: {
        executionId,
        fence: { leaseId, leaseEpoch, attemptId },
        suspensionId: newId(),
        waitpoints: [{ waitpointId: newId(), waitpointKey: 'w' }],
        resumeCondition: { type: 'timeout_only' as const },
        timeoutAt: engine.now() + 1_000_000 + ((n * 7) % 90),
      },
    }));
    for (const result of await backend.execute(suspensions)) if (!result.ok) throw result.error;
    const ids = claimed.executions.map(({ executionId }) => executionId);
    ids.sort().reverse();
    expect(ids).toHaveLength(90);
    const sorted = await whole({ publicState: 'suspended', limit: 30 });
    expect([idsOf(sorted.rows), sorted.pages]).toEqual([ids, 3]);
    // With more than can be sorted, it is read from all executions.
    const set = `${START}${KEYS.suspended}`;
    const more = numbersBelow(MAX_SUSPENDED).map((n) => `more ${n}`);
    await admin.zadd(set, ...more.flatMap((member) => [1, member]));
    expect(idsOf((await whole({ publicState: 'suspended', limit: 30 })).rows)).toEqual(ids);
    expect(await admin.keys(`${START}shel*`)).toEqual([]);
  });

  test('of what is active or delayed takes one page beside a thousand that wait and a thousand finished flows', async () => {
    const { backend } = engine;
    const ours = { namespace: 'flows', creatorIdentity: 'c' };
    const commands = numbersBelow(MAX_LIVE + 100).flatMap((): Command[] => {
      const [flowId, executionId] = [`${PARTITION}:${newId()}`, `${PARTITION}:${newId()}`];
      const members = [{ executionId, laneId: 'of flows', executionKind: 'k' }];
      return [
        { name: 'createFlow', args: { flowId, flowKind: 'f', namespace: 'flows', closed: true, graph: { members } } },
        { name: 'cancelExecution', args: { executionId, reason: 'r', source: 'operator_override' } },
      ];
    });
    for (let i = 0; i < commands.length; i += 100)
      for (const result of await backend.execute(commands.slice(i, i + 100))) if (!result.ok) throw result.error;
    expect(await admin.zcard(`${START}${KEYS.timers}`)).toBeGreaterThan(MAX_LIVE);
    const [active, delayed] = [newId(), newId()].map((uuid) => `${PARTITION}:${uuid}`) as [string, string];
    const naming = { ...ours, laneId: 'of one', executionKind: 'k' };
    await backend.createExecution({ ...naming, executionId: active });
    await backend.createExecution({ ...naming, executionId: delayed, delayUntil: engine.now() + 3_600_000 });
    const claims = [{ leaseId: newId(), attemptId: newId() }];
    const claim = { partition: PARTITION, laneId: 'of one', workerId: 'w', workerInstanceId: 'w-7', claims };
    await backend.claimForWorker({ ...claim, leaseTtlMs: 600_000 });
    const waiting = numbersBelow(MAX_LIVE + 100).map(
      (): Command => ({ name: 'createExecution', args: { ...naming, executionId: `${PARTITION}:${newId()}` } }),
    );
    for (let i = 0; i < waiting.length; i += 400) await backend.execute(waiting.slice(i, i + 400));
    for (const [filter, id] of [
      [{ publicState: 'active' as const }, active],
      [{ workerInstanceId: 'w-7' }, active],
      [{ publicState: 'delayed' as const }, delayed],
    ] as const) {
      const { rows, pages } = await whole({ ...filter, namespace: 'flows' });
      expect([idsOf(rows), pages]).toEqual([[id], 1]);
    }
  });
});
