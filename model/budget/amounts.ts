/**
 * Arithmetic on amounts: numbers by dimension, in the byte order of the names, so that equal amounts are equal texts.
 */
import { present } from '../core/present.js';
import { compareBytes } from '../ids.js';
import { LIMITS } from '../limits.js';
import type { Amounts } from './facts.js';

/** The amount of a dimension; 0 when the map does not name it. */
export const amountOf = (amounts: Amounts, dimension: string): number =>
  Object.hasOwn(amounts, dimension) ? present(amounts[dimension]) : 0;

export const dimensionsOf = (amounts: Amounts): string[] => Object.keys(amounts);

/** Whether two maps have the same amounts. */
export const isSame = (a: Amounts, b: Amounts): boolean =>
  [...dimensionsOf(a), ...dimensionsOf(b)].every((name) => amountOf(a, name) === amountOf(b, name));

/** The amounts, ordered by dimension. */
export const inOrder = (entries: Iterable<readonly [string, number]>): Amounts =>
  Object.fromEntries([...entries].sort(([a], [b]) => compareBytes(a, b)));

/** The sum of two maps, dimension by dimension. */
export function plus(a: Amounts, b: Amounts): Amounts {
  const sum = new Map(Object.entries(a));
  for (const [dimension, amount] of Object.entries(b)) sum.set(dimension, (sum.get(dimension) ?? 0) + amount);
  return inOrder(sum);
}

/** `a - b`, at least 0 in each dimension. Dimensions that come to 0 are left out. */
export function minus(a: Amounts, b: Amounts): Amounts {
  return positive(Object.entries(a).map(([dimension, amount]) => [dimension, amount - amountOf(b, dimension)]));
}

/** `a - b`, at least 0 in each dimension. All dimensions of `a` are kept. */
export function lessened(a: Amounts, b: Amounts): Amounts {
  return inOrder(
    Object.entries(a).map(([dimension, amount]) => [dimension, Math.max(0, amount - amountOf(b, dimension))]),
  );
}

/** Only the amounts above 0. */
export const positive = (entries: readonly (readonly [string, number])[]): Amounts =>
  inOrder(entries.filter(([, amount]) => amount > 0));

/** Whether every amount can be stored exactly. */
const isExact = (amounts: Amounts): boolean => Object.values(amounts).every((amount) => amount <= LIMITS.maxInteger);

/** Caps every amount at the largest exact integer: a total for audits stops there. */
export const bounded = (amounts: Amounts): Amounts =>
  isExact(amounts)
    ? amounts
    : inOrder(Object.entries(amounts).map(([name, amount]) => [name, Math.min(amount, LIMITS.maxInteger)]));

/** Milliseconds of a day. */
export const DAY_MS = 86_400_000;

/** The number of the day (UTC) that a time falls into. */
export const dayOf = (at: number): number => Math.floor(at / DAY_MS);
