/** What holds for planners whatever happens, in whatever order. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SWEEP_MS, World, type WorkerSpec } from './world.js';

const LANES = ['a', 'b', 'c'];
const PARTITIONS = ['p0', 'p1', 'p2', 'p3'];
const KINDS = ['mail', 'sms'];
const PRIORITIES = [0, 0, 0, 1, 9_000];
/** Longer than the longest back-off, and than a whole sweep. */
const LONG_MS = 3 * SWEEP_MS;

const someOf = (names: readonly string[]): fc.Arbitrary<string[]> =>
  fc.subarray([...names], { minLength: 1, maxLength: names.length });

const workerSpec: fc.Arbitrary<WorkerSpec> = fc.record({
  process: fc.nat({ max: 1 }),
  slots: fc.constantFrom(1, 2, 3, 8),
  claimAhead: fc.constantFrom(0, 0, 1, 10),
  lanes: someOf(LANES),
  kinds: fc.option(someOf(KINDS), { nil: undefined }),
});

type Step = (world: World) => void;

const creation: fc.Arbitrary<Step> = fc
  .record({
    laneId: fc.constantFrom(...LANES),
    partition: fc.constantFrom(...PARTITIONS),
    kind: fc.constantFrom(...KINDS),
    priority: fc.constantFrom(...PRIORITIES),
    lost: fc.boolean(),
    count: fc.constantFrom(1, 1, 1, 5, 40),
  })
  .map(({ lost, count, ...work }) => (world: World) => {
    for (let i = 0; i < count; i++) world.create(work, lost);
  });
const answer = fc.nat({ max: 50 }).map(
  (index): Step =>
    (world) =>
      world.answer(index),
);
const fault = fc.tuple(fc.nat({ max: 50 }), fc.boolean()).map(
  ([index, wide]): Step =>
    (world) =>
      world.fail(index, wide),
);
const finish = fc.nat({ max: 9 }).map(
  (index): Step =>
    (world) =>
      world.finish(world.workers[index % world.workers.length] as World['workers'][number]),
);
const pass = fc.constantFrom(1, 20, 400, 7_000).map(
  (ms): Step =>
    (world) =>
      world.pass(ms),
);
const resync = fc.constant<Step>((world) => world.resync());

const steps = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: creation },
    { weight: 10, arbitrary: answer },
    { weight: 2, arbitrary: fault },
    { weight: 8, arbitrary: finish },
    { weight: 3, arbitrary: pass },
    { weight: 1, arbitrary: resync },
  ),
  { maxLength: 80 },
);

/** Numbers from 0 to 1 that repeat. */
const chances = fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), {
  minLength: 1,
  maxLength: 20,
});

function chanceOf(numbers: readonly number[]): () => number {
  let next = 0;
  return () => numbers[next++ % numbers.length] as number;
}

/** Someone who can run all of it, so that nothing is left for want of a worker. */
const able: WorkerSpec = { process: 0, slots: 2, claimAhead: 0, lanes: LANES, kinds: undefined };

describe('with any history', () => {
  it('room and leads are never exceeded, every place is served, and the planner becomes idle', () => {
    fc.assert(
      fc.property(
        fc.array(workerSpec, { maxLength: 3 }),
        steps,
        chances,
        fc.constantFrom('nobody', 'wakes', 'wakes and claims'),
        (others, history, numbers, telling) => {
          const workers = [able, ...others];
          const world = new World({ workers, partitions: PARTITIONS, telling, chance: chanceOf(numbers) });
          world.start();
          for (const step of history) step(world);
          // From here on nothing fails, nothing is created and nothing is slow.
          world.settle();
          world.idle(LONG_MS);
          expect(world.left).toBe(0);
          expect(new Set(world.started).size).toBe(world.started.length);
          expect(world.done).toBe(world.started.length);
          const before = world.claims;
          world.idle(LONG_MS);
          // Only the sweep goes on.
          const places = workers.reduce((sum, { lanes }) => sum + lanes.length * PARTITIONS.length, 0);
          expect(world.claims - before).toBeLessThanOrEqual((LONG_MS / SWEEP_MS) * 1.25 * places + places);
          for (const { planner } of world.workers) {
            expect(planner.mode).toBe('idle');
            expect(planner.hasLeads).toBe(false);
          }
        },
      ),
      { numRuns: 400 },
    );
  });
});

