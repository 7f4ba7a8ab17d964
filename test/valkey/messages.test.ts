/** What the messages of channels contain, on both backends; and that nothing but wakes is missing to a user who may not publish. */
import { Valkey } from 'iovalkey';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { plain } from '../../fuzz/plain.js';
import { CHANNELS } from '../../lua/layout.js';
import type { Announcement, AnnouncementKind, Backend, StreamNotice, Wake } from '../../src/backend/backend.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { startValkey, type ValkeyServer } from '../support/valkey/index.js';

const PARTITION = '{fp:0}';
const PREFIX = 'messages:';
/** Times from here on mark places among the messages. */
const FIRST_MARK = 4_000_000_000_000;
let server: ValkeyServer;
let admin: Valkey;
let marks = 0;
beforeAll(async () => {
  server = await startValkey();
  admin = new Valkey(server.url);
});
afterAll(async () => {
  admin?.disconnect();
  await server?.stop();
});

/** Resolves when all messages so far have arrived: those of a server arrive in the order in which they were published. */
async function arrived(backend: Backend): Promise<void> {
  if (backend.label === 'memory') return nextTurn();
  const mark = FIRST_MARK + marks++;
  let stop: (() => void) | undefined;
  await new Promise<void>((resolve, reject) => {
    const subscribed = backend.onWake([], (wake) => wake.kind === 'timer' && wake.at === mark && resolve());
    subscribed
      .then((unsubscribe) => {
        stop = unsubscribe;
        return admin.publish(`${PREFIX}${CHANNELS.timers}`, `${PARTITION}\t${mark}`);
      })
      .catch(reject);
  });
  stop?.();
}

const creation = (engine: TestEngine, more: object = {}) => ({
  executionId: engine.executionId(),
  namespace: 'n',
  laneId: 'lane',
  executionKind: 'a',
  creatorIdentity: 'c',
  ...more,
});

const claim = (engine: TestEngine, count: number, more: object = {}) => ({
  partition: PARTITION,
  laneId: 'lane',
  workerId: 'w',
  workerInstanceId: 'w1',
  leaseTtlMs: 1_000,
  claims: Array.from({ length: count }, () => ({ leaseId: engine.uuid(), attemptId: engine.uuid() })),
  ...more,
});

/** Wakes of the store, not those of this process about what it sends. */
async function listen(backend: Backend): Promise<() => Promise<Wake[]>> {
  const heard: Wake[] = [];
  await backend.onWake(['lane'], (wake) => {
    if (wake.kind === 'timer' && wake.at >= FIRST_MARK) return;
    if (wake.kind !== 'work' || wake.arriving === undefined) heard.push(wake);
  });
  return async () => {
    await arrived(backend);
    return heard.splice(0);
  };
}

/** What partitions announce. */
async function announcements(backend: Backend, kind: AnnouncementKind): Promise<() => Promise<Announcement[]>> {
  const heard: Announcement[] = [];
  await backend.onAnnouncement(kind, (announcement) => heard.push(announcement));
  return async () => {
    await arrived(backend);
    return heard.splice(0);
  };
}

const work = (executionKind: string, priority: number, requiredCapabilities: string[] = []): Wake => ({
  kind: 'work',
  laneId: 'lane',
  partition: PARTITION,
  executionKind,
  priority,
  requiredCapabilities,
});
const timer = (at: number): Wake => ({ kind: 'timer', partition: PARTITION, at });

