/** A page of lanes or of their counts costs the server what it contains, with any number of lanes. */
import { beforeAll, expect, test } from 'vitest';
import { KEYS } from '../../lua/layout.js';
import { keyOf, PARTITION, populatedWorld, type SmallWorld } from './small-world.js';

const worldNow = populatedWorld<never>(() => Promise.resolve([]));
let world: SmallWorld<never>;
beforeAll(() => void (world = worldNow()));

const FEW = 100;
const MANY = 30_000;
const ROUNDS = 15;

const laneNamed = (index: number): string => `lane${String(index).padStart(6, '0')}`;

async function enter(from: number, to: number): Promise<void> {
  for (let next = from; next < to; next += 10_000) {
    const some = Array.from({ length: Math.min(10_000, to - next) }, (_, index) => ['0', laneNamed(next + index)]);
    await world.admin.zadd(keyOf(KEYS.lanes), ...some.flat());
  }
}

type Read = () => Promise<unknown>;

/** Microseconds of the server in the quickest of several calls: load can only add to them. */
async function costOf(read: Read): Promise<number> {
  const spent = async (): Promise<number> =>
    Number(/cmdstat_fcall:calls=\d+,usec=(\d+)/.exec(await world.admin.info('commandstats'))?.[1]);
  const costs: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const before = await spent();
    await read();
    costs.push((await spent()) - before);
  }
  return Math.min(...costs);
}

test('pages of lanes and counts', async () => {
  const { backend } = world.engine;
  const page = { partition: PARTITION, cursor: laneNamed(10), limit: 10 };
  const lanes = (): Promise<unknown> => backend.listPartitionLanes(page);
  const counts = (): Promise<unknown> => backend.readCounts(page);
  await enter(0, FEW);
  const few = { lanes: await costOf(lanes), counts: await costOf(counts) };
  await enter(FEW, MANY);
  const many = { lanes: await costOf(lanes), counts: await costOf(counts) };
  expect(few.lanes).toBeGreaterThan(0);
  expect(many.lanes).toBeLessThan(4 * few.lanes);
  expect(many.counts).toBeLessThan(4 * few.counts);
  expect(await lanes()).toEqual({
    lanes: Array.from({ length: 10 }, (_, index) => laneNamed(11 + index)),
    nextCursor: laneNamed(20),
  });
});
