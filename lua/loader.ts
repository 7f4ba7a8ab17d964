/**
 * Generates the function for `ff.loader('naming', ...)`, which reads an execution's life and some facets with one
 * command into one table constructor. A loop over names made a table that grew five times.
 */
import { facetPatterns } from './codec.js';
import { facetsOf, LONG, type FactTable } from '../model/core/facts.js';
import { snakeCase } from '../model/core/kinds.js';
import { EXTRAS, FIELDS, SPILLED, type RecordLayout } from './layout.js';

/** The field of a facet, or of a fact that can be long, by its name in the Lua. */
const FIELD_OF: ReadonlyMap<string, string> = new Map(
  Object.entries(FIELDS).map(([name, field]) => [snakeCase(name), field]),
);

/** Long values of these have keys of their own, so the loader returns the mark in their place unchanged. */
const KEPT_AS_SIGN: ReadonlySet<string> = new Set(['input', 'result']);

const IS_EXTRA: ReadonlySet<string> = new Set(EXTRAS.map(snakeCase));

/** `life` is letters, then digits, then the letters of the extras. */
const lifePattern = (count: number): string => `^(.)\\t(.?)${'\\t(%d*)'.repeat(count - 2)}\\t(%a*)$`;

function fieldOf(name: string): string {
  const field = FIELD_OF.get(name);
  if (field === undefined || name === LONG) throw new Error(`lua: an execution has no field "${name}"`);
  return field;
}

/** Facets of every execution. */
const ALWAYS_THERE: ReadonlySet<string> = new Set(['naming', 'given']);

/** Enough for the values that an older build did not write. */
const PAD = '\\t'.repeat(8);

/**
 * `ff.parse_life(text)` returns the facts of `life` and the extras. Executions that were claimed in one call have the
 * same life, and mostly end in one call, so the last text is not parsed again. A single letter is a life unchanged
 * since the creation.
 */
export function lifeParser(table: FactTable): string {
  const facts = Object.keys(table['life'] ?? {});
  const values = [...facts.map((_, i) => `f${i + 1}`), 'extras'].join(', ');
  const absent = facts.map(() => "''").join(', ');
  return [
    'local last_life',
    `local ${values}`,
    'function ff.parse_life(life)',
    '  if life ~= last_life then',
    '    last_life = nil',
    '    if life == SITUATION.ready then',
    `      ${values} = life, ${absent}`,
    '    else',
    `      ${values} = string.match(life, '${lifePattern(facts.length)}')`,
    "      if not (f1 and PHASE[f1]) then ff.damaged('life is unreadable') end",
    '    end',
    '    last_life = life',
    '  end',
    `  return ${values}`,
    'end',
    '',
  ].join('\n');
}

/** `ff.loader('*')`: every facet that can affect where an execution is filed, including facets added later. */
const EVERYTHING = '*';

const everyName = (table: FactTable): string[] =>
  [
    ...facetsOf(table)
      .map(([facet]) => facet)
      .filter((facet) => facet !== 'life'),
    'tags',
    'rules',
  ].map(snakeCase);

/**
 * The text of a loader of executions. With `refills`, its third argument is a table that it filled before and that got
 * no further facts since, and the code that compares the fence must check it. @throws Error when a name is no field
 */
