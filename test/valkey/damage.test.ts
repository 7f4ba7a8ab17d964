/**
 * Ruling 40: any field and any key of an execution may be lost or corrupt. It is set aside, or its calls are answered
 * `corruption`; nothing happens to any other. An index or a log that is none fails the command, which wrote nothing.
 */
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { FIELDS, KEYS, RECORDS } from '../../lua/layout.js';
import { memberOf } from '../../model/ids.js';
import {
  claimAll,
  coreOf,
  creation,
  keyOf,
  LANE,
  answerOf,
  LONG,
  PARTITION,
  RETENTION_MS,
  worldOfFile,
  inhabitantOf,
  type Inhabitant,
  type Situation,
  type SmallWorld,
} from './small-world.js';

const worldNow = worldOfFile();
let world: SmallWorld;
beforeAll(() => void (world = worldNow()));

const of = (situation: Situation): Inhabitant => inhabitantOf(world, situation);

/** What its owner says of an execution in every call. */
const owned = (situation: Situation): Pick<Inhabitant, 'executionId' | 'fence'> => {
  const { executionId, fence } = of(situation);
  return { executionId, fence };
};

const WITHOUT_IDS = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
/** As text; ids that a claim hands out in turn do not count. */
const plain = (value: unknown): string => (JSON.stringify(value) ?? 'nothing').replaceAll(WITHOUT_IDS, 'id');

/** What became of the victim, and what of all others, step by step. */
interface Story {
  readonly victim: readonly unknown[];
  readonly others: readonly string[];
}

/** Lives through all that can happen: claims, time, endings, purges. No step may throw for all, whatever one is. */
async function live(victim: Inhabitant): Promise<Story> {
  const { engine, inhabitants } = world;
  const { backend } = engine;
  const [own, others]: [unknown[], string[]] = [[], []];
  const note = async (one: Inhabitant, call: Promise<unknown>): Promise<void> => {
    const answer = await answerOf(call);
    if (one === victim) own.push(answer);
    else others.push(`${one.situation}: ${plain(answer)}`);
  };
  const look = async (): Promise<void> => {
    for (const one of inhabitants) await note(one, backend.describeExecution({ executionId: one.executionId }));
  };
  const due = async (): Promise<void> => {
    for (let pass = 0; pass < 4; pass++) await backend.applyDue({ partition: PARTITION, limit: 100, owner: 'test' });
  };
  await due();
  for (const one of inhabitants) {
    const { executionId, fence } = one;
    if (one.situation === 'running') await note(one, backend.renewLease({ executionId, fence, leaseTtlMs: 90_000 }));
    if (one.situation === 'parked') await note(one, backend.promoteDelayed({ executionId }));
  }
  const outcome = await backend.claimForWorker(claimAll(engine));
  const claimed = outcome.kind === 'claimed' ? outcome.executions : [];
  await look();
  for (const { executionId, leaseId, leaseEpoch, attemptId } of claimed) {
    const one = inhabitants.find((known) => known.executionId === executionId) as Inhabitant;
    await note(
      one,
      backend.completeExecution({ executionId, fence: { leaseId, leaseEpoch, attemptId }, resultPayload: LONG }),
    );
  }
  const { executionId, fence } = of('running');
  await note(of('running'), backend.failExecution({ executionId, fence, failureReason: LONG.toString() }));
  // Delays and leases end.
  engine.setTime(engine.now() + 100_000);
  await due();
  await look();
  for (const one of inhabitants)
    await note(
      one,
      backend.cancelExecution({ executionId: one.executionId, reason: 'r', source: 'operator_override' }),
    );
  await look();
  engine.setTime(engine.now() + RETENTION_MS + 120_000);
  for (const one of inhabitants.slice(0, 6)) await note(one, backend.purgeExecution({ executionId: one.executionId }));
  await due();
  await look();
  // What is left is claimed, lapses, and is ended or set aside.
  for (let round = 0; round < 3; round++) {
    engine.setTime(engine.now() + 400_000);
    await due();
    await backend.claimForWorker(claimAll(engine));
    await note(
      victim,
      backend.cancelExecution({ executionId: victim.executionId, reason: 'r', source: 'operator_override' }),
    );
  }
  return { victim: own, others };
}

const GARBAGE = [
  '',
  'x',
  '\t\t\t\t\t\t\t\t',
  '9'.repeat(20),
  '-1',
  '1.5',
  '>',
  '\u00e9\t7',
  `{"a`,
  'R\t\tNaN\t\t\t',
] as const;
const MEMBERS = ['', ':details', ':in'] as const;

