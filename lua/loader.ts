/**
 * Writes out `ff.loader('naming', ...)`: a function that reads an execution's life and some facets, by one command, into
 * one table that is made in one piece. A loop over names made a table that grew five times.
 */
import { facetPatterns } from './codec.js';
import { LONG, type FactTable } from '../model/core/facts.js';
import { snakeCase } from '../model/core/kinds.js';
import { FIELDS, SPILLED } from './layout.js';

/** The field that a facet, or a fact that can be long, is stored in, by its name in the Lua. */
const FIELD_OF: ReadonlyMap<string, string> = new Map(
  Object.entries(FIELDS).map(([name, field]) => [snakeCase(name), field]),
);

/** A long input has a key of its own: the sign in its place is told to the caller of the loader. */
const KEPT_AS_SIGN: ReadonlySet<string> = new Set(['input']);

/** What `life` holds besides letters is digits. */
const lifePattern = (count: number): string => `^(.)\\t(.?)${'\\t(%d*)'.repeat(count - 2)}`;

/** Facets that every execution has. */
const ALWAYS_THERE: ReadonlySet<string> = new Set(['naming', 'given']);

/** Long enough for the values that an older build did not know. */
const PAD = '\\t'.repeat(8);

/** The text of a loader. @throws Error when a name is no field */
export function loaderText(table: FactTable, names: readonly string[]): string {
  const facts = Object.keys(table['life'] ?? {}).map(snakeCase);
  const values = facts.map((_, i) => `f${i + 1}`).join(', ');
  const patterns = facetPatterns(table);
  const fieldOf = (name: string): string => {
    const field = FIELD_OF.get(name);
    if (field === undefined || name === LONG) throw new Error(`lua: an execution has no field "${name}"`);
    return field;
  };
  const fields = ['life', ...names].map((name) => JSON.stringify(fieldOf(name))).join(', ');
  const locals = names.flatMap((name, i) => {
    const read = `  local ${name} = values[${i + 2}] or ''`;
    if (KEPT_AS_SIGN.has(name)) return [read];
    const whole = `  if ${name} == "${SPILLED}" then ${name} = ff.spilled(key, "${fieldOf(name)}") end`;
    const pattern = patterns.get(name);
    if (pattern === undefined) return [read, whole];
    // Whatever is read of it later can be read: nothing that is damaged reaches what writes.
    const mayBeAbsent = ALWAYS_THERE.has(name) ? '' : `${name} ~= '' and `;
    const isReadable = `string.find(${name}, "${pattern}") or string.find(${name} .. "${PAD}", "${pattern}")`;
    return [read, whole, `  if ${mayBeAbsent}not (${isReadable}) then ff.damaged('${name} is unreadable') end`];
  });
  const attempts = `f${facts.indexOf('total_attempt_count') + 1}`;
  const owned = names.includes('fence')
    ? [`  if fence == '' and ${attempts} ~= '' then ff.damaged('the fence is missing') end`]
    : [];
  return [
    'function(call, id)',
    '  local key = call.base .. id',
    `  local values = server.pcall('HMGET', key, ${fields})`,
    "  if values.err then ff.damaged('the record is none') end",
    '  local life = values[1]',
    '  if not life then return ff.no_life(key) end',
    `  local ${values} = string.match(life, '${lifePattern(facts.length)}')`,
    "  if not (f1 and PHASE[f1]) then ff.damaged('life is unreadable') end",
    ...locals,
    ...owned,
    '  return {',
    `    id = id, key = key, ${facts.map((fact, i) => `${fact} = f${i + 1}`).join(', ')},`,
    `    ${names.map((name) => `${name} = ${name}`).join(', ')},`,
    '  }',
    'end',
  ].join('\n');
}
