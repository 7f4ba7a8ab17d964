/**
 * The stored form of facets and of the facts of events: values joined by tabs, which no value can hold. The Lua that
 * `lua/codec.ts` writes from the same tables reads and writes the same texts.
 */
import { EngineError } from '../errors.js';
import { shortIdOf, uuidOf } from '../short-id.js';
import type { Facet, Fact, FactKind } from './facts.js';

/** Between two values. Texts that reach a facet are names and labels, which have no control characters. */
export const SEPARATOR = '\t';

type Encode = (value: unknown) => string;
type Decode = (text: string) => unknown;

export interface ValueCodec {
  readonly encode: Encode;
  readonly decode: Decode;
}

const corrupt = (what: string): EngineError => new EngineError('corruption', `${what}.`);

function numberOf(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw corrupt(`"${text.slice(0, 40)}" is not an integer`);
  return value;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new EngineError('corruption', 'A stored JSON text does not parse.', { cause });
  }
}

const JSON_CODEC: ValueCodec = { encode: (value) => JSON.stringify(value), decode: jsonOf };

const CODECS: Readonly<Record<Exclude<FactKind, 'choice'>, ValueCodec>> = {
  text: { encode: (value) => value as string, decode: (text) => text },
  id: { encode: (value) => shortIdOf(value as string), decode: uuidOf },
  number: { encode: (value) => String(value as number), decode: numberOf },
  boolean: { encode: (value) => (value === true ? '1' : ''), decode: (text) => text === '1' },
  list: { encode: (value) => (value as readonly string[]).join(','), decode: (text) => text.split(',') },
  map: JSON_CODEC,
  counts: JSON_CODEC,
  tree: JSON_CODEC,
  records: JSON_CODEC,
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

const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  (Array.isArray(value) && value.length === 0) ||
  (typeof value === 'object' && value !== null && Object.keys(value).length === 0);

/** The stored text of one value; the empty text when it is absent, or what stands while nothing is stored. */
export function encodeFact(fact: Fact, value: unknown): string {
  if (isEmpty(value) || (!fact.required && fact.kind !== 'text' && value === fact.fallback)) return '';
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

/** How a facet is written and read. */
export function facetCodec(facet: Facet): FacetCodec {
  const names = Object.keys(facet);
  const facts = Object.values(facet);
  return {
    encode: (entity) => facts.map((fact, i) => encodeFact(fact, entity[names[i] as string])).join(SEPARATOR),
    decode(text, entity) {
      const values = text.split(SEPARATOR);
      for (let i = 0; i < names.length; i++) {
        const name = names[i] as string;
        entity[name] = decodeFact(name, facts[i] as Fact, values[i] ?? '');
      }
    },
  };
}