const damage = fc.record({
  victim: fc.nat(),
  key: fc.constantFrom(...MEMBERS, ''),
  how: fc.oneof(
    fc.constantFrom('delete' as const, 'text' as const, 'list' as const),
    fc.record({ field: fc.constantFrom(...Object.values(FIELDS)), to: fc.option(fc.constantFrom(...GARBAGE)) }),
  ),
});

/** Does it; answers whether anything was there. */
async function spoil(
  core: string,
  { key, how }: { key: string; how: (typeof damage extends fc.Arbitrary<infer T> ? T : never)['how'] },
) {
  const { admin } = world;
  const target = core + key;
  if ((await admin.exists(target)) === 0) return false;
  if (typeof how === 'object') {
    if ((await admin.type(target)) !== 'hash' || (await admin.hexists(target, how.field)) === 0) return false;
    if (how.to === null) await admin.hdel(target, how.field);
    else await admin.hset(target, how.field, how.to);
    return true;
  }
  await admin.del(target);
  if (how === 'text') await admin.set(target, 'no hash');
  if (how === 'list') await admin.rpush(target, 'no hash');
  return true;
}

test('damage of one execution affects no other, and delays nothing', async () => {
  const undamaged = new Map<Inhabitant, Story>();
  let spoilt = 0;
  await fc.assert(
    fc.asyncProperty(damage, async ({ victim: index, ...what }) => {
      const victim = world.inhabitants[index % world.inhabitants.length] as Inhabitant;
      if (!undamaged.has(victim)) {
        await world.reset();
        undamaged.set(victim, await live(victim));
      }
      await world.reset();
      if (!(await spoil(coreOf(victim), what))) return;
      spoilt++;
      const story = await live(victim);
      expect(story.others).toEqual(undamaged.get(victim)?.others);
      // Never an error that says nothing.
      for (const answer of story.victim) expect(answer).not.toBe('function_failed');
      // Nothing waits for ever in an index; what could not be read is set aside.
      const { admin } = world;
      expect(await admin.keys(keyOf(`${KEYS.queue}*`))).toEqual([]);
      expect(await admin.zcard(keyOf(KEYS.timers))).toBe(0);
      const aside = Object.keys(await admin.hgetall(keyOf(KEYS.quarantine)));
      expect([[], [`execution:${memberOf(victim.executionId)}`]]).toContainEqual(aside);
      // The log tells it all, without a gap and without an entry that nobody can read.
      let after: string | undefined;
      for (let atEnd = false; !atEnd; ) {
        const page = await world.engine.backend.readLog({ partition: PARTITION, after, limit: 1_000 });
        ({ next: after, atEnd } = page);
      }
    }),
    { numRuns: 80 },
  );
  expect(spoilt).toBeGreaterThan(20);
});

const progress = () => {
  const { executionId, fence } = of('running');
  return { executionId, ...(fence as NonNullable<typeof fence>), progressPct: 5 };
};

type Case = readonly [name: string, call: () => Promise<unknown>, afterMs?: number];

/** Commands that between them touch every key, and how far the clock is moved before. */
const COMMANDS: readonly Case[] = [
  ['create', () => world.engine.backend.createExecution(creation(world.engine))],
  ['create in a new lane', () => world.engine.backend.createExecution(creation(world.engine, { laneId: 'new' }))],
  [
    'create delayed',
    () => world.engine.backend.createExecution(creation(world.engine, { delayUntil: world.engine.now() + 5_000 })),
  ],
  ['claim', () => world.engine.backend.claimForWorker(claimAll(world.engine))],
  ['claim of a kind', () => world.engine.backend.claimForWorker(claimAll(world.engine, 5, ['ready']))],
  ['renew', () => world.engine.backend.renewLease({ ...owned('running'), leaseTtlMs: 90_000 })],
  ['progress', () => world.engine.backend.updateProgress(progress())],
  ['complete', () => world.engine.backend.completeExecution({ ...owned('running'), resultPayload: LONG })],
  [
    'fail to retry',
    () => world.engine.backend.failExecution({ ...owned('running'), failureReason: 'r', failureClass: 'transient' }),
  ],
  [
    'fail for good',
    () => world.engine.backend.failExecution({ ...owned('running'), failureReason: 'r', failureClass: 'permanent' }),
  ],
  ['delay', () => world.engine.backend.delayExecution({ ...owned('running'), delayUntil: world.engine.now() + 5_000 })],
  ['release', () => world.engine.backend.releaseLease(owned('running'))],
  ['revoke', () => world.engine.backend.revokeLease({ executionId: of('running').executionId, reason: 'r' })],
  ...(['ready', 'running', 'delayed', 'lease_expired'] as const).map(
    (situation): Case => [
      `cancel what is ${situation}`,
      () =>
        world.engine.backend.cancelExecution({
          executionId: of(situation).executionId,
          reason: 'r',
          source: 'operator_override',
        }),
    ],
  ),
  ['promote', () => world.engine.backend.promoteDelayed({ executionId: of('delayed').executionId }), 50_000],
  [
    'mark a lapsed lease',
    () => world.engine.backend.markLeaseExpiredIfDue({ executionId: of('running').executionId }),
    90_000,
  ],
  [
    'expire',
    () =>
      world.engine.backend.expireExecution({ executionId: of('running').executionId, expireReason: 'attempt_timeout' }),
    400_000,
  ],
  [
    'purge',
    () => world.engine.backend.purgeExecution({ executionId: of('completed').executionId }),
    RETENTION_MS + 120_000,
  ],
  ['apply what is due', () => world.engine.backend.applyDue({ partition: PARTITION }), 100_000],
  ['apply purges', () => world.engine.backend.applyDue({ partition: PARTITION }), 3 * RETENTION_MS],
];

