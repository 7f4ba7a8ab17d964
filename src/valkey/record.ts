/** The record of an execution as it is stored, read by the table of facts. */
import { FIELDS, SPILLED } from '../../lua/layout.js';
import { facetCodec, type FacetCodec, codecOf } from '../../model/core/codec.js';
import { factsOf, LONG, type Fact } from '../../model/core/facts.js';
import { EngineError } from '../../model/errors.js';
import { executionFacts, type ReadonlyExecution } from '../../model/execution/facts.js';
import { isActiveSituation } from '../../model/execution/situation.js';

type FieldName = keyof typeof FIELDS;

const FACETS: readonly (readonly [FieldName, FacetCodec])[] = Object.entries(executionFacts)
  .filter(([facet]) => facet !== LONG)
  .map(([facet, facts]) => [facet as FieldName, facetCodec(facts)]);

const LONG_FACTS = Object.entries<Fact>(executionFacts.long) as [FieldName, Fact][];

const OWNERS_FACTS = [...factsOf(executionFacts)].filter(([, { ofOwner }]) => ofOwner);

/** The texts of one record: of its core, and of what did not fit there. */
export interface StoredRecord {
  readonly core: ReadonlyMap<string, string>;
  readonly details: ReadonlyMap<string, string>;
}

/** An execution as the model knows it. @throws EngineError `corruption` that names the fact */
export function decodeRecord(executionId: string, { core, details }: StoredRecord): ReadonlyExecution | undefined {
  if (core.size === 0) return undefined;
  const stored = (name: FieldName): string | undefined => {
    const value = core.get(FIELDS[name]);
    if (value !== SPILLED) return value;
    const spilled = details.get(FIELDS[name]);
    if (spilled === undefined) throw new EngineError('corruption', `${executionId}: ${name}: is missing.`);
    return spilled;
  };
  const execution: Record<string, unknown> = { executionId };
  try {
    for (const [facet, codec] of FACETS) codec.decode(stored(facet) ?? '', execution);
    for (const [name, fact] of LONG_FACTS) {
      const value = stored(name);
      // A long text can be empty and still be there.
      execution[name] = value === undefined ? fact.fallback : codecOf(fact).decode(value);
    }
  } catch (error) {
    const words = error instanceof EngineError ? error.message : 'unreadable';
    throw new EngineError('corruption', `${executionId}: ${words}`);
  }
  // What is left of the last owner means nothing.
  if (!isActiveSituation(execution['situation'] as ReadonlyExecution['situation'])) {
    for (const [name, { fallback }] of OWNERS_FACTS) execution[name] = fallback;
  }
  return execution as ReadonlyExecution;
}
