/** Arithmetic on amounts: numbers by dimension, in the byte order of the names, so that two equal ones are one text. */
import { compareBytes } from '../ids.js';
import { LIMITS } from '../limits.js';
import type { Amounts } from './facts.js';

/** The amount of a dimension, 0 where nothing is said of it. */
export const amountOf = (amounts: Amounts, dimension: string): number =>
  Object.hasOwn(amounts, dimension) ? (amounts[dimension] as number) : 0;

export const dimensionsOf = (amounts: Amounts): string[] => Object.keys(amounts);

/** Amounts in their order. */
export const inOrder = (entries: Iterable<readonly [string, number]>): Amounts =>
  Object.fromEntries([...entries].sort(([a], [b]) => compareBytes(a, b)));

/** The sum of two, dimension by dimension. */
export function plus(a: Amounts, b: Amounts): Amounts {
  const sum = new Map(Object.entries(a));
  for (const [dimension, amount] of Object.entries(b)) sum.set(dimension, (sum.get(dimension) ?? 0) + amount);
  return inOrder(sum);
}

/** The first without the second: never less than nothing, and dimensions of which nothing is left are gone. */
export function minus(a: Amounts, b: Amounts): Amounts {
  return positive(Object.entries(a).map(([dimension, amount]) => [dimension, amount - amountOf(b, dimension)]));
}

/** The first without the second, with its dimensions: 0 where nothing is left. */
export function lessened(a: Amounts, b: Amounts): Amounts {
  return inOrder(
    Object.entries(a).map(([dimension, amount]) => [dimension, Math.max(0, amount - amountOf(b, dimension))]),
  );
}

/** Those that are more than nothing. */
export const positive = (entries: readonly (readonly [string, number])[]): Amounts =>
  inOrder(entries.filter(([, amount]) => amount > 0));

/** Whether a sum can be stored exactly. */
export const isExact = (amounts: Amounts): boolean =>
  Object.values(amounts).every((amount) => amount <= LIMITS.maxInteger);

/** None above what a number holds exactly: a total for audit stays there. */
export const bounded = (amounts: Amounts): Amounts =>
  isExact(amounts)
    ? amounts
    : inOrder(Object.entries(amounts).map(([name, amount]) => [name, Math.min(amount, LIMITS.maxInteger)]));

/** Milliseconds of a day. */
export const DAY_MS = 86_400_000;

/** The number of the day (UTC) that a time falls into. */
export const dayOf = (at: number): number => Math.floor(at / DAY_MS);
