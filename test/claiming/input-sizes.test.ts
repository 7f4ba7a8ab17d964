import { describe, expect, it } from 'vitest';
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import { InputSizes } from '../../src/claiming/input-sizes.js';

const MIB = 1024 * 1024;
const ofBytes = (...sizes: number[]): ClaimedExecution[] =>
  sizes.map((size) => ({ payloadBytes: size }) as unknown as ClaimedExecution);

describe('the sizes of inputs', () => {
  it('bound the work that is requested at once, per lane, from the first answer on', () => {
    const sizes = new InputSizes();
    expect(sizes.most('a')).toBe(16);
    sizes.came('a', ofBytes(8 * MIB, 8 * MIB));
    sizes.came('b', ofBytes(0, 0));
    expect(sizes.most('a')).toBe(2);
    expect(sizes.most('b')).toBeGreaterThan(100);
    expect(sizes.most('c')).toBe(16);
    sizes.came('c', ofBytes(40 * MIB));
    expect(sizes.most('c')).toBe(1);
  });

  it('rise at once with larger inputs, fall slowly with smaller ones, and go to the maximum after a late answer', () => {
    const sizes = new InputSizes();
    sizes.came('a', ofBytes(10));
    sizes.came('a', ofBytes(4 * MIB));
    expect(sizes.most('a')).toBe(4);
    sizes.came('a', []);
    for (let i = 0; i < 2; i++) sizes.came('a', ofBytes(10, 10));
    expect(sizes.most('a')).toBe(6);
    for (let i = 0; i < 30; i++) sizes.came('a', ofBytes(10));
    expect(sizes.most('a')).toBeGreaterThan(100);
    sizes.late('a', 100);
    expect(sizes.most('a')).toBe(25);
    sizes.late('a', 3);
    expect(sizes.most('a')).toBe(1);
    sizes.late('b', 16);
    expect(sizes.most('b')).toBe(4);
  });

  it('are dropped for the lanes that have been without work the longest, when there are many', () => {
    const sizes = new InputSizes();
    sizes.came('first', ofBytes(8 * MIB));
    for (let lane = 0; lane < 999; lane++) sizes.came(`l${lane}`, ofBytes(8 * MIB));
    expect(sizes.most('first')).toBe(2);
    sizes.came('one more', ofBytes(8 * MIB));
    expect(sizes.most('first')).toBe(16);
    expect(sizes.most('l0')).toBe(2);
  });
});