describe.each(['memory', 'valkey'] as const)('on %s', (label) => {
  let engine: TestEngine;
  beforeAll(async () => {
    engine = await testEngine({ prefix: PREFIX, backend: label === 'memory' ? 'memory' : { url: server.url } });
  });
  afterAll(() => engine?.close());

  it('a new first entry of a queue is announced with its priority, kind and needs, and later entries are not', async () => {
    const { backend } = engine;
    const heard = await listen(backend);
    const create = (more: object) => {
      // Of two that came at one time, the smaller id is first.
      engine.setTime(engine.now() + 1);
      return backend.createExecution(creation(engine, more));
    };
    const gpu = { routingRequirements: { requiredCapabilities: ['gpu', 'eu'] } };
    await create({});
    expect(await heard()).toEqual([work('a', 0)]);
    await create({ priority: 5 });
    expect(await heard()).toEqual([work('a', 5)]);
    await create({ priority: 5 });
    await create({ priority: 1 });
    expect(await heard()).toEqual([]);
    await create({ executionKind: 'b', priority: 2, policy: gpu });
    expect(await heard()).toEqual([work('b', 2, ['eu', 'gpu'])]);
    await create({ executionKind: 'b', priority: 9_000, policy: gpu });
    expect(await heard()).toEqual([work('b', 9_000, ['eu', 'gpu'])]);
    // What comes back lapsed stands before everything.
    await backend.claimForWorker(claim(engine, 1, { kinds: ['a'] }));
    await heard();
    engine.setTime(engine.now() + 1_000);
    expect(await backend.applyDue({ partition: PARTITION })).toMatchObject({ leasesExpired: 1 });
    expect(await heard()).toEqual([work('a', 5)]);
  });

  it.each([0, 1, 2])(
    'remaining work is announced when a claim of the same call takes an execution that came before it (%i)',
    async (round) => {
      await engine.clear();
      const { backend } = engine;
      const heard = await listen(backend);
      const ids = [engine.executionId(), engine.executionId(), engine.executionId()].sort();
      // Created in each order: what is first is known by the ids.
      const order = [...ids.slice(round), ...ids.slice(0, round)];
      await backend.execute([
        ...order.map((executionId) => ({ name: 'createExecution' as const, args: creation(engine, { executionId }) })),
        { name: 'claimForWorker', args: claim(engine, 2) },
      ]);
      // To tell it twice is waste, not to tell it is a fault.
      const told = (await heard()).filter(({ kind }) => kind === 'work');
      expect(told.length).toBeGreaterThan(0);
      for (const wake of told) expect(wake).toEqual(work('a', 0));
    },
  );

  it('a watched log announces new entries once, and another log announces nothing', async () => {
    const { backend } = engine;
    const heard = await announcements(backend, 'appended');
    await backend.createExecution(creation(engine));
    expect(await heard()).toEqual([]);
    const end = async () => (await backend.readLog({ partition: PARTITION, after: 'now' })).end;
    const known = await end();
    expect(await backend.watchLog({ partition: PARTITION, after: known })).toEqual({ kind: 'watching' });
    await Promise.all([backend.createExecution(creation(engine)), backend.createExecution(creation(engine))]);
    await backend.createExecution(creation(engine));
    expect(await heard()).toEqual([{ kind: 'appended', partition: PARTITION }]);
    expect(await backend.watchLog({ partition: PARTITION, after: known })).toEqual({ kind: 'behind' });
    await backend.createExecution(creation(engine));
    expect(await heard()).toEqual([]);
  });

  it('ends of every kind are announced while they are watched, those of one step together', async () => {
    const { backend } = engine;
    const heard = await announcements(backend, 'ended');
    const create = async (more: object = {}): Promise<string> => {
      const args = creation(engine, more);
      await backend.createExecution(args);
      return args.executionId;
    };
    const cancellation = (executionId: string) =>
      ({ name: 'cancelExecution', args: { executionId, reason: 'r', source: 'operator_override' } }) as const;
    const [before, first, second, third] = [await create(), await create(), await create(), await create()];
    await backend.execute([cancellation(before)]);
    expect(await heard()).toEqual([]);
    await backend.watchEnds({ partition: PARTITION, ttlMs: 1_000 });
    await backend.execute([cancellation(first), cancellation(second)]);
    expect(await heard()).toEqual([{ kind: 'ended', partition: PARTITION, executionIds: [first, second] }]);
    engine.setTime(engine.now() + 500);
    const completed = await create({ laneId: 'ends' });
    const claimed = await backend.claimForWorker(claim(engine, 1, { laneId: 'ends' }));
    const [work] = claimed.kind === 'claimed' ? claimed.executions : [];
    const { leaseId, leaseEpoch, attemptId } = work as NonNullable<typeof work>;
    await backend.completeExecution({ executionId: completed, fence: { leaseId, leaseEpoch, attemptId } });
    const overdue = await create({ executionDeadlineAt: engine.now() + 100 });
    engine.setTime(engine.now() + 100);
    await backend.applyDue({ partition: PARTITION });
    expect((await heard()).map((said) => said.kind === 'ended' && said.executionIds)).toEqual([[completed], [overdue]]);
    // The time is over.
    engine.setTime(engine.now() + 400);
    await backend.execute([cancellation(third)]);
    expect(await heard()).toEqual([]);
  });

  it('watched streams of an execution announce new frames and the end of an attempt', async () => {
    const { backend } = engine;
    const owned = async () => {
      const { executionId } = (await backend.createExecution(creation(engine, { laneId: 'frames' }))) as {
        executionId: string;
      };
      const claimed = await backend.claimForWorker(claim(engine, 1, { laneId: 'frames' }));
      const [work] = claimed.kind === 'claimed' ? claimed.executions : [];
      const { leaseId, leaseEpoch, attemptId } = work as NonNullable<typeof work>;
      return { executionId, fence: { leaseId, leaseEpoch, attemptId } };
    };
    const [one, other] = [await owned(), await owned()];
    const heard: StreamNotice[] = [];
    await backend.onFrames(one.executionId, (notice) => heard.push(notice));
    await backend.onFrames(other.executionId, (notice) => heard.push(notice));
    const said = async () => {
      await arrived(backend);
      return heard.splice(0);
    };
    const append = (owner: typeof one) =>
      backend.appendFrame({ ...owner, attemptIndex: 0, payload: new Uint8Array(3) });
    const notice = { kind: 'frames', executionId: one.executionId };
    await append(one);
    expect(await said()).toEqual([]);
    await backend.watchStream({ executionId: one.executionId, ttlMs: 500 });
    // Those of one call are told together, and nothing of an execution that nobody watches.
    await Promise.all([append(one), append(one), append(other)]);
    expect(await said()).toEqual([notice]);
    await append(other);
    expect(await said()).toEqual([]);
    engine.setTime(engine.now() + 500);
    await append(one);
    expect(await said()).toEqual([]);
    await backend.watchStream({ executionId: one.executionId, ttlMs: 500 });
    await backend.watchStream({ executionId: other.executionId, ttlMs: 500 });
    await backend.completeExecution(one);
    expect(await said()).toEqual([notice]);
    await backend.failExecution({ ...other, failureReason: 'r' });
    expect(await said()).toEqual([{ kind: 'frames', executionId: other.executionId }]);
    // An attempt without a stream ends, too.
    const quiet = await owned();
    await backend.onFrames(quiet.executionId, (notice) => heard.push(notice));
    await backend.watchStream({ executionId: quiet.executionId, ttlMs: 500 });
    await backend.completeExecution(quiet);
    expect(await said()).toEqual([{ kind: 'frames', executionId: quiet.executionId }]);
  });

  it('a budget is announced when its last exhausted dimension has room again, and by no other change', async () => {
    const { backend } = engine;
    const budgetId = engine.uuid();
    await backend.createBudget({ budgetId, limits: { tokens: { hard: 10 }, cents: { hard: 5 } } });
    const heard = await listen(backend);
    const rooms = async () => (await heard()).filter(({ kind }) => kind === 'budget_room');
    const spend = (deltas: Record<string, number>) => backend.reportUsageAdmin({ budgetId, deltas });
    const limit = (limits: Record<string, { hard: number }>) =>
      backend.updateBudgetLimits({ budgetId, limits, requestedBy: 'operator' });
    const room = { kind: 'budget_room', partition: '{b:0}', budgetId };
    await spend({ tokens: 4 });
    await limit({ tokens: { hard: 8 } });
    await spend({ tokens: 4 });
    expect(await rooms()).toEqual([]);
    await limit({ tokens: { hard: 20 } });
    expect(await rooms()).toEqual([room]);
    await spend({ tokens: 12, cents: 5 });
    await limit({ tokens: { hard: 30 } });
    expect(await rooms()).toEqual([]);
    await limit({ cents: { hard: 6 } });
    expect(await rooms()).toEqual([room]);
  });

  it('a timer is announced to a loop that found none, whatever was announced before', async () => {
    await engine.clear();
    const { backend } = engine;
    const heard = await listen(backend);
    const now = engine.now();
    const delay = async (ms: number): Promise<string> => {
      const args = creation(engine, { delayUntil: now + ms });
      await backend.createExecution(args);
      return args.executionId;
    };
    const executionId = await delay(10_000);
    expect(await heard()).toEqual([timer(now + 10_000)]);
    await backend.cancelExecution({ executionId, reason: 'r', source: 'operator_override' });
    // It knows of the end of retention, a day from now.
    await backend.applyDue({ partition: PARTITION });
    await heard();
    await delay(20_000);
    expect(await heard()).toEqual([timer(now + 20_000)]);
    await delay(30_000);
    expect(await heard()).toEqual([]);
  });

  it('every timer that becomes the first is announced', async () => {
    await engine.clear();
    const { backend } = engine;
    const heard = await listen(backend);
    const now = engine.now();
    const delay = (ms: number) => backend.createExecution(creation(engine, { delayUntil: now + ms }));
    await delay(50_000);
    expect(await heard()).toEqual([timer(now + 50_000)]);
    await delay(90_000);
    expect(await heard()).toEqual([]);
    await delay(30_000);
    expect(await heard()).toEqual([timer(now + 30_000)]);
    await backend.createExecution(creation(engine));
    await heard();
    await backend.claimForWorker(claim(engine, 1));
    expect(await heard()).toEqual([timer(now + 1_000)]);
    await backend.createExecution(creation(engine, { executionDeadlineAt: now + 500 }));
    expect((await heard()).filter(({ kind }) => kind === 'timer')).toEqual([timer(now + 500)]);
  });
});