// biome-ignore lint/complexity/noExcessiveLinesPerFunction: one text, in the order in which it is generated
export function loaderText(table: FactTable, names: readonly string[], refills: boolean): string {
  if (names[0] === EVERYTHING) return loaderText(table, everyName(table), refills);
  const facts = Object.keys(table['life'] ?? {}).map(snakeCase);
  const values = facts.map((_, i) => `f${i + 1}`).join(', ');
  const patterns = facetPatterns(table);
  const always = names.filter((name) => !IS_EXTRA.has(name));
  const extras = names.filter((name) => IS_EXTRA.has(name));
  const field = (name: string): string => JSON.stringify(fieldOf(name));
  // Every text is checked at once, so damage is found before anything is written.
  const checked = (name: string): string[] => {
    const pattern = patterns.get(name);
    // The code that compares the fence checks it.
    if (pattern === undefined || (refills && name === 'fence')) return [];
    if (name === 'naming') return ['  ff.check_naming(naming)'];
    const mayBeAbsent = ALWAYS_THERE.has(name) ? '' : `${name} ~= '' and `;
    const isReadable = `string.find(${name}, "${pattern}") or string.find(${name} .. "${PAD}", "${pattern}")`;
    return [`  if ${mayBeAbsent}not (${isReadable}) then ff.damaged('${name} is unreadable') end`];
  };
  // Two fields are compared one by one, which costs less than their concatenation.
  const [only] = always.length === 1 ? always : [];
  const locals = always.flatMap((name, i) => {
    const value = only === undefined ? `values[${i + 2}]` : `command('HGET', key, ${field(only)})`;
    const read = `  local ${name} = ${value} or ''`;
    if (KEPT_AS_SIGN.has(name)) return [read];
    const whole = `  if ${name} == "${SPILLED}" then ${name} = ff.spilled(key, ${field(name)}) end`;
    const check = checked(name);
    if (!refills || check.length === 0) return [read, whole, ...check];
    // This text was checked before.
    return [
      read,
      `  if not record or ${name} ~= record.${name} then`,
      `  ${whole}`,
      ...check.map((line) => `  ${line}`),
      '  end',
    ];
  });
  const life =
    only === undefined
      ? [
          ...(refills
            ? askedFor(['life', ...always].map(field))
            : [`  local values = attempted('HMGET', key, ${['life', ...always].map(field).join(', ')})`]),
          '  if values.err then ff.no_hash(values) end',
          '  local life = values[1]',
        ]
      : [
          `  local life = attempted('HGET', key, ${field('life')})`,
          "  if life and type(life) ~= 'string' then ff.no_hash(life) end",
        ];
  const more = [
    `  local ${extras.join(', ')} = ${extras.map(() => "''").join(', ')}`,
    // The extras list the letters of the fields that are present.
    `  if extras ~= '' and string.find(extras, '[${extras.map(fieldOf).join('')}]') then`,
    ...(refills
      ? expectedExtras(extras, always.length + 1)
      : extras.map((name) => `    ${name} = ff.load_extra(key, extras, ${field(name)})`)),
    ...extras
      .flatMap((name) => (refills ? checkedAnew(name, checked(name)) : checked(name)))
      .map((line) => `  ${line}`),
    ...(refills ? ["  elseif extras == '' then", "    expected = ''"] : []),
    '  end',
  ];
  const attempts = `f${facts.indexOf('total_attempt_count') + 1}`;
  const ownedIf = (attempts: string): string[] =>
    names.includes('fence')
      ? [`  if fence == '' and ${attempts} ~= '' then ff.damaged('the fence is missing') end`]
      : [];
  const members = [
    ...['id', 'key', 'life'].map((name) => [name, name] as const),
    ...facts.map((fact, i) => [fact, `f${i + 1}`] as const),
    ...['extras', ...names].map((name) => [name, name] as const),
  ];
  // Executions that were claimed together mostly have the same life, whose facts the reused table has already.
  const own = ['id', 'key', ...always].map((name) => [name, name] as const);
  const assign = (some: readonly (readonly [string, string])[]): string =>
    `${some.map(([name]) => `record.${name}`).join(', ')} = ${some.map(([, value]) => value).join(', ')}`;
  const refillAlike = [
    "  if record and life == record.life and record.extras == '' then",
    ...ownedIf('record.total_attempt_count').map((line) => `  ${line}`),
    `    ${assign(own)}`,
    '    return record',
    '  end',
  ];
  const ofLife = [
    ['life', 'life'] as const,
    ...facts.map((fact, i) => [fact, `f${i + 1}`] as const),
    ['extras', 'extras'] as const,
  ];
  const refill = [
    '  if record then',
    `    if life ~= record.life then ${assign(ofLife)} end`,
    `    ${assign(['id', 'key', ...names].map((name) => [name, name] as const))}`,
    '    return record',
    '  end',
  ];
  const body = [
    refills ? 'function(call, id, record)' : 'function(call, id)',
    '  local key = call.base .. id',
    ...life,
    "  if not life then return ff.no_record(key, 'life') end",
    ...locals,
    ...(refills ? refillAlike : []),
    `  local ${values}, extras = ff.parse_life(life)`,
    ...(extras.length > 0 ? more : []),
    ...ownedIf(attempts),
    ...(refills ? refill : []),
    `  return { ${members.map(([name, value]) => `${name} = ${value}`).join(', ')} }`,
    'end',
  ];
  if (!refills) return body.join('\n');
  const checkedExtras = extras.filter((name) => checked(name).length > 0).map(knownText);
  return [
    '(function()',
    // The extras of the previous record, the fields that were requested for it, and their positions in the answer.
    "local expected, fields, places = '', {}, {}",
    ...(checkedExtras.length > 0 ? [`local ${checkedExtras.join(', ')}`] : []),
    `return ${body.join('\n')}`,
    'end)()',
  ].join('\n');
}

