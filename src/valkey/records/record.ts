/** Decodes stored records of entities by their tables of facts. */
import { FIELDS, RECORDS, SPILLED, type RecordLayout } from '../../../lua/layout.js';
import { codecOf, facetCodec } from '../../../model/core/codec.js';
import { BESIDE, facetsOf, factsOf, LONG, type Fact, type FactsIn, type FactTable } from '../../../model/core/facts.js';
import { present } from '../../../model/core/present.js';
import { EngineError } from '../../../model/errors.js';
import { executionFacts, type ReadonlyExecution } from '../../../model/execution/facts.js';
import { isActiveSituation } from '../../../model/execution/situation.js';
import { admissionFacts, type Admission } from '../../../model/metering/entity.js';
import { readerFacts, type Reader } from '../../../model/reader/entity.js';
import { entityNamed, type EntityKind, type EntityOf } from '../../../model/state.js';

/**
 * What `read` reads of a row; undefined if it is damaged. Lists leave it out, as only calls that name an entity answer
 * `corruption`.
 */
export function unlessDamaged<Row>(read: () => Row): Row | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof EngineError && error.code === 'corruption') return undefined;
    throw error;
  }
}

/** The texts of a record: its core, and the details that did not fit there. */
export interface StoredRecord {
  readonly core: ReadonlyMap<string, string>;
  readonly details: ReadonlyMap<string, string>;
}

/** Decodes a record of a kind; undefined if it does not exist. @throws EngineError `corruption` that names the fact */
type RecordReader = (id: string, record: StoredRecord) => Record<string, unknown> | undefined;

/** The decoder of a kind, from its table of facts, and the field names of its facets and long facts. */
function recordReader(table: FactTable, fields: Readonly<Record<string, string>>): RecordReader {
  const facets = facetsOf(table).map(([facet, facts]) => [facet, facetCodec(facts)] as const);
  const beside = Object.entries<Fact>(table[BESIDE] ?? {});
  const long = Object.entries<Fact>(table[LONG] ?? {});
  return (id, { core, details }) => {
    if (core.size === 0) return undefined;
    const stored = (name: string): string | undefined => {
      const field = present(fields[name]);
      const value = core.get(field);
      if (value !== SPILLED) return value;
      const spilled = details.get(field);
      if (spilled === undefined) throw new EngineError('corruption', `${id}: ${name}: is missing.`);
      return spilled;
    };
    const entity: Record<string, unknown> = {};
    for (const [name, { fallback }] of beside) entity[name] = fallback;
    try {
      for (const [facet, codec] of facets) Object.assign(entity, codec.decode(stored(facet) ?? ''));
      for (const [name, fact] of long) {
        const value = stored(name);
        if (value === undefined && fact.required) throw new EngineError('corruption', `${name}: is missing.`);
        // An empty long text differs from an absent one.
        entity[name] = value === undefined ? fact.fallback : codecOf(fact).decode(value);
      }
    } catch (error) {
      throw new EngineError('corruption', `${id}: ${error instanceof EngineError ? error.message : 'unreadable'}`);
    }
    return entity;
  };
}

const readExecution = recordReader(executionFacts, FIELDS);

const OWNERS_FACTS = [...factsOf(executionFacts)].filter(([, { ofOwner }]) => ofOwner);

const [AT_LAST_TRANSITION, AT_CREATED] = [
  Object.keys(executionFacts.life).indexOf('lastTransitionAt'),
  Object.keys(executionFacts.given).indexOf('createdAt'),
];

/** Completes the field `life`: without a time of the last transition, the execution is unchanged since its creation. */
function wholeLife(core: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const parts = core.get(FIELDS.life)?.split('\t');
  if (parts === undefined || (parts[AT_LAST_TRANSITION] ?? '') !== '') return core;
  while (parts.length <= AT_LAST_TRANSITION) parts.push('');
  parts[AT_LAST_TRANSITION] = core.get(FIELDS.given)?.split('\t')[AT_CREATED] ?? '';
  return new Map(core).set(FIELDS.life, parts.join('\t'));
}

const LIFE = facetCodec(executionFacts.life);

/** The lifecycle facts of an execution, from the fields `life` and `given`. @throws EngineError `corruption` */
export function lifeOf(core: ReadonlyMap<string, string>): FactsIn<typeof executionFacts.life> {
  return LIFE.decode(wholeLife(core).get(FIELDS.life) ?? '');
}

/** Completes the policy: if its rules contain all of it, only these are stored. */
function wholePolicy({ core, details }: StoredRecord): StoredRecord {
  const rules = core.get(FIELDS.rules);
  if (rules === undefined || core.has(FIELDS.policy)) return { core, details };
  const spilled = details.get(FIELDS.rules);
  return {
    core: new Map(core).set(FIELDS.policy, rules),
    details: spilled === undefined ? details : new Map(details).set(FIELDS.policy, spilled),
  };
}

/** Decodes an execution. @throws EngineError `corruption` that names the fact */
export function decodeRecord(executionId: string, record: StoredRecord): ReadonlyExecution | undefined {
  const execution = readExecution(executionId, wholePolicy({ ...record, core: wholeLife(record.core) }));
  if (execution === undefined) return undefined;
  // Facts of the last owner are not cleared in the record, and have no meaning.
  if (!isActiveSituation(execution['situation'] as ReadonlyExecution['situation'])) {
    for (const [name, { fallback }] of OWNERS_FACTS) execution[name] = fallback;
  }
  return { executionId, ...execution } as ReadonlyExecution;
}

/** Kinds of entities that have records of their own. */
export const RECORD_KINDS: readonly RecordKind[] = (Object.entries(RECORDS) as [EntityKind, RecordLayout][]).map(
  ([kind, { key, fields }]) => {
    const { facts, subject } = entityNamed(kind);
    const read = recordReader(facts, fields);
    return {
      kind,
      key,
      decode(id, record) {
        const entity = read(`${kind} ${id}`, record);
        return entity === undefined ? undefined : { [subject.key]: id, ...entity };
      },
    };
  },
);

/** Decodes an entity of a kind with records of its own. @throws EngineError `corruption` that names the fact */
export function decodeEntity<Kind extends EntityKind>(
  kind: Kind,
  id: string,
  record: StoredRecord,
): EntityOf<Kind> | undefined {
  const entity = RECORD_KINDS.find((declared) => declared.kind === kind)?.decode(id, record);
  return entity as EntityOf<Kind> | undefined;
}

interface RecordKind {
  readonly kind: EntityKind;
  /** The prefix of their keys, before the id. */
  readonly key: string;
  /** Decodes an entity. @throws EngineError `corruption` that names the fact */
  decode(id: string, record: StoredRecord): object | undefined;
}

const readerCodec = facetCodec(readerFacts.position);

const admissionCodec = facetCodec(admissionFacts.holding);

/** Admissions of a partition, from their hash. */
export function admissionsOf(holdings: ReadonlyMap<string, string>): Admission[] {
  return [...holdings].map(([admissionId, holding]) => ({ admissionId, ...admissionCodec.decode(holding) }));
}

/** Readable readers of a partition, from their hash. A reader that is left out is named when it commits. */
export function readersOf(places: ReadonlyMap<string, string>): Map<string, Reader> {
  const readers = new Map<string, Reader>();
  for (const [readerId, place] of places) {
    const position = unlessDamaged(() => readerCodec.decode(place));
    if (position !== undefined) readers.set(readerId, { readerId, ...position });
  }
  return readers;
}