const SHARED = [KEYS.log, KEYS.header, KEYS.timers, KEYS.retention, KEYS.ids, KEYS.lanes, KEYS.quarantine];

describe('a damaged key that many executions share', () => {
  test('a creation whose first write is refused leaves nothing, also no mark of a call that broke off', async () => {
    await world.reset();
    const { engine } = world;
    // Above all others, so that the library knows the leaf and does not look at it first.
    const highest = (n: number) => `${PARTITION}:ffffffff-ffff-4fff-bfff-fffffffffff${n}`;
    const create = (n: number) => engine.backend.createExecution(creation(engine, { executionId: highest(n) }));
    await create(1);
    await create(2);
    const [leaf] = (await world.admin.keys(keyOf(`${KEYS.leaf}*`))) as [string];
    await world.admin.del(leaf);
    await world.admin.set(leaf, 'something else');
    const before = await world.dump();
    expect(await answerOf(create(3))).toBe('corruption');
    expect(await world.dump()).toEqual(before);
  });

  test.each(COMMANDS.map(([name, call, afterMs]) => ({ name, call, afterMs })))(
    '$name fails and writes nothing, or does not depend on the key',
    async ({ name, call, afterMs = 0 }) => {
      await world.reset();
      const names = (await world.admin.keys(keyOf('*'))).map((key) => key.slice(keyOf('').length));
      const families = names.filter((key) =>
        [KEYS.queue, KEYS.queues, KEYS.slot, KEYS.leaf, KEYS.counts, KEYS.shelf, KEYS.shelved, KEYS.suspended].some(
          (start) => key.startsWith(start),
        ),
      );
      let failures = 0;
      for (const key of new Set([...SHARED, ...families, `${KEYS.queues}new`])) {
        await world.reset();
        world.engine.setTime(world.engine.now() + afterMs);
        if (name === 'apply purges') {
          // Timers come first.
          for (let pass = 0; pass < 3; pass++) await world.engine.backend.applyDue({ partition: PARTITION });
          world.engine.setTime(world.engine.now() + 3 * RETENTION_MS);
        }
        await world.admin.del(keyOf(key));
        await world.admin.set(keyOf(key), 'something else');
        const before = await world.dump();
        const answer = await answerOf(call());
        if (typeof answer === 'string') {
          failures++;
          expect(answer, key).toBe('corruption');
          expect(await world.dump(), `${key}: a fault writes nothing`).toEqual(before);
        } else {
          expect(await world.admin.get(keyOf(key)), key).toBe('something else');
        }
      }
      expect(failures).toBeGreaterThanOrEqual(2);
    },
  );
});

