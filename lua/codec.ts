/**
 * The Lua that reads and writes facets, from the table of facts; the twin of `model/core/codec.ts`. For each facet:
 * `ff.read_<facet>(entity)` sets its facts, absent ones to the empty text; `ff.<facet>_text(...)` joins them. For kinds
 * other than executions the names include the kind: `ff.read_<kind>_<facet>`, `ff.<kind>_<facet>_text`.
 */
import { facetsOf, type Fact, type Facet, type FactTable } from '../model/core/facts.js';
import { snakeCase } from '../model/core/kinds.js';

const CAPTURE = '([^\\t]*)';

/** The pattern of a value. A number that does not match is damage, which the reader finds. */
const valuePattern = ({ kind, required }: Fact): string =>
  `${kind === 'number' ? '%d' : '[^\\t]'}${required ? '+' : '*'}`;

const valuePatterns = (facet: Facet): string[] => Object.values(facet).map(valuePattern);

/** Patterns of the texts of an entity's facets, by facet. Further values at the end are ignored. */
export function facetPatterns(table: FactTable): ReadonlyMap<string, string> {
  return new Map(facetsOf(table).map(([facet, facts]) => [facet, `^${valuePatterns(facts).join('\\t')}`]));
}

/** Whether the library calls a function. */
type Uses = (name: string) => boolean;

/** `prefix` precedes the name of the facet in the names of the functions. */
function facetCodec(facet: string, facts: Facet, prefix: string, uses: Uses): string[] {
  const named = `${prefix}${snakeCase(facet)}`;
  // The last value of an execution's `life` is no fact: the library adds it, see `EXTRAS`.
  const isLife = prefix === '' && facet === 'life';
  // Most of these texts omit their last values: a match that fails costs as much as one that succeeds.
  const isCut = prefix === 'waits_' && (facet === 'waitpoint' || facet === 'signal');
  const names = [...Object.keys(facts).map(snakeCase), ...(isLife ? ['extras'] : [])];
  const targets = names.map((name) => `entity.${name}`).join(', ');
  const locals = names.map((_, i) => `v${i + 1}`).join(', ');
  const pattern = `^${[...valuePatterns(facts), ...(isLife ? ['%a*'] : [])].map((value) => `(${value})`).join('\\t')}`;
  const pad = '\\t'.repeat(names.length - 1);
  const read = [
    `function ff.read_${named}(entity)`,
    `  local text = entity.${snakeCase(facet)}`,
    `  if text == '' then`,
    `    ${targets} = ${names.map(() => "''").join(', ')}`,
    '    return',
    '  end',
    ...(isCut
      ? [`  local ${locals} = string.match(text .. '${pad}', '${pattern}')`]
      : [
          `  local ${locals} = string.match(text, '${pattern}')`,
          // An older build, with fewer facts, wrote fewer values.
          `  if not v1 then ${locals} = string.match(text .. '${pad}', '${pattern}') end`,
        ]),
    `  if not v1 then ff.damaged('${facet} is unreadable') end`,
    `  ${targets} = ${locals}`,
    'end',
    '',
  ];
  const write = [
    `function ff.${named}_text(${locals})`,
    `  return ${names.map((_, i) => `v${i + 1}`).join(" .. '\\t' .. ")}`,
    'end',
    '',
  ];
  return [...(uses(`ff.read_${named}`) ? read : []), ...(uses(`ff.${named}_text`) ? write : [])];
}

/** The Lua file with the codecs of a kind's facets that the library uses. */
export function recordCodecFile(kind: string, table: FactTable, uses: Uses): string {
  return facetsOf(table)
    .flatMap(([facet, facts]) => facetCodec(facet, facts, `${kind}_`, uses))
    .join('\n');
}

/** The Lua file with the codecs of an execution's facets that the library uses. */
export function codecFile(table: FactTable, uses: Uses): string {
  return [
    '-- Written from the table of facts (lua/codec.ts).',
    '',
    ...facetsOf(table).flatMap(([facet, facts]) => facetCodec(facet, facts, '', uses)),
    'local known_namings, known_count = {}, 0',
    '',
    '-- Whether a naming can be read: that of most executions was read before.',
    'function ff.check_naming(naming)',
    '  if known_namings[naming] then return end',
    `  local isReadable = string.find(naming, "${facetPatterns(table).get('naming')}")`,
    "  if not isReadable then ff.damaged('naming is unreadable') end",
    '  if known_count == LIMIT.known_namings then known_namings, known_count = {}, 0 end',
    '  known_namings[naming], known_count = true, known_count + 1',
    'end',
    '',
    '-- Namespace, lane, kind and creator.',
    'function ff.split_naming(naming)',
    `  local namespace, lane_id, execution_kind, creator_identity = string.match(naming, '^${Array(4).fill(CAPTURE).join('\\t')}')`,
    "  if not namespace then ff.damaged('naming is unreadable') end",
    '  return namespace, lane_id, execution_kind, creator_identity',
    'end',
    '',
  ].join('\n');
}
