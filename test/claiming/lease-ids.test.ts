import { expect, it } from 'vitest';
import { LeaseIdStock } from '../../src/claiming/lease-ids.js';

function stock(): { stock: LeaseIdStock; minted: () => number } {
  let minted = 0;
  return { stock: new LeaseIdStock(() => `id${minted++}`), minted: () => minted };
}

it('unused ids of a claim are used by the next one, and used ids never again', () => {
  const { stock: ids, minted } = stock();
  const first = ids.take(3);
  expect(minted()).toBe(6);
  ids.giveBack(first, [first[0] as { leaseId: string }]);
  const second = ids.take(3);
  expect(minted()).toBe(8);
  expect(second.some(({ leaseId }) => leaseId === first[0]?.leaseId)).toBe(false);
  expect(new Set(second.flatMap(({ leaseId, attemptId }) => [leaseId, attemptId])).size).toBe(6);
  ids.giveBack(second, []);
  ids.take(3);
  expect(minted()).toBe(8);
});

it('ids are not reused when the answer is not in their order', () => {
  const { stock: ids, minted } = stock();
  const [one, two] = ids.take(2) as [{ leaseId: string; attemptId: string }, { leaseId: string; attemptId: string }];
  ids.giveBack([one, two], [two, one]);
  ids.take(2);
  expect(minted()).toBe(8);
});

it('a bounded number of ids is kept', () => {
  const { stock: ids, minted } = stock();
  const many = Array.from({ length: 20 }, () => ids.take(100));
  for (const each of many) ids.giveBack(each, []);
  const before = minted();
  for (let i = 0; i < 11; i++) ids.take(100);
  expect(minted() - before).toBe(200);
});