// The library does not look again at what it wrote last, and does not take apart what reads as it was.
describe('damage of keys that the library remembers', () => {
  const cancel = (situation: Situation) =>
    world.engine.backend.cancelExecution({
      executionId: of(situation).executionId,
      reason: 'r',
      source: 'operator_override',
    });

  test('a retention slot that is replaced between two endings is created again', async () => {
    await world.reset();
    const slots = (): Promise<string[]> => world.admin.keys(keyOf(`${KEYS.slot}*`));
    const before = await slots();
    world.engine.setTime(world.engine.now() + 120_000);
    await cancel('ready');
    const [slot = ''] = (await slots()).filter((key) => !before.includes(key));
    await world.admin.set(slot, 'something else');
    await cancel('delayed');
    expect(await world.admin.lrange(slot, 0, -1)).toEqual([memberOf(of('delayed').executionId)]);
    // One that is gone, with its time, comes back with both.
    await world.admin.del(slot, keyOf(KEYS.retention));
    await cancel('released');
    expect(await world.admin.lrange(slot, 0, -1)).toEqual([memberOf(of('released').executionId)]);
    expect(await world.admin.zrange(keyOf(KEYS.retention), 0, -1)).toEqual([slot.slice(keyOf(KEYS.slot).length)]);
  });

  test('a budget whose record was changed between two calls is read again', async () => {
    const { backend, uuid } = world.engine;
    const budgetId = uuid();
    await backend.createBudget({ budgetId, limits: { tokens: { hard: 10 } } });
    const report = () => answerOf(backend.reportUsageAdmin({ budgetId, deltas: { tokens: 4 } }));
    expect(await report()).toMatchObject({ kind: 'ok' });
    const { key = '', fields } = RECORDS.budget ?? {};
    const [record = ''] = await world.admin.keys(`*:${key}*`);
    await world.admin.hset(record, fields?.['limits'] ?? '', '{"tokens":7}\t');
    expect(await report()).toMatchObject({ kind: 'hard_breach', dimension: 'tokens' });
    await world.admin.hset(record, fields?.['usage'] ?? '', 'rubbish');
    expect(await report()).toBe('corruption');
  });
});

describe('a repeated creation changes nothing', () => {
  const NEVER_MINTED = `${PARTITION}:00000000-0000-7000-8000-000000000001`;
  const reloadLibrary = async (): Promise<void> => {
    const library = await world.admin.callBuffer('FUNCTION', 'DUMP');
    await world.admin.call('FUNCTION', 'RESTORE', library as Buffer, 'REPLACE');
  };
  test.each([
    ['when the leaf is lost', ['leaf']],
    ['when the names of the leaves are lost', ['names']],
    ['when both are lost', ['leaf', 'names']],
  ])('%s', async (_, lost) => {
    await world.reset();
    const { admin, engine } = world;
    const [leaf = ''] = await admin.keys(keyOf(`${KEYS.leaf}*`));
    expect(await admin.llen(leaf)).toBe(world.inhabitants.length);
    for (const key of lost) await admin.del(key === 'leaf' ? leaf : keyOf(KEYS.ids));
    await reloadLibrary();
    // What the library learns of the index it learns from what is left of it, and from this id below all others.
    const lowest = creation(engine, { executionId: NEVER_MINTED, laneId: 'other' });
    expect(await engine.backend.createExecution(lowest)).toMatchObject({ kind: 'created' });
    for (const { executionId } of world.inhabitants) {
      const before = await admin.hgetallBuffer(coreOf({ executionId }));
      const repeated = await engine.backend.createExecution(creation(engine, { executionId }));
      expect({ ...repeated }).toEqual({ kind: 'duplicate', executionId });
      expect(await admin.hgetallBuffer(coreOf({ executionId }))).toEqual(before);
    }
    await engine.backend.verifyPartition({ partition: PARTITION });
    const { executions } = await engine.backend.listExecutions({ partition: PARTITION, limit: 100 });
    expect(executions).toEqual([NEVER_MINTED, ...world.inhabitants.map((one) => one.executionId)].sort());
  });
});

