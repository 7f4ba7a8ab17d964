/** The label of a suspension, in which a worker says how many signals have come. */
import { expect, test } from 'vitest';
import { labelOf, partsIn } from '../../src/shared/awaited-signals.js';

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
