/** Claiming without a worker. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { EngineError } from '../../model/errors.js';
import { executionIdOf, partitionOfExecution } from '../../model/ids.js';
import type { Backend, Wake } from '../../src/backend/backend.js';
import { leadsOf } from '../../src/claiming/leads.js';
import { systemClock } from '../../src/engine/clock.js';
import { newId } from '../../src/engine/ids.js';
import { Placer } from '../../src/engine/placer.js';
import { WorkFinder, type ClaimAnywhere } from '../../src/claiming/finder.js';
import { memory } from '../../src/memory/index.js';
import { WakeListeners } from '../../src/backend/wake-listeners.js';
import { CountingClock, watched, type Watched } from './support.js';

const finders: WorkFinder[] = [];
afterEach(() => {
  for (const finder of finders.splice(0)) finder.close();
});

async function finderOf(backend: Backend): Promise<WorkFinder> {
  const finder = await WorkFinder.start(backend, { laneId: 'l' });
  finders.push(finder);
  return finder;
}

async function create(backend: Backend, requiredCapabilities: string[] = []): Promise<string> {
  const executionId = new Placer(backend.partitions).executionId({ namespace: 'n', laneId: 'l' });
  await backend.createExecution({
    executionId,
    namespace: 'n',
    laneId: 'l',
    executionKind: 'k',
    creatorIdentity: 'c',
    policy: { routingRequirements: { requiredCapabilities } },
  });
  return executionId;
}

const claimOf = (count = 1, workerCapabilities: string[] = []): ClaimAnywhere => ({
  workerId: 'w',
  workerInstanceId: 'i',
  workerCapabilities,
  claims: Array.from({ length: count }, () => ({ leaseId: newId(), attemptId: newId() })),
});

/** The backend, and how many claims were made on it. */
function counting(inner: Backend): { backend: Backend; claims: () => number } {
  let claims = 0;
  const claimForWorker: Backend['claimForWorker'] = (args) => {
    claims++;
    return inner.claimForWorker(args);
  };
  return { backend: Object.assign(Object.create(inner) as Backend, { claimForWorker }), claims: () => claims };
}

it('finds work in any partition, and does not repeat useless looks', async () => {
  const { backend, claims } = counting(memory({ partitions: { count: 8 } }));
  const id = await create(backend);
  const finder = await finderOf(backend);
  expect((await finder.claim(claimOf())).map(({ executionId }) => executionId)).toEqual([id]);
  expect(await finder.claim(claimOf())).toEqual([]);
  const before = claims();
  expect(before).toBeLessThanOrEqual(9);
  expect(await finder.claim(claimOf())).toEqual([]);
  expect(claims()).toBe(before);
  const [other] = [await create(backend)];
  expect((await finder.claim(claimOf(5))).map(({ executionId }) => executionId)).toEqual([other]);
});

it('waits for work, and returns in time when none arrives', async () => {
  const backend = memory({ partitions: { count: 4 } });
  const finder = await finderOf(backend);
  const startedAt = performance.now();
  expect(await finder.claim(claimOf(), { waitMs: 30 })).toEqual([]);
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(25);
  const waiting = [finder.claim(claimOf(), { waitMs: 5_000 }), finder.claim(claimOf(), { waitMs: 5_000 })];
  const ids = [await create(backend), await create(backend)];
  expect(
    (await Promise.all(waiting))
      .flat()
      .map(({ executionId }) => executionId)
      .sort(),
  ).toEqual(ids.sort());
  const ended = finder.claim(claimOf(), { waitMs: 60_000 });
  await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  finder.close();
  expect(await ended).toEqual([]);
});

it('gives work only to callers with the required capabilities', async () => {
  const backend = memory({ partitions: { count: 4 } });
  const finder = await finderOf(backend);
  const [plain, able] = [
    finder.claim(claimOf(1, ['x']), { waitMs: 200 }),
    finder.claim(claimOf(1, ['x', 'y']), { waitMs: 5_000 }),
  ];
  const id = await create(backend, ['y']);
  expect((await able).map(({ executionId }) => executionId)).toEqual([id]);
  expect(await plain).toEqual([]);
});

