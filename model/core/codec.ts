/**
 * The stored form of facets and of the facts of events: values joined by tabs, which no value can hold. The Lua that
 * `lua/codec.ts` writes from the same tables reads and writes the same texts.
 */
import { EngineError } from '../errors.js';
import { isShortId, shortIdOf, uuidOf } from '../short-id.js';
import type { Facet, Fact, FactKind } from './facts.js';

/** Between two values. Texts that share a facet are names and labels, which have no control characters. */
const SEPARATOR = '\t';

type Encode = (value: unknown) => string;
type Decode = (text: string) => unknown;

export interface ValueCodec {
  readonly encode: Encode;
  readonly decode: Decode;
}

const corrupt = (what: string): EngineError => new EngineError('corruption', `${what}.`);

function numberOf(text: string): number {
  const value = Number(text);
  // Also refuses what is a number in another form, and so was not written by us.
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
    encode: (value) => letters[value as string] as string,
    decode(letter) {
      const word = words.get(letter);
      if (word === undefined) throw corrupt(`"${letter.slice(0, 40)}" stands for nothing`);
      return word;
    },
  };
}

/** How a value of a kind is written and read. Absent values, and empty ones, are the empty text. */
export function codecOf({ kind, letters }: Pick<Fact, 'kind' | 'letters'>): ValueCodec {
  return kind === 'choice' ? choiceCodec(letters ?? {}) : CODECS[kind];
}

/** Lists and maps without members are what stands while nothing is stored. An empty tree is a value like any other. */
function isAbsent(kind: FactKind, value: unknown): boolean {
  if (value === undefined) return true;
  return kind !== 'tree' && typeof value === 'object' && Object.keys(value as object).length === 0;
}

/** The stored text of one value; the empty text when it is absent, or what stands while nothing is stored. */
function encodeFact(fact: Fact, value: unknown): string {
  if (isAbsent(fact.kind, value) || (!fact.required && fact.kind !== 'text' && value === fact.fallback)) return '';
  return codecOf(fact).encode(value);
}

/** The value of a stored text. @throws EngineError `corruption` */
export function decodeFact(name: string, fact: Fact, text: string): unknown {
  if (text === '') {
    if (fact.required) throw corrupt(`${name}: is missing`);
    return fact.fallback;
  }
  try {
    return codecOf(fact).decode(text);
  } catch (cause) {
    throw new EngineError('corruption', `${name}: ${cause instanceof EngineError ? cause.message : 'unreadable'}`);
  }
}

export interface FacetCodec {
  readonly encode: (entity: Readonly<Record<string, unknown>>) => string;
  /** Sets the facts of the facet. Values behind those that are known (of a newer build) are passed over. */
  readonly decode: (text: string, entity: Record<string, unknown>) => void;
}

/**
 * How a facet is written and read. A text that stands alone is all of what is stored: it may hold tabs, as free texts
 * do. Any other facet can get further facts later.
 */
export function facetCodec(facet: Facet): FacetCodec {
  const names = Object.keys(facet);
  const facts = Object.values(facet);
  const isFreeText = facts.length === 1 && facts[0]?.kind === 'text';
  return {
    encode: (entity) => facts.map((fact, i) => encodeFact(fact, entity[names[i] as string])).join(SEPARATOR),
    decode(text, entity) {
      const values = isFreeText ? [text] : text.split(SEPARATOR);
      for (let i = 0; i < names.length; i++) {
        const name = names[i] as string;
        entity[name] = decodeFact(name, facts[i] as Fact, values[i] ?? '');
      }
    },
  };
}