describe('damage of the log', () => {
  const pages = (after?: string) =>
    answerOf(world.engine.backend.readLog({ partition: PARTITION, after, limit: 1_000 }));
  const work = async () => {
    expect(await world.engine.backend.createExecution(creation(world.engine))).toMatchObject({ kind: 'created' });
    expect(await world.engine.backend.claimForWorker(claimAll(world.engine))).toMatchObject({ kind: 'claimed' });
  };
  const cursorAtEnd = async () => (await world.engine.backend.readLog({ partition: PARTITION, after: 'now' })).next;

  test('the log is lost: its readers are told, new readers read the new log, work continues', async () => {
    await world.reset();
    const known = await cursorAtEnd();
    await world.admin.del(keyOf(KEYS.log));
    expect(await pages(known)).toBe('cursor_lost');
    world.engine.setTime(world.engine.now() + 1_000);
    await work();
    expect(await pages(known)).toBe('cursor_lost');
    const page = await pages();
    expect(page).toMatchObject({ atEnd: true });
    expect((page as { events: unknown[] }).events.length).toBeGreaterThan(1);
  });

  test('the header is lost: its readers are told, work continues', async () => {
    await world.reset();
    const known = await cursorAtEnd();
    await world.admin.del(keyOf(KEYS.header));
    world.engine.setTime(world.engine.now() + 1_000);
    await work();
    expect(await pages(known)).toBe('cursor_lost');
    expect(await pages()).toMatchObject({ atEnd: true });
  });

  test.each([1, 2])('the header is lost: %i paused lanes stay silent', async (count) => {
    await world.reset();
    const { backend } = world.engine;
    const paused = ['quiet', 'still'].slice(0, count);
    const heard: string[] = [];
    // What this process sends, it also tells itself.
    const leave = await backend.onWake([...paused, 'loud'], (wake) => {
      if (wake.kind === 'work' && wake.arriving === undefined) heard.push(wake.laneId);
    });
    for (const laneId of paused) await backend.pauseLane({ partition: PARTITION, laneId });
    await world.admin.del(keyOf(KEYS.header));
    const create = (laneId: string) =>
      backend.createExecution(creation(world.engine, { laneId, executionKind: laneId, policy: undefined }));
    await create('loud');
    await expect.poll(() => heard).toEqual(['loud']);
    // The server forgets what it knew, as another one does that takes over.
    await world.admin.call(
      'FUNCTION',
      'RESTORE',
      (await world.admin.callBuffer('FUNCTION', 'DUMP')) as Buffer,
      'REPLACE',
    );
    for (const laneId of paused) await create(laneId);
    await backend.createExecution(
      creation(world.engine, { laneId: 'loud', executionKind: 'other', policy: undefined }),
    );
    await expect.poll(() => heard.length).toBe(2);
    expect(heard).toEqual(['loud', 'loud']);
    leave();
  });

  test('the position of a reader is unreadable: it is named and can be forgotten, and other readers continue', async () => {
    await world.reset();
    const { backend } = world.engine;
    const commit = async (readerId: string) =>
      answerOf(backend.commitReader({ partition: PARTITION, readerId, position: await cursorAtEnd() }));
    const named = /^corruption: .*place of reader broken is unreadable: forget the reader/;
    expect(await commit('broken')).toMatchObject({ kind: 'committed' });
    expect(await commit('healthy')).toMatchObject({ kind: 'committed' });
    await world.admin.hset(keyOf(KEYS.readers), 'broken', 'rubbish');
    await work();
    expect(await commit('healthy')).toMatchObject({ kind: 'committed' });
    await expect(
      cursorAtEnd().then((position) => backend.commitReader({ partition: PARTITION, readerId: 'broken', position })),
    ).rejects.toThrow(named);
    expect(await backend.listReaders({ partition: PARTITION })).toMatchObject([{ readerId: 'healthy' }]);
    await backend.forgetReader({ partition: PARTITION, readerId: 'broken' });
    expect(await backend.listReaders({ partition: PARTITION })).toMatchObject([{ readerId: 'healthy' }]);
  });

  test('the tail is lost: its readers are told', async () => {
    await world.reset();
    const known = await cursorAtEnd();
    const tail = await world.admin.xrevrange(keyOf(KEYS.log), '+', '-', 'COUNT', 3);
    await world.admin.xdel(keyOf(KEYS.log), ...tail.map(([id]) => id));
    const first = await world.engine.backend.readLog({ partition: PARTITION, limit: 2 });
    expect(await pages(first.next)).toSatisfy(
      (answer) => typeof answer === 'string' || !(answer as { atEnd: boolean }).atEnd,
    );
    world.engine.setTime(world.engine.now() + 1_000);
    await work();
    for (const after of [known, first.next])
      expect(await pages(after)).toSatisfy(
        (answer) =>
          ['cursor_lost', 'cursor_too_old'].includes(answer as string) ||
          (answer as { events: { sequence: number }[] }).events.every(
            ({ sequence }, i, all) => i === 0 || sequence === (all[i - 1]?.sequence ?? 0) + 1,
          ),
      );
  });
});

test('the inhabitants of the test world have the states that their names say', async () => {
  await world.reset();
  const seen = await Promise.all(
    world.inhabitants.map(({ executionId }) => world.engine.backend.describeExecution({ executionId })),
  );
  expect(seen.every((one) => one?.laneId === LANE)).toBe(true);
  expect(new Set(seen.map((one) => plain(one?.publicState))).size).toBe(7);
});
