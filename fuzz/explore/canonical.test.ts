/** The canonical form of a state omits no fact: it follows from the table of facts. */
import { describe, expect, it } from 'vitest';
import { factsOf, flag, optionalNumber } from '../../model/core/facts.js';
import { executionFacts } from '../../model/execution/facts.js';
import { canonicalFacts, LESSENED } from './canonical.js';

const NOW = 1_000;
const live = { now: NOW, ended: false };
const table = { ...executionFacts, later: { heldAt: optionalNumber(), held: flag() } };

/** A value of each kind, and a different one. */
const VALUES: Readonly<Record<string, readonly [unknown, unknown]>> = {
  text: ['a', 'b'],
  id: [undefined, '00000000-0000-4000-8000-000000000001'],
  number: [NOW + 1, NOW + 2],
  boolean: [false, true],
  choice: ['a', 'b'],
  list: [['a'], ['b']],
  map: [{ a: '1' }, { a: '2' }],
  counts: [{ a: 1 }, { a: 2 }],
  tree: [{ a: 1 }, { a: 2 }],
  records: [[{ a: 1 }], [{ a: 2 }]],
};

describe('the canonical form of an execution', () => {
  const names = [...factsOf(table)].filter(([name]) => !LESSENED.has(name));

  it.each(names)('shows %s', (name, { kind }) => {
    const [one, other] = VALUES[kind] as readonly [unknown, unknown];
    const shown = [one, other].map((value) => canonicalFacts(table, { [name]: value }, live));
    expect(shown[0]).not.toBe(shown[1]);
  });

  it('is the same for all past times, and differs for each future time', () => {
    const at = (heldAt: number): string => canonicalFacts(table, { heldAt }, live);
    expect(at(NOW)).toBe(at(1));
    expect(new Set([at(NOW), at(NOW + 1), at(NOW + 2)]).size).toBe(3);
  });

  it('reduces existing facts only', () => {
    expect([...LESSENED].filter((name) => !factsOf(executionFacts).has(name))).toEqual([]);
  });
});
