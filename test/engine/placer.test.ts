import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { partitionIndexOf, partitionOfExecution } from '../../model/ids.js';
import type { PartitionConfig } from '../../model/partition.js';
import { MAX_JOINED_BYTES } from '../../src/backend/joined-calls.js';
import { Placer, type NewExecution } from '../../src/engine/placer.js';

const SPREAD: Pick<PartitionConfig, 'count' | 'placement'> = { count: 4, placement: 'spread' };
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function places(placer: Placer, count: number, more: Partial<NewExecution> = {}): number[] {
  return Array.from({ length: count }, () =>
    partitionIndexOf(
      partitionOfExecution(placer.executionId({ uuid: randomUUID(), namespace: 'n', laneId: 'l', ...more })),
    ),
  );
}

it('keeps the creations of one turn together, and uses the next partition for the next turn', async () => {
  const placer = new Placer(SPREAD, () => 0);
  expect(places(placer, 3)).toEqual([0, 0, 0]);
  await Promise.resolve();
  expect(places(placer, 1)).toEqual([0]);
  await nextTurn();
  expect(places(placer, 2)).toEqual([1, 1]);
  await nextTurn();
  expect(places(placer, 1)).toEqual([2]);
});

it('keeps no more together than one call carries, so that many at once spread evenly', async () => {
  const placer = new Placer({ count: 16, placement: 'spread' });
  const counts = new Map<number, number>();
  for (const place of places(placer, 10_000)) counts.set(place, (counts.get(place) ?? 0) + 1);
  expect(counts.size).toBe(16);
  expect(Math.max(...counts.values()) - Math.min(...counts.values())).toBeLessThanOrEqual(16);
  await nextTurn();
  const large = new Set(places(placer, 4, { inputBytes: 200_000 }));
  expect(large.size).toBe(4);
});

it('places sixteen of one turn together, or as many bytes as one call carries', async () => {
  const placer = new Placer(SPREAD, () => 0);
  const groups = [0, 1].flatMap((partition) => Array.from({ length: 16 }, () => partition));
  expect(places(placer, 33)).toEqual([...groups, 2]);
  await nextTurn();
  expect(places(placer, 2, { inputBytes: MAX_JOINED_BYTES / 2 })).toEqual([3, 3]);
  expect(places(placer, 1, { inputBytes: 1 })).toEqual([0]);
  await nextTurn();
  // One that is larger than that has a call of its own.
  expect(places(placer, 2, { inputBytes: MAX_JOINED_BYTES + 1 })).toEqual([1, 2]);
});

it('does not move executions with a fixed partition, and does not count them', async () => {
  const placer = new Placer(SPREAD, () => 0);
  const [keyed] = places(placer, 1, { idempotencyKey: 'k' });
  expect(new Set(places(placer, 100, { idempotencyKey: 'k' }))).toEqual(new Set([keyed]));
  expect(places(placer, 16)).toEqual(Array.from({ length: 16 }, () => 0));
  const byLane = new Placer({ count: 4, placement: 'lane' });
  const first = places(byLane, 200);
  await nextTurn();
  expect(new Set([...first, ...places(byLane, 1)]).size).toBe(1);
});
