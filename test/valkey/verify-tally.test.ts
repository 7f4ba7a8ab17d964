/** The numbers that a verification keeps while records change, beside those counted anew from all records. */
import { expect, test } from 'vitest';
import { COUNTED_FLOW, COUNTED_HELD } from '../../lua/layout.js';
import { Tally } from '../../src/valkey/verify/tally.js';

type Row = readonly [lane: string, letter: string, held: string, flow: string];

test('the tally of a verification agrees with all records after any changes', () => {
  const tally = new Tally();
  const rows = new Map<string, Row>();
  let seed = 1;
  const below = (limit: number): number => (seed = (seed * 48_271) % 2_147_483_647) % limit;
  for (let i = 0; i < 2_000; i++) {
    const id = `id${below(100)}`;
    if (below(3) === 0) {
      rows.delete(id);
      tally.delete(id);
    } else {
      const row: Row = [
        `lane${below(3)}`,
        'abc'.charAt(below(3)),
        ['', '1'][below(2)] ?? '',
        ['', 'f', 'g'][below(3)] ?? '',
      ];
      rows.set(id, row);
      tally.set(id, row);
    }
  }
  const expected = new Map<string, number>();
  const met = new Map<string, number>();
  const addTo = (all: Map<string, number>) => (name: string, letter: string, number: number) =>
    void all.set(`${name} ${letter}`, (all.get(`${name} ${letter}`) ?? 0) + number);
  for (const [lane, letter, held, flow] of rows.values()) {
    addTo(expected)(lane, letter, 1);
    if (held === '1') addTo(expected)(lane, COUNTED_HELD, 1);
    if (flow !== '') addTo(expected)(COUNTED_FLOW + flow, letter, 1);
  }
  tally.eachOfLanes(addTo(met));
  for (const flow of tally.flows) tally.eachOfFlow(flow, addTo(met));
  expect([...met].filter(([, number]) => number !== 0).sort()).toEqual([...expected].sort());
  for (const flow of ['f', 'g'])
    expect([...tally.membersOf(flow)].sort()).toEqual(
      [...rows].flatMap(([id, row]) => (row[3] === flow ? [id] : [])).sort(),
    );
  expect(tally.size).toBe(rows.size);
  for (const id of rows.keys()) tally.delete(id);
  expect([tally.size, [...tally.flows]]).toEqual([0, []]);
});