describe('work that never ends', () => {
  it('does not starve a place of equal priority, however lanes, partitions and workers share it', () => {
    fc.assert(
      fc.property(fc.array(workerSpec, { maxLength: 2 }), chances, (others, numbers) => {
        const world = new World({
          workers: [able, ...others],
          partitions: PARTITIONS,
          telling: 'wakes and claims',
          chance: chanceOf(numbers),
        });
        const refill = (): void => {
          for (const laneId of LANES)
            for (const partition of PARTITIONS)
              while (world.waitingAt(laneId, partition) < 20)
                world.create({ laneId, partition, kind: 'mail', priority: 0 });
        };
        world.start();
        const round = (): void => {
          refill();
          while (world.flights.length > 0) world.answer(0);
          for (const worker of world.workers) world.finish(worker);
        };
        for (let i = 0; i < 50; i++) round();
        const before = world.started.length;
        for (let i = 0; i < 400; i++) round();
        const served = new Set(world.started.slice(before).map(({ laneId, partition }) => laneId + partition));
        expect(served.size).toBe(LANES.length * PARTITIONS.length);
      }),
      { numRuns: 25 },
    );
  });
});

describe('an execution among equals', () => {
  const sixteen = Array.from({ length: 16 }, (_, index) => `p${index}`);

  /** How many younger executions started before each of some executions, by their places in the order of starts. */
  function passes(started: readonly number[]): { id: number; passedBy: number }[] {
    const step = Math.max(1, Math.floor(started.length / 200));
    return started.flatMap((id, place) =>
      place % step === 0 ? [{ id, passedBy: started.slice(0, place).filter((other) => other > id).length }] : [],
    );
  }

  // A turn of a partition is 16 rounds of half of the room. While a partition is served up to an execution in it, the
  // others have their turns as often, and once more.
  it.each([
    [1, 1, 0, 5],
    [1, 1, 0, 40],
    [1, 2, 0, 200],
    [1, 4, 0, 5],
    [1, 1, 10, 5],
    [3, 2, 0, 5],
    [3, 1, 0, 40],
  ])(
    'in 16 partitions is passed by younger ones within the bound: %i workers of %i slots and %i ahead, %i waiting in each partition',
    (count, slots, claimAhead, waiting) => {
      const specs = Array.from({ length: count }, (_, process) => ({
        ...able,
        process,
        slots,
        claimAhead,
        lanes: ['a'],
      }));
      const chance = chanceOf([0.1, 0.7, 0.3, 0.9, 0.5]);
      const world = new World({ workers: specs, partitions: sixteen, telling: 'wakes and claims', chance });
      const olderInPartition = new Map<number, number>();
      world.start();
      for (let round = 0; round < 1_500; round++) {
        for (const partition of sixteen) {
          for (let older = world.waitingAt('a', partition); older < waiting; older++) {
            const { id } = world.create({ laneId: 'a', partition, kind: 'mail', priority: 0 });
            olderInPartition.set(id, older);
          }
        }
        while (world.flights.length > 0) world.answer(0);
        for (const worker of world.workers) for (let i = 0; i < slots; i++) world.finish(worker);
      }
      const turn = count * 16 * Math.ceil((slots + claimAhead) / 2);
      for (const { id, passedBy } of passes(world.started.map((work) => work.id))) {
        const turns = Math.ceil(((olderInPartition.get(id) ?? 0) + 1) / turn) + 1;
        expect(passedBy).toBeLessThanOrEqual(turns * 15 * turn);
      }
    },
  );
});

