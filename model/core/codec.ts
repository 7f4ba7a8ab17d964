/**
 * The stored form of facets and of the facts of events: values joined by tabs, which no value can contain. The Lua that
 * `lua/codec.ts` generates from the same tables reads and writes the same texts.
 */
import { EngineError } from '../errors.js';
import { isShortId, shortIdOf, uuidOf } from '../short-id.js';
import { present } from './present.js';
import type { Facet, Fact, FactKind, FactsIn, ValueCodec, ValueOf } from './facts.js';

/** Separates two values. Texts that share a facet are names and labels, which have no control characters. */
const SEPARATOR = '\t';

const corrupt = (what: string): EngineError => new EngineError('corruption', `${what}.`);

function numberOf(text: string): number {
  const value = Number(text);
  // Also rejects other notations of a number, which the engine never writes.
  if (!Number.isSafeInteger(value) || String(value) !== text) throw corrupt(`"${text.slice(0, 40)}" is not an integer`);
  return value;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new EngineError('corruption', 'A stored JSON text does not parse.', { cause });
  }
}

function booleanOf(text: string): boolean {
  if (text !== '1') throw corrupt(`"${text.slice(0, 40)}" is neither true nor false`);
  return true;
}

function idOf(text: string): string {
  if (!isShortId(text)) throw corrupt(`"${text.slice(0, 40)}" is not an id`);
  return uuidOf(text);
}

const TREE: ValueCodec = { encode: (value) => JSON.stringify(value), decode: jsonOf };

function jsonWhere(isIt: (value: unknown) => boolean, what: string): ValueCodec {
  return {
    encode: TREE.encode,
    decode(text) {
      const value = jsonOf(text);
      if (!isIt(value)) throw corrupt(`A stored JSON text is not ${what}`);
      return value;
    },
  };
}

const RECORD = jsonWhere((value) => typeof value === 'object' && value !== null && !Array.isArray(value), 'an object');
const ROWS = jsonWhere(Array.isArray, 'a list');

const CODECS: Readonly<Record<Exclude<FactKind, 'choice'>, ValueCodec>> = {
  text: { encode: (value) => value as string, decode: (text) => text },
  id: { encode: (value) => shortIdOf(value as string), decode: idOf },
  number: { encode: (value) => String(value as number), decode: numberOf },
  boolean: { encode: (value) => (value === true ? '1' : ''), decode: booleanOf },
  list: { encode: (value) => (value as readonly string[]).join(','), decode: (text) => text.split(',') },
  map: RECORD,
  counts: RECORD,
  tree: TREE,
  records: ROWS,
};

function choiceCodec(letters: Readonly<Record<string, string>>): ValueCodec {
  const words = new Map(Object.entries(letters).map(([word, letter]) => [letter, word]));
  return {
    encode: (value) => present(letters[value as string]),
    decode(letter) {
      const word = words.get(letter);
      if (word === undefined) throw corrupt(`"${letter.slice(0, 40)}" stands for nothing`);
      return word;
    },
  };
}

/** How a fact that is present is written and read. Absent and empty values are the empty text. */
export function codecOf({ kind, letters, codec }: Pick<Fact, 'kind' | 'letters' | 'codec'>): ValueCodec {
  return codec ?? (kind === 'choice' ? choiceCodec(letters ?? {}) : CODECS[kind]);
}

/**
 * Whether a value is stored as the empty text: empty lists and maps are the default. An empty tree is a value like any
 * other.
 */
function isAbsent(kind: FactKind, value: unknown): boolean {
  if (value === undefined) return true;
  return kind !== 'tree' && typeof value === 'object' && Object.keys(value as object).length === 0;
}

/**
 * How a fact is written and read, created once. The empty text means an absent value, or the default. Reading throws
 * EngineError `corruption`.
 */
export function factCodec(name: string, fact: Fact): ValueCodec {
  const { kind, required, fallback } = fact;
  const { encode, decode } = codecOf(fact);
  const skipsFallback = !required && kind !== 'text';
  return {
    encode: (value) => (isAbsent(kind, value) || (skipsFallback && value === fallback) ? '' : encode(value)),
    decode(text) {
      if (text === '') {
        if (required) throw corrupt(`${name}: is missing`);
        return fallback;
      }
      try {
        return decode(text);
      } catch (cause) {
        throw new EngineError('corruption', `${name}: ${cause instanceof EngineError ? cause.message : 'unreadable'}`);
      }
    },
  };
}

export interface FacetCodec<Of extends Facet = Facet> {
  readonly encode: (facts: Readonly<Record<string, unknown>>) => string;
  /** The facts of the facet. Further values at the end, of a newer build, are ignored. */
  readonly decode: (text: string) => FactsIn<Of>;
}

/**
 * How a facet is written and read. A facet with a single text is stored unchanged and may contain tabs, as free texts
 * do. Any other facet can get further facts later.
 */
export function facetCodec<const Of extends Facet>(facet: Of): FacetCodec<Of> {
  const facts = Object.entries<Fact>(facet);
  const codecs = facts.map(([name, fact]) => ({ name, ...factCodec(name, fact) }));
  const isFreeText = facts.length === 1 && facts[0]?.[1].kind === 'text';
  return {
    encode: (values) => codecs.map(({ name, encode }) => encode(values[name])).join(SEPARATOR),
    decode(text) {
      const values = isFreeText ? [text] : text.split(SEPARATOR);
      const decoded: Record<string, unknown> = {};
      codecs.forEach(({ name, decode }, place) => {
        decoded[name] = decode(values[place] ?? '');
      });
      return decoded as FactsIn<Of>;
    },
  };
}

/** Reads one fact from the text of its facet without decoding the others. */
export function factReader<const Of extends Facet, Name extends keyof Of & string>(
  facet: Of,
  name: Name,
): (text: string) => ValueOf<Of[Name]> {
  const place = Object.keys(facet).indexOf(name);
  const { decode } = factCodec(name, present<Fact>(facet[name]));
  return (text) => {
    let from = 0;
    for (let i = 0; i < place; i++) {
      const end = text.indexOf(SEPARATOR, from);
      from = end === -1 ? text.length : end + 1;
    }
    const end = text.indexOf(SEPARATOR, from);
    return decode(end === -1 ? text.slice(from) : text.slice(from, end)) as never;
  };
}
