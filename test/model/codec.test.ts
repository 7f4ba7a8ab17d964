/** What is stored is read back as it was, for every table of facts and for any other; damage is named. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { facetCodec } from '../../model/core/codec.js';
import { textsOf, type EventDeclaration } from '../../model/core/event.js';
import * as fact from '../../model/core/facts.js';
import type { Facet, Fact, FactTable } from '../../model/core/facts.js';
import { EngineError } from '../../model/errors.js';
import { EVENTS } from '../../model/events.js';
import { resolvedEdges, stagedEdges } from '../../model/flow/staged-edges.js';
import { compareBytes, UUID_PATTERN } from '../../model/ids.js';
import { isShortId, shortIdOf, uuidOf } from '../../model/short-id.js';
import { ENTITIES } from '../../model/state.js';

const uuid = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) =>
  Buffer.from(bytes)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
);
const hasControl = (text: string): boolean =>
  [...text].some((letter) => letter < ' ' || (letter >= '\x7f' && letter < '\xa0'));
const wellFormed = (min: number) => fc.string({ unit: 'binary', minLength: min, maxLength: 20 });
const label = wellFormed(1).filter((text) => !hasControl(text));
const token = label.filter((text) => !text.includes(',') && !/\s/u.test(text));
const name = fc.stringMatching(/^[a-z]{1,8}$/);
const json = fc.dictionary(name, fc.oneof(wellFormed(0), fc.nat(), fc.boolean(), fc.array(name)), {
  noNullPrototype: true,
});

const edge = { edgeId: uuid, upstream: uuid, dataPassingRef: fc.oneof(label, fc.constant('')) };
const records = (members: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<unknown> =>
  fc.array(fc.record(members, { noNullPrototype: true }), { maxLength: 3 });

/** Records that have a text of their own, by its codec. */
const RECORDS = new Map<unknown, fc.Arbitrary<unknown>>([
  [stagedEdges, records(edge)],
  [resolvedEdges, records({ edgeId: uuid })],
]);

/** Legal values of a fact; `alone` when nothing else is stored in the same text. */
function valuesOf({ kind, letters, required, fallback, codec }: Fact, alone: boolean): fc.Arbitrary<unknown> {
  const some: Record<Fact['kind'], fc.Arbitrary<unknown>> = {
    text: alone ? wellFormed(1) : label,
    id: uuid,
    number: fc
      .oneof(fc.maxSafeInteger(), fc.constantFrom(0, Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER))
      .map((n) => n + 0),
    boolean: fc.boolean(),
    choice: fc.constantFrom(...Object.keys(letters ?? { none: '' })),
    list: fc.array(token, { maxLength: 4 }),
    map: fc.dictionary(name, wellFormed(0), { noNullPrototype: true }),
    counts: fc.dictionary(name, fc.nat(), { noNullPrototype: true }),
    tree: json,
    records: RECORDS.get(codec) ?? fc.array(json, { maxLength: 3 }),
  };
  return required ? some[kind] : fc.oneof({ weight: 3, arbitrary: some[kind] }, fc.constant(fallback));
}

const entityOf = (facet: Facet): fc.Arbitrary<Record<string, unknown>> =>
  fc.record(
    Object.fromEntries(
      Object.entries(facet).map(([name, declared]) => [name, valuesOf(declared, Object.keys(facet).length === 1)]),
    ),
    { noNullPrototype: true },
  );

function isIdentity(facet: Facet): void {
  const { encode, decode } = facetCodec(facet);
  fc.assert(
    fc.property(entityOf(facet), (entity) => {
      expect(decode(encode(entity))).toStrictEqual(entity);
    }),
    { numRuns: 200 },
  );
}

/** Every text that is stored or logged, by what it is of. */
const STORED: readonly (readonly [string, Facet])[] = [
  ...Object.entries(ENTITIES).flatMap(([kind, { facts }]) =>
    textsOf(facts as FactTable).map((text) => [`${kind}.${text.name}`, text.facts] as const),
  ),
  ...Object.entries(EVENTS as Record<string, EventDeclaration>).flatMap(([type, { facts }]) =>
    textsOf(facts).map((text) => [`${type}.${text.name}`, text.facts] as const),
  ),
];

const LETTERS = { first: 'f', second: 's', third: 't' } as const;
const ANY_FACT = fc.constantFrom<Fact>(
  fact.text(),
  fact.optionalText(),
  fact.words(),
  fact.id(),
  fact.optionalId(),
  fact.number(),
  fact.optionalNumber(),
  fact.counter(),
  fact.flag(),
  fact.list(),
  fact.map(),
  fact.counts(),
  fact.tree(),
  fact.records(),
  fact.choice(LETTERS),
  fact.word(LETTERS),
);