it('begins with the partition to which other commands are leaving', async () => {
  const { backend } = counting(memory({ partitions: { count: 8 } }));
  const ids = await Promise.all(Array.from({ length: 40 }, () => create(backend)));
  const finder = await finderOf(backend);
  const near = partitionOfExecution(ids[7] as string);
  const [first] = await finder.claim(claimOf(), { near });
  expect(partitionOfExecution(first?.executionId ?? '')).toBe(near);
});

it('reports the failure of a claim, and continues', async () => {
  const inner = memory();
  let broken = true;
  const claimForWorker: Backend['claimForWorker'] = async (args) => {
    if (broken) throw new Error('broken');
    return inner.claimForWorker(args);
  };
  const backend = Object.assign(Object.create(inner) as Backend, { claimForWorker });
  await create(backend);
  const finder = await finderOf(backend);
  await expect(finder.claim(claimOf())).rejects.toThrow('broken');
  broken = false;
  expect(await finder.claim(claimOf())).toHaveLength(1);
});

it('wakes the least capable listeners first, and equal ones in turn', () => {
  const wake = (...requiredCapabilities: string[]): Wake => ({
    kind: 'work',
    laneId: 'l',
    partition: '{fp:0}',
    requiredCapabilities,
    executionKind: 'k',
    priority: 0,
  });
  const listeners = new WakeListeners();
  const told: string[] = [];
  const add = (name: string, capabilities?: string[]): (() => void) =>
    listeners.add(() => told.push(name), capabilities);
  const leaveXyz = add('xyz', ['x', 'y', 'z']);
  const leave = add('x1', ['x']);
  const leaveX2 = add('x2', ['x']);
  const leaveY = add('y', ['y']);
  const tell = (count: number, each: Wake): string[] => {
    told.length = 0;
    let left = count;
    listeners.notify(() => (left-- > 0 ? each : undefined));
    return [...told];
  };
  expect(tell(1, wake('x'))).toEqual(['x1']);
  expect(tell(1, wake('x'))).toEqual(['x2']);
  expect(tell(9, wake('x')).sort()).toEqual(['x1', 'x2', 'xyz']);
  expect(tell(9, wake('z'))).toEqual(['xyz']);
  leave();
  const leaveAll = add('all');
  expect(tell(9, wake('x'))).toEqual(['all', 'x2', 'xyz']);
  // The last of its number of capabilities takes no other with it.
  leaveXyz();
  expect(tell(9, wake('x'))).toEqual(['all', 'x2']);
  for (const leaves of [leaveX2, leaveY, leaveAll]) {
    expect(listeners.isEmpty).toBe(false);
    leaves();
  }
  expect(listeners.isEmpty).toBe(true);
});

it('finds work by a sweep while it waits, without any wake', async () => {
  const inner = memory();
  // Wakes are lost.
  const backend = Object.assign(Object.create(inner) as Backend, { onWake: () => Promise.resolve(() => undefined) });
  const finder = await WorkFinder.start(backend, { laneId: 'l', sweepIntervalMs: 50 });
  finders.push(finder);
  const waiting = finder.claim(claimOf(), { waitMs: 20_000 });
  await new Promise((resolve) => setTimeout(resolve, 20));
  const executionId = await create(backend);
  expect((await waiting).map((claimed) => claimed.executionId)).toEqual([executionId]);
});