/** A record mostly has the extras of the previous one, so they are requested with the other fields. */
const askedFor = (fields: readonly string[]): string[] => [
  '  local values',
  "  if expected == '' then",
  `    values = attempted('HMGET', key, ${fields.join(', ')})`,
  '  else',
  `    values = attempted('HMGET', key, ${fields.join(', ')}, unpack(fields))`,
  '  end',
];

/** The requested extras of a record; `before` is the number of fields before them in the answer. */
function expectedExtras(extras: readonly string[], before: number): string[] {
  const field = (name: string): string => JSON.stringify(fieldOf(name));
  return [
    '    if extras == expected then',
    ...extras.map(
      (name, i) =>
        `      if places[${i + 1}] then ${name} = ff.found_extra(key, ${field(name)}, values[places[${i + 1}]]) end`,
    ),
    '    else',
    `      expected = extras`,
    `      fields, places = ff.places_of_extras(extras, '${extras.map(fieldOf).join('')}', ${before})`,
    ...extras.map((name) => `      ${name} = ff.load_extra(key, extras, ${field(name)})`),
    '    end',
  ];
}

const knownText = (name: string): string => `known_${name}`;

/** A text equal to that of the previous record is not checked again. */
const checkedAnew = (name: string, check: readonly string[]): string[] =>
  check.length === 0
    ? []
    : [
        `  if ${name} ~= ${knownText(name)} then`,
        ...check.map((line) => `  ${line}`),
        `    ${knownText(name)} = ${name}`,
        '  end',
      ];

/**
 * The text of a loader of another kind's records, `ff.record('<kind>', ...)`: a function of a call and an id that
 * returns the record with the named facets as texts, checked, or nil if it does not exist. @throws Error when a name is
 * no field
 */
export function recordLoaderText(
  kind: string,
  table: FactTable,
  layout: RecordLayout,
  names: readonly string[],
): string {
  const first = snakeCase(Object.keys(table)[0] ?? '');
  const fields = new Map(Object.entries(layout.fields).map(([name, field]) => [snakeCase(name), field]));
  const patterns = new Map([...facetPatterns(table)].map(([facet, pattern]) => [snakeCase(facet), pattern]));
  const wanted = [first, ...names.filter((name) => name !== first)];
  const fieldNamed = (name: string): string => {
    const field = fields.get(name);
    if (field === undefined) throw new Error(`lua: a ${kind} has no field "${name}"`);
    return field;
  };
  const read = wanted.flatMap((name, i) => {
    const pattern = patterns.get(name);
    return [
      `  local ${name} = values[${i + 1}] or ''`,
      `  if ${name} == "${SPILLED}" then ${name} = ff.spilled(key, "${fieldNamed(name)}") end`,
      ...(pattern === undefined
        ? []
        : [
            `  if ${name === first ? '' : `${name} ~= '' and `}not (string.find(${name}, "${pattern}") or string.find(${name} .. "${PAD}", "${pattern}")) then`,
            `    ff.damaged('${name} is unreadable')`,
            '  end',
          ]),
    ];
  });
  return [
    'function(call, id)',
    `  local key = call.base .. "${layout.key}" .. id`,
    `  local values = attempted('HMGET', key, ${wanted.map((name) => `"${fieldNamed(name)}"`).join(', ')})`,
    '  if values.err then ff.no_hash(values) end',
    `  if not values[1] then return ff.no_record(key, '${first}') end`,
    ...read,
    `  return { id = id, key = key, ${wanted.map((name) => `${name} = ${name}`).join(', ')} }`,
    'end',
  ].join('\n');
}
