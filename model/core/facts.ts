/**
 * Tables of facts: a single declaration of what is stored of an entity. A table determines the TypeScript type of the
 * entity, its stored form on both sides (`model/core/codec.ts`, and the Lua that `lua/codec.ts` generates), its
 * canonical form, and the defaults of its facts.
 *
 * A table is divided into *facets*: facts that are written together. A facet is one short text on the server, so that a
 * transition reads and writes only the facets that it touches. Facts of the facet `long` are texts that can be long;
 * each is stored by itself, beside the facets.
 */
import { keysOf } from './tables.js';

/** Kinds of stored values. */
export type FactKind =
  | 'text'
  /** A UUID; stored as 22 characters, see `shortIdOf`. */
  | 'id'
  | 'number'
  | 'boolean'
  /** One of a few words, each with its stored letter. */
  | 'choice'
  /** A list of tokens without commas. */
  | 'list'
  /** A flat map of texts. */
  | 'map'
  /** A map of numbers. */
  | 'counts'
  /** Any JSON value, stored as canonical JSON. */
  | 'tree'
  /** A list of records, stored as canonical JSON. */
  | 'records';

/** Writes a value as a text, and reads it. */
export interface ValueCodec<Value = unknown> {
  readonly encode: (value: Value) => string;
  readonly decode: (text: string) => Value;
}

export interface Fact<Value = unknown> {
  readonly kind: FactKind;
  /** Replaces the codec of the kind. */
  readonly codec?: ValueCodec;
  /** The value while nothing is stored; a fact without one must always be stored. */
  readonly fallback?: Value;
  readonly required: boolean;
  /** The stored letters of the words of a choice. */
  readonly letters?: Readonly<Record<string, string>>;
  /** Valid only while the entity has an owner; a stored value is ignored at other times. */
  readonly ofOwner: boolean;
}

export type Facet = Readonly<Record<string, Fact>>;
export type FactTable = Readonly<Record<string, Facet>>;

export type ValueOf<F> = F extends Fact<infer Value> ? Value : never;
type Union<Table extends FactTable> = Table[keyof Table];
type Names<Table extends FactTable> = Union<Table> extends infer F ? (F extends Facet ? keyof F : never) : never;
type FactNamed<Table extends FactTable, Name extends PropertyKey> = Extract<Union<Table>, Record<Name, Fact>>[Name];

/** The facts of one facet, by name. */
export type FactsIn<Of extends Facet> = { [Name in keyof Of & string]: ValueOf<Of[Name]> };

/** The entity that a table describes. */
export type StateOf<Table extends FactTable> = { [Name in Names<Table>]: ValueOf<FactNamed<Table, Name>> };

const required = <Value>(kind: FactKind): Fact<Value> => ({ kind, required: true, ofOwner: false });
const optional = <Value>(kind: FactKind): Fact<Value | undefined> => ({
  kind,
  required: false,
  ofOwner: false,
  fallback: undefined,
});

/** A text that is always present. */
export const text = (): Fact<string> => required('text');
export const optionalText = (): Fact<string | undefined> => optional('text');
/** A text that can be empty; the default is empty. */
export const words = (): Fact<string> => ({ kind: 'text', required: false, ofOwner: false, fallback: '' });
export const id = (): Fact<string> => required('id');
export const optionalId = (): Fact<string | undefined> => optional('id');
/** A number that is always present: a time, a size. */
export const number = (): Fact<number> => required('number');
export const optionalNumber = (): Fact<number | undefined> => optional('number');
/** A number that starts at zero. */
export const counter = (): Fact<number> => ({ kind: 'number', required: false, ofOwner: false, fallback: 0 });
export const flag = (): Fact<boolean> => ({ kind: 'boolean', required: false, ofOwner: false, fallback: false });
export const list = (): Fact<readonly string[]> => ({ kind: 'list', required: false, ofOwner: false, fallback: [] });
export const map = (): Fact<Readonly<Record<string, string>>> => ({
  kind: 'map',
  required: false,
  ofOwner: false,
  fallback: {},
});
export const counts = (): Fact<Readonly<Record<string, number>>> => ({
  kind: 'counts',
  required: false,
  ofOwner: false,
  fallback: {},
});
export const tree = <Value>(): Fact<Value | undefined> => optional('tree');
/** A JSON value with a shorter text of its own. */
export const treeAs = <Value>(codec: ValueCodec<Value>): Fact<Value | undefined> => ({
  ...optional<Value>('tree'),
  codec: codec as ValueCodec,
});
export const records = <Row extends object>(): Fact<readonly Row[]> => ({
  kind: 'records',
  required: false,
  ofOwner: false,
  fallback: [],
});
/** A list of records with a shorter text of its own. */
export const recordsAs = <Row extends object>(codec: ValueCodec<readonly Row[]>): Fact<readonly Row[]> => ({
  ...records<Row>(),
  codec: codec as ValueCodec,
});

/** A word that is always stored. */
export const word = <const Word extends string>(letters: Readonly<Record<Word, string>>): Fact<Word> => ({
  ...choice(letters),
  required: true,
});

/** A word whose default is the first one. */
export function choice<const Word extends string>(letters: Readonly<Record<Word, string>>): Fact<Word> {
  const [first] = keysOf(letters);
  if (first === undefined) throw new TypeError('A choice needs words.');
  if (new Set(Object.values(letters)).size !== Object.keys(letters).length) {
    throw new TypeError('Two words of a choice have one letter.');
  }
  return { kind: 'choice', required: false, ofOwner: false, fallback: first, letters };
}

/** Makes a fact valid only while the entity has an owner. */
export const ofOwner = <Value>(fact: Fact<Value>): Fact<Value> => ({ ...fact, ofOwner: true });

/** Declares a table. @throws TypeError when two facets have a fact of the same name */
export function factTable<const Table extends FactTable>(table: Table): Table {
  const seen = new Set<string>();
  for (const facet of Object.values(table)) {
    for (const name of Object.keys(facet)) {
      if (seen.has(name)) throw new TypeError(`Two facets hold a fact "${name}".`);
      seen.add(name);
    }
  }
  return table;
}

/** Every fact of a table by its name, in the order of the table. */
export function factsOf(table: FactTable): ReadonlyMap<string, Fact> {
  return new Map(Object.values(table).flatMap((facet) => Object.entries(facet)));
}

/** The facet whose facts are stored one by one. */
export const LONG = 'long';

/** The facet whose facts are stored beside the record, in forms of their own. */
export const BESIDE = 'beside';

/** The facets that are texts of the record. */
export const facetsOf = (table: FactTable): [string, Facet][] =>
  Object.entries(table).filter(([facet]) => facet !== LONG && facet !== BESIDE);