describe('under a virtual clock', () => {
  interface Setting extends Watched {
    readonly clock: CountingClock;
    readonly finder: WorkFinder;
  }

  async function setting(): Promise<Setting> {
    const clock = new CountingClock();
    const store = watched({ partitions: { count: 8 }, now: () => clock.now() });
    const finder = await WorkFinder.start(store.backend, { laneId: 'l', clock });
    finders.push(finder);
    return Object.assign(store, { clock, finder });
  }

  it('leaves no timer behind once no caller waits, however the waits ended', async () => {
    const s = await setting();
    const inTime = s.finder.claim(claimOf(), { waitMs: 1_000 });
    await s.clock.advance(10);
    expect(s.clock.timers).toBeGreaterThan(0);
    await create(s.backend);
    await s.clock.advance(0);
    expect(await inTime).toHaveLength(1);
    expect(s.clock.timers).toBe(0);
    const inVain = s.finder.claim(claimOf(), { waitMs: 1_000 });
    await s.clock.advance(1_001);
    expect(await inVain).toEqual([]);
    expect(s.clock.timers).toBe(0);
    const closed = s.finder.claim(claimOf(), { waitMs: 1_000 });
    await s.clock.advance(10);
    s.finder.close();
    expect(await closed).toEqual([]);
    expect(s.clock.timers).toBe(0);
  });

  it('looks at every partition while it waits, after a new subscription', async () => {
    const s = await setting();
    const waiting = s.finder.claim(claimOf(), { waitMs: 4_000 });
    await s.clock.advance(10);
    s.isDeaf = true;
    const executionId = await create(s.backend);
    s.tell({ kind: 'resync' });
    await s.clock.advance(300);
    expect((await waiting).map((claimed) => claimed.executionId)).toEqual([executionId]);
  });

  it('claims urgent work first after its wake', async () => {
    const s = await setting();
    for (let i = 0; i < 20; i++) await create(s.backend);
    await s.finder.claim(claimOf());
    const executionId = await create(s.backend);
    const partition = partitionOfExecution(executionId);
    s.tell({ kind: 'work', laneId: 'l', partition, requiredCapabilities: [], priority: 9_000 });
    const [claimed] = await s.finder.claim(claimOf());
    expect(partitionOfExecution(claimed?.executionId ?? '')).toBe(partition);
  });

  it('leaves less urgent work of a partition until the urgent work of every partition is claimed', async () => {
    const s = await setting();
    const inPartition = async (partition: number, priority: number): Promise<string> => {
      const executionId = executionIdOf(partition, newId());
      await s.backend.createExecution({
        ...{ executionId, namespace: 'n', laneId: 'l', executionKind: 'k', creatorIdentity: 'c' },
        policy: { priority },
      });
      return executionId;
    };
    // From now on it hears of work.
    expect(await s.finder.claim(claimOf(2))).toEqual([]);
    const urgent = [await inPartition(0, 5), await inPartition(1, 5)];
    const others = [await inPartition(0, 1), await inPartition(1, 1)];
    const taken: string[] = [];
    for (let call = 0; call < 4; call++)
      taken.push(...(await s.finder.claim(claimOf(2))).map(({ executionId }) => executionId));
    expect(taken.slice(0, 2).sort()).toEqual(urgent.sort());
    expect(taken.slice(2).sort()).toEqual(others.sort());
  });

  it.each(['partition', 'laneId', 'minPriority'])('refuses a claim with a %s of its own', async (name) => {
    const s = await setting();
    const refused = s.finder.claim({ ...claimOf(1), [name]: name === 'minPriority' ? 6 : 'x' });
    await expect(refused).rejects.toMatchObject({ code: 'invalid_input', detail: { field: name } });
  });

  it('keeps its findings for a bounded number of capability sets', async () => {
    const s = await setting();
    const waiting = s.finder.claim(claimOf(1, ['rare']), { waitMs: 1_000 });
    for (let i = 0; i < 300; i++) expect(await s.finder.claim(claimOf(1, [`c${i}`]))).toEqual([]);
    // One that waits is not forgotten.
    const executionId = await create(s.backend, ['rare']);
    await s.clock.advance(0);
    expect((await waiting).map((claimed) => claimed.executionId)).toEqual([executionId]);
    expect((s.finder as unknown as { parties: { size: number } }).parties.size).toBeLessThanOrEqual(101);
  });
});

it('leaves no listener behind when its subscription fails', async () => {
  await using backend = memory();
  const gone = new EngineError('call_timeout', 'gone.');
  backend.onWake = () => Promise.reject(gone);
  const leads = leadsOf(backend, systemClock);
  const left: unknown[] = [];
  const onRelease = vi.spyOn(leads, 'onRelease').mockImplementation((listener) => {
    left.push(listener);
    return () => void left.splice(left.indexOf(listener), 1);
  });
  await expect(WorkFinder.start(backend, { laneId: 'l' })).rejects.toBe(gone);
  expect(onRelease).toHaveBeenCalledOnce();
  expect(left).toEqual([]);
});
