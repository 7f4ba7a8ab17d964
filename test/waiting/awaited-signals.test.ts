/** The label of a suspension, in which a worker says how many signals have come. */
import { expect, test } from 'vitest';
import { labelOf, partsIn } from '../../src/shared/awaited-signals.js';
import { all, any, count } from '../../src/index.js';
import { awaitedOf } from '../../src/worker/waits/evaluate.js';

const part = (name: string) => ({ names: [name], received: 1, needed: 2 });

test('a label has the parts for which there is room', () => {
  const parts = ['a', 'b'.repeat(200), 'c'.repeat(96)].map(part);
  expect(partsIn(labelOf(parts.slice(0, 2)))).toEqual(parts.slice(0, 2));
  expect(partsIn(labelOf(parts))).toEqual(parts.slice(0, 2));
  expect(labelOf([part('d'.repeat(300))])).toBe('');
});

test('the label of another program is not read', () => {
  for (const label of ['step 4', '4', '{}', '[]', '[1]', '[null]', '[["1", 2, "a"]]', '[[1, 2, 3]]'])
    expect([label, partsIn(label)]).toEqual([label, undefined]);
});

test('of several parts each says what it needs: any of some names needs one signal', () => {
  expect(awaitedOf(all('a', any('b', 'c'), count(3, 'd')), [])).toEqual([
    { names: ['a'], received: 0, needed: 1 },
    { names: ['b', 'c'], received: 0, needed: 1 },
    { names: ['d'], received: 0, needed: 3 },
  ]);
});