describe('the stored form', () => {
  it.each(STORED)('of %s is read back as it was', (_, facet) => isIdentity(facet));

  it('of any facet is read back as it was', () => {
    const facets = fc.array(ANY_FACT, { minLength: 1, maxLength: 6 });
    const worlds = facets
      .map((facts): Facet => Object.fromEntries(facts.map((one, i) => [`fact${i}`, one])))
      .chain((facet) => entityOf(facet).map((entity) => ({ facet, entity })));
    fc.assert(
      fc.property(worlds, ({ facet, entity }) => {
        const { encode, decode } = facetCodec(facet);
        expect(decode(encode(entity))).toStrictEqual(entity);
      }),
      { numRuns: 1_000 },
    );
  });

  it('ignores trailing values of a newer build', () => {
    const { decode } = facetCodec({ one: fact.optionalNumber() });
    expect(decode('5\tlater')).toEqual({ one: 5 });
  });

  it('of an older build lacks newer facts', () => {
    const { decode } = facetCodec({ one: fact.number(), later: fact.counter(), list: fact.list() });
    expect(decode('5')).toEqual({ one: 5, later: 0, list: [] });
  });

  it('differs for different values', () => {
    const facet = { a: fact.number(), b: fact.optionalText(), c: fact.list(), d: fact.flag() };
    const { encode } = facetCodec(facet);
    fc.assert(
      fc.property(entityOf(facet), entityOf(facet), (one, other) => {
        expect(encode(one) === encode(other)).toBe(JSON.stringify(one) === JSON.stringify(other));
      }),
    );
  });

  it.each<[string, Fact, string]>([
    ['a number with a letter', fact.number(), '12a'],
    ['a number in another form', fact.number(), '1e3'],
    ['a number with a space', fact.number(), ' 1'],
    ['a number that is not exact', fact.number(), '9007199254740993'],
    ['a fraction', fact.number(), '1.5'],
    ['a missing number', fact.number(), ''],
    ['an id that is too short', fact.id(), 'abc'],
    ['an id with another letter', fact.id(), `${'-'.repeat(21)}*`],
    ['an id that no UUID has', fact.id(), `${'-'.repeat(21)}0`],
    ['a letter that stands for nothing', fact.choice(LETTERS), 'x'],
    ['a truth that is neither', fact.flag(), '0'],
    ['JSON that does not parse', fact.tree(), '{'],
    ['a map that is a list', fact.map(), '[]'],
    ['rows that are a map', fact.records(), '{}'],
  ])('is refused as corruption: %s', (_, declared, text) => {
    const { decode } = facetCodec({ one: declared, two: fact.counter() });
    const refusal = (): unknown => {
      try {
        return decode(`${text}\t`);
      } catch (error) {
        return error;
      }
    };
    expect(refusal()).toBeInstanceOf(EngineError);
    expect(refusal()).toMatchObject({ code: 'corruption', message: expect.stringContaining('one: ') });
  });
});

describe('short ids', () => {
  it('stand for one UUID each, in 22 characters', () => {
    fc.assert(
      fc.property(uuid, (id) => {
        const short = shortIdOf(id);
        expect(isShortId(short)).toBe(true);
        expect(uuidOf(short)).toBe(id);
      }),
      { numRuns: 2_000 },
    );
  });

  it('are in the order of their UUIDs', () => {
    const near = uuid.chain((one) =>
      fc.tuple(fc.nat(35), fc.constantFrom(...'0123456789abcdef')).map(([place, digit]) => {
        const other = one[place] === '-' ? one : one.slice(0, place) + digit + one.slice(place + 1);
        return [one, other] as const;
      }),
    );
    fc.assert(
      fc.property(fc.oneof(near, fc.tuple(uuid, uuid)), ([one, other]) => {
        expect(Math.sign(compareBytes(shortIdOf(one), shortIdOf(other)))).toBe(Math.sign(compareBytes(one, other)));
      }),
      { numRuns: 2_000 },
    );
  });

  it('are exactly these texts', () => {
    const letters = fc.constantFrom(...'-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz');
    const texts = fc.array(letters, { minLength: 22, maxLength: 22 }).map((all) => all.join(''));
    fc.assert(
      fc.property(texts, (text) => {
        if (!isShortId(text)) return;
        expect(uuidOf(text)).toMatch(UUID_PATTERN);
        expect(shortIdOf(uuidOf(text))).toBe(text);
      }),
      { numRuns: 5_000 },
    );
    for (const text of ['', 'a', '-'.repeat(21), '-'.repeat(23), `${'-'.repeat(21)}\n`, `${'-'.repeat(21)} `])
      expect(isShortId(text)).toBe(false);
  });
});
