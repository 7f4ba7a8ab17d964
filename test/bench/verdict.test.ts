/** How the benchmark judges a goal from the rows that were measured. */
import { expect, test } from 'vitest';
import { goals, type Goal } from '../../bench/goals.js';
import type { Row } from '../../bench/rows.js';
import { scenarios } from '../../bench/scenarios/index.js';
import { judge } from '../../bench/verdict.js';

const rates: readonly Row[] = [
  { group: 'drain', name: 'ours', unit: 'jobs/s', values: [300, 200, 400], fresh: [100, 100, 100] },
  { group: 'drain', name: 'a peer', unit: 'jobs/s', values: [100, 200, 100], fresh: [50, 50, 50] },
  { group: 'drain', name: 'the same peer', unit: 'jobs/s', values: [150, 50, 50], fresh: [200, 200, 200] },
];

const goal = (atLeast: number): Goal => ({
  scenario: 'drain',
  title: 'drain',
  subject: { group: 'drain', names: ['ours'] },
  against: { group: 'drain', names: ['a peer', 'the same peer', 'one that was not measured'] },
  bound: { atLeast },
});

test('a ratio is taken run by run, to the best of the other engines in that run', () => {
  const [verdict] = judge([goal(2)], rates);
  expect(verdict?.values).toEqual([2, 1, 4]);
  expect(verdict?.fresh).toEqual([0.5, 0.5, 0.5]);
  expect(verdict?.text).toBe('met');
});

test('the median is judged, and a miss says by how much', () => {
  expect(judge([goal(4)], rates)[0]?.text).toBe('missed by 50.0 %');
});

test('for latencies the smallest is the best', () => {
  const rows: Row[] = rates.map((row) => ({ ...row, unit: 'ms' }));
  expect(judge([goal(2)], rows)[0]?.values).toEqual([3, 4, 8]);
});

test('a goal without a measurement is not judged', () => {
  expect(judge([goal(2)], [])[0]).toMatchObject({ values: [], text: 'not measured' });
});

test('every goal belongs to a scenario', () => {
  const known = new Set(scenarios.map(({ name }) => name));
  expect(goals.map(({ scenario }) => scenario).filter((name) => !known.has(name))).toEqual([]);
});