/** A life of several executions; answers what was answered. */
async function live(engine: TestEngine, meanwhile: () => Promise<unknown>): Promise<unknown[]> {
  const { backend } = engine;
  const answers: unknown[] = [];
  const say = async (call: Promise<unknown>): Promise<void> => void answers.push(await call);
  for (let i = 0; i < 6; i++) await say(backend.createExecution(creation(engine, { priority: i })));
  await meanwhile();
  for (let i = 0; i < 6; i++)
    await say(
      backend.createExecution(creation(engine, { priority: 10 + i, delayUntil: engine.now() + 100 * (i + 1) })),
    );
  const outcome = await backend.claimForWorker(claim(engine, 4));
  answers.push(outcome);
  const owned = outcome.kind === 'claimed' ? outcome.executions : [];
  for (const { executionId, leaseId, leaseEpoch, attemptId } of owned.slice(0, 2))
    await say(backend.completeExecution({ executionId, fence: { leaseId, leaseEpoch, attemptId } }));
  engine.setTime(engine.now() + 2_000);
  await say(backend.applyDue({ partition: PARTITION }));
  await say(backend.claimForWorker(claim(engine, 40)));
  await say(backend.claimForWorker(claim(engine, 40)));
  return answers;
}

it('a lost right to publish changes no answer, state or log, and strands nothing', async () => {
  await admin.call('ACL', 'SETUSER', 'mute', 'on', '>secret', '~*', '&*', '+@all');
  const url = `redis://mute:secret@${server.host}:${server.port}`;
  const memory = await testEngine({ seed: 'mute' });
  const engine = await testEngine({ seed: 'mute', backend: { url } });
  try {
    const expected = await live(memory, async () => undefined);
    const answers = await live(engine, () => admin.call('ACL', 'SETUSER', 'mute', '-publish', 'resetchannels'));
    expect(plain(answers)).toEqual(plain(expected));
    expect(await engine.canonicalState(PARTITION)).toEqual(await memory.canonicalState(PARTITION));
    expect(answers.at(-1)).toMatchObject({ kind: 'no_work' });
  } finally {
    await engine.close();
    await memory.close();
  }
});
