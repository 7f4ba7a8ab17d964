/**
 * The schema of a file: the facts of every event and every entity, by name, in their order in the texts. A file
 * contains the schema that it was written with, and is read by it; facts that were added later get their fallback. A
 * file with events or facts that only a newer package knows is refused (`library_mismatch`), not read in part.
 */
import { factCodec } from '../../model/core/codec.js';
import { textsOf, type EventDeclaration } from '../../model/core/event.js';
import { factsOf, LONG, type Facet, type FactTable, type ValueCodec } from '../../model/core/facts.js';
import { EngineError } from '../../model/errors.js';
import { EVENTS } from '../../model/events.js';
import { entityNamed, ENTITY_KINDS, type EntityKind } from '../../model/state.js';
import { interned } from './interned.js';

/** Names of the facts of each text, in their order. */
type Texts = readonly (readonly string[])[];

/** The stored form, JSON. */
export interface Schema {
  /** By the letter of the event. */
  readonly events: Readonly<Record<string, { readonly type: string; readonly texts: Texts }>>;
  /** In the order of their stored numbers. */
  readonly entities: readonly { readonly kind: string; readonly texts: Texts }[];
}

const namesOf = (texts: readonly { readonly facts: Facet }[]): Texts => texts.map(({ facts }) => Object.keys(facts));

/** The texts of an entity: one for each facet, and one for each long fact. */
const textsOfEntity = (facts: FactTable): readonly { readonly facts: Facet }[] => textsOf(facts);

const DECLARED = Object.values(EVENTS) as readonly EventDeclaration[];

/** The schema of this package. */
export const SCHEMA: Schema = {
  events: Object.fromEntries(
    DECLARED.map(({ type, letter, facts }) => [letter, { type, texts: namesOf(textsOf(facts)) }]),
  ),
  entities: ENTITY_KINDS.map((kind) => ({ kind, texts: namesOf(textsOfEntity(entityNamed(kind).facts)) })),
};

/** The codec of a fact. */
export interface FactCodec extends ValueCodec {
  readonly name: string;
  /** Its value when nothing is stored; undefined for a required fact. */
  readonly fallback: unknown;
  readonly required: boolean;
}

/** The facts of one text. */
export interface TextCodec {
  readonly facts: readonly FactCodec[];
  /** Whether one of them is required. */
  readonly required: boolean;
}

/** The codec of an event or an entity. */
export interface RecordCodec {
  /** The type of the event, or the kind of the entity. */
  readonly name: string;
  /** The fact that holds the id of its subject. */
  readonly key: string;
  /** Whether the subject is an execution, whose id is stored in its short form. */
  readonly isExecution: boolean;
  readonly texts: readonly TextCodec[];
  /**
   * A template of the record with all members, the facts with their fallbacks. Copying it and setting the stored facts
   * is several times as fast as adding members to a copy.
   */
  readonly blank: Readonly<Record<string, unknown>>;
}

interface Declaration {
  readonly subject: { readonly kind: string; readonly key: string };
  readonly facts: FactTable;
}

/** Members of a record besides its facts and the id of its subject. */
type Head = Readonly<Record<string, unknown>>;
const headOfEvent = (type: string): Head => ({ type, at: 0 });
const NO_HEAD: Head = {};

function codecOfRecord(name: string, { subject, facts }: Declaration, texts: Texts, head: Head): RecordCodec {
  const declared = factsOf(facts);
  const codecOf = (fact: string): FactCodec => {
    const known = declared.get(fact);
    if (known === undefined) throw newer(`the fact "${fact}" of ${name}`);
    const { required, fallback } = known;
    const { encode, decode } = factCodec(fact, known);
    const isName = known.kind === 'text' && !Object.hasOwn(facts[LONG] ?? {}, fact);
    return {
      name: fact,
      required,
      fallback,
      encode,
      decode: isName ? (text) => interned(decode(text) as string) : decode,
    };
  };
  return {
    name,
    key: subject.key,
    isExecution: subject.kind === 'execution',
    texts: texts.map((names) => {
      const codecs = names.map(codecOf);
      return { facts: codecs, required: codecs.some(({ required }) => required) };
    }),
    blank: {
      ...head,
      [subject.key]: '',
      ...Object.fromEntries([...declared].map(([fact, { fallback }]) => [fact, fallback])),
    },
  };
}

function newer(what: string): EngineError {
  return new EngineError('library_mismatch', `The store was written by a newer package: it has ${what}.`);
}

export interface SchemaCodecs {
  /** By letter; events that this package does not know are absent: see `eventCodec`. */
  readonly events: ReadonlyMap<string, RecordCodec>;
  readonly entities: readonly RecordCodec[];
}

const SCHEMA_TEXT = JSON.stringify(SCHEMA);

/**
 * The codecs for a file with this schema. @throws EngineError `library_mismatch` for entities and facts that only a
 * newer package knows
 */
export function codecsOf(schema: Schema): SchemaCodecs {
  return JSON.stringify(schema) === SCHEMA_TEXT ? OWN_CODECS : made(schema);
}

function made({ events, entities }: Schema): SchemaCodecs {
  const byLetter = new Map(DECLARED.map((declaration) => [declaration.letter, declaration]));
  return {
    events: new Map(
      Object.entries(events).flatMap(([letter, { type, texts }]) => {
        const declared = byLetter.get(letter);
        return declared === undefined
          ? []
          : [[letter, codecOfRecord(type, declared, texts, headOfEvent(type))] as const];
      }),
    ),
    entities: entities.map(({ kind, texts }) => {
      if (!ENTITY_KINDS.includes(kind as EntityKind)) throw newer(`entities "${kind}"`);
      return codecOfRecord(kind, entityNamed(kind as EntityKind), texts, NO_HEAD);
    }),
  };
}

/** The codec of a letter. @throws EngineError `library_mismatch` for an event that this package does not know */
export function eventCodec(codecs: SchemaCodecs, letter: string): RecordCodec {
  const codec = codecs.events.get(letter);
  if (codec === undefined) throw newer(`an event "${letter.slice(0, 4)}"`);
  return codec;
}

/** The codecs with which this package writes. */
export const OWN_CODECS: SchemaCodecs = made(SCHEMA);
