/** Bad input: valid arguments with one or two members replaced by unsuitable values. */
import fc from 'fast-check';

/** Payloads, capabilities and tag values that must not appear in any message. */
export const SECRET = 'hush-7f3a';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A value that is wrong for some or all members. `undefined` removes the member. */
const BAD_VALUES: readonly (readonly [string, unknown])[] = [
  ['missing', undefined],
  ['null', null],
  ['true', true],
  ['an empty text', ''],
  ['white space', ' \t'],
  ['a secret', SECRET],
  ['a secret with a comma', `${SECRET},b`],
  ['a secret list with a bad token', [SECRET, 'a b']],
  ['70 000 characters', 'x'.repeat(70_000)],
  ['a NUL', 'a\u0000b'],
  ['a control character', 'a\u0007b'],
  ['a C1 control character', 'a\u0085b'],
  ['a lone surrogate', 'a\ud800'],
  ['a lone low surrogate', '\udc00z'],
  ['braces and a colon', '{fp:1}:x'],
  ['an upper-case UUID', '0000000A-0000-4000-A000-000000000000'],
  ['a partition out of range', '{fp:65536}'],
  ['a partition with a leading zero', '{fp:00}'],
  ['an id of a partition out of range', '{fp:99999}:00000000-0000-4000-a000-000000000000'],
  ['the number as text', '1'],
  ['-1', -1],
  ['-0', -0],
  ['0', 0],
  ['1.5', 1.5],
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
  ['2^53', 2 ** 53],
  ['-2^53', -(2 ** 53)],
  ['2^53 - 1', Number.MAX_SAFE_INTEGER],
  ['1e308', 1e308],
  ['a bigint', 10n],
  ['a symbol', Symbol('bad')],
  ['a function', () => 1],
  ['an empty list', []],
  // biome-ignore lint/suspicious/noSparseArray: the hole is the point
  ['a list with a hole', [, 'a']],
  ['a list of nulls', [null]],
  ['a list of numbers', [1, Number.NaN]],
  ['300 tokens', Array.from({ length: 300 }, (_, i) => `t${i}`)],
  ['a token of 5 000 characters', ['y'.repeat(5_000)]],
  ['an empty object', {}],
  ['an object without prototype', Object.create(null)],
  ['an own __proto__', JSON.parse('{"__proto__":{"polluted":true}}')],
  ['a constructor member', { constructor: { prototype: { polluted: true } } }],
  ['a bad tag key', { 'No-Dot': SECRET }],
  ['a tag key of 9 000 characters', { [`a.${'k'.repeat(9_000)}`]: SECRET }],
  ['a tag value that is too long', { 'a.b': SECRET.repeat(500) }],
  ['a tag value that is no text', { 'a.b': 5 }],
  ['70 tags', Object.fromEntries(Array.from({ length: 70 }, (_, i) => [`a.b${i}`, 'v']))],
  ['a date', new Date(0)],
  ['a map', new Map([['a', 1]])],
  ['a proxy of a list', new Proxy([], {})],
  ['bytes', bytes(SECRET)],
  ['bytes that are no UTF-8', Uint8Array.of(0xff, 0xfe, 0xc0)],
  ['a typed array of other numbers', new Uint16Array(4)],
  ['an array buffer', new ArrayBuffer(4)],
  ['bytes one over the limit', new Uint8Array(8 * 1024 * 1024 + 1)],
];

/** One replacement: the member (by its position among all of them), and the new value. */
export interface Spoiling {
  readonly at: number;
  readonly value: (typeof BAD_VALUES)[number];
}

export const spoiling: fc.Arbitrary<Spoiling> = fc.record({ at: fc.nat(60), value: fc.constantFrom(...BAD_VALUES) });

type Plain = Record<string, unknown>;
const isPlain = (value: unknown): value is Plain =>
  typeof value === 'object' &&
  value !== null &&
  (Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype);

/** Paths of all members, including nested ones. */
export function pathsOf(value: unknown): string[][] {
  if (!isPlain(value)) return [];
  return Object.keys(value).flatMap((key) => [[key], ...pathsOf(value[key]).map((rest) => [key, ...rest])]);
}

/** A copy with the member at the path replaced, or removed when the value is undefined. */
function withMember(value: unknown, [head, ...rest]: readonly string[], replacement: unknown): unknown {
  if (head === undefined) return replacement;
  const copy = (Array.isArray(value) ? [...(value as unknown[])] : { ...(value as Plain) }) as Plain;
  if (rest.length > 0) copy[head] = isPlain(copy[head]) ? withMember(copy[head], rest, replacement) : copy[head];
  else if (replacement === undefined) delete copy[head];
  else copy[head] = replacement;
  return copy;
}

/** The spoilt arguments, and a description of the changes. */
export function spoil(
  args: object,
  spoilings: readonly Spoiling[],
  foreign: readonly string[] = [],
): { args: unknown; what: string } {
  const places = [...pathsOf(args), ...foreign.map((name) => [name])];
  let spoilt: unknown = args;
  const what: string[] = [];
  for (const { at, value } of spoilings) {
    const path = places[at % places.length] as string[];
    spoilt = withMember(spoilt, path, value[1]);
    what.push(`${path.join('.')} is ${value[0]}`);
  }
  return { args: spoilt, what: what.join(', ') };
}