describe('an urgent execution', () => {
  it('starts before other work has taken more than twice the room of the capable workers', () => {
    const worker = fc.record({
      process: fc.nat({ max: 1 }),
      slots: fc.constantFrom(1, 2, 3, 10),
      claimAhead: fc.constantFrom(0, 0, 5),
      lanes: fc.constant(['a']),
      kinds: fc.constant(undefined),
    });
    fc.assert(
      fc.property(
        fc.array(worker, { minLength: 1, maxLength: 3 }),
        fc.array(fc.tuple(fc.constantFrom('answer', 'finish'), fc.nat({ max: 50 })), { maxLength: 200 }),
        fc.array(fc.nat({ max: 50 }), { minLength: 50, maxLength: 50 }),
        fc.constantFrom(...PARTITIONS),
        fc.integer({ min: 1, max: 30 }),
        chances,
        fc.constantFrom('wakes', 'wakes and claims'),
        (workers, history, order, partition, urgents, numbers, telling) => {
          const world = new World({ workers, partitions: PARTITIONS, telling, chance: chanceOf(numbers) });
          for (let i = 0; i < 400; i++)
            world.create({ laneId: 'a', partition: PARTITIONS[i % 4] as string, kind: 'mail', priority: 0 }, true);
          world.start();
          const step = (what: string, index: number): void => {
            if (what === 'answer') world.answer(index);
            else world.finish(world.workers[index % world.workers.length] as World['workers'][number]);
          };
          for (const [what, index] of history) step(what, index);
          const room = world.workers.reduce((sum, each) => sum + each.room, 0);
          const before = world.started.length;
          // Without priorities in answers an urgent place is believed for a turn, which is 16 rounds of half of the room. And
          // of several urgent ones those that a worker took ahead wait for its slots, while others have slots free.
          const isAhead = workers.some(({ claimAhead }) => claimAhead > 0);
          const count = isAhead ? 1 : telling === 'wakes and claims' ? urgents : Math.min(urgents, 8);
          for (let i = 0; i < count; i++) world.create({ laneId: 'a', partition, kind: 'mail', priority: 9_000 });
          // Each call is answered within a round of the handlers.
          const isStarted = (): boolean => world.started.filter(({ priority }) => priority > 0).length === count;
          for (let round = 0; round < 100 && !isStarted(); round++) {
            const { length } = world.flights;
            for (let i = 0; i < length; i++) world.answer(order[(round + i) % order.length] as number);
            for (const each of world.workers) for (let i = 0; i < each.spec.slots; i++) world.finish(each);
          }
          const after = world.started.slice(before);
          const last = after.findLastIndex(({ priority }) => priority > 0);
          expect(after.filter(({ priority }) => priority > 0).length).toBe(count);
          expect(after.slice(0, last).filter(({ priority }) => priority === 0).length).toBeLessThanOrEqual(2 * room);
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('many idle lanes', () => {
  it.each([
    [100, 1],
    [1_500, 1],
    [100, 16],
  ])('cost at most 20 claims a second: %i lanes, %i slots', (count, slots) => {
    const lanes = Array.from({ length: count }, (_, i) => `lane${i}`);
    const partitions = Array.from({ length: 16 }, (_, i) => `p${i}`);
    const workers = [{ process: 0, slots, claimAhead: 0, lanes, kinds: undefined }];
    const world = new World({ workers, partitions, telling: 'wakes and claims', chance: () => 0.5 });
    world.start();
    world.idle(60_000);
    const before = world.claims;
    world.idle(60_000);
    expect((world.claims - before) / 60).toBeLessThanOrEqual(20);
    expect((world.claims - before) / 60).toBeGreaterThan(10);
    // And work that a wake tells of is still found at once.
    world.create({ laneId: 'lane7', partition: 'p3', kind: 'mail', priority: 0 });
    world.settle();
    expect(world.done).toBe(1);
  });

  it('in a process with many workers are swept once, not once per worker', () => {
    const workers = Array.from({ length: 50 }, () => ({
      process: 0,
      slots: 1,
      claimAhead: 0,
      lanes: ['a'],
      kinds: undefined,
    }));
    const partitions = Array.from({ length: 16 }, (_, i) => `p${i}`);
    let seed = 1;
    const chance = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
    const world = new World({ workers, partitions, telling: 'wakes and claims', chance });
    world.start();
    world.settle();
    world.idle(10_000);
    const before = world.claims;
    world.idle(20_000);
    expect((world.claims - before) / 20).toBeLessThanOrEqual(8);
  });
});
