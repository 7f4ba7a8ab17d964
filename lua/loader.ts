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

const quotedField = (name: string): string => JSON.stringify(fieldOf(name));

/** Reads the life alone; a single further field is read by a command of its own. */
const READ_LIFE = [
  `  local life = attempted('HGET', key, ${quotedField('life')})`,
  "  if life and type(life) ~= 'string' then ff.no_hash(life) end",
];

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
export const loaderText = (table: FactTable, names: readonly string[], refills: boolean): string =>
  new ExecutionLoader(table, names[0] === EVERYTHING ? everyName(table) : names, refills).text();

/** A member of the table, and the variable with its value. */
type Member = readonly [name: string, value: string];

const asNamed = (names: readonly string[]): Member[] => names.map((name) => [name, name]);

/** Assigns values to members of the reused table. */
const assigned = (members: readonly Member[]): string =>
  `${members.map(([name]) => `record.${name}`).join(', ')} = ${members.map(([, value]) => value).join(', ')}`;

/** The parts of a loader, in the order in which its text has them. */
class ExecutionLoader {
  private readonly patterns: ReadonlyMap<string, string>;
  /** The facts of `life`, and the variables that hold them. */
  private readonly facts: readonly string[];
  /** Fields that every execution has. */
  private readonly always: readonly string[];
  private readonly extras: readonly string[];
  /** The only field beside the life. Two fields are compared one by one, which costs less than their concatenation. */
  private readonly only: string | undefined;

  constructor(
    table: FactTable,
    private readonly names: readonly string[],
    private readonly refills: boolean,
  ) {
    this.patterns = facetPatterns(table);
    this.facts = Object.keys(table['life'] ?? {}).map(snakeCase);
    this.always = names.filter((name) => !IS_EXTRA.has(name));
    this.extras = names.filter((name) => IS_EXTRA.has(name));
    this.only = this.always.length === 1 ? this.always[0] : undefined;
  }

  text(): string {
    const { refills, extras, names } = this;
    const members = [...asNamed(['id', 'key']), ...this.membersOfLife, ...asNamed(names)];
    const body = [
      refills ? 'function(call, id, record)' : 'function(call, id)',
      '  local key = call.base .. id',
      ...(this.only === undefined ? this.readLifeAndFields() : READ_LIFE),
      "  if not life then return ff.no_record(key, 'life') end",
      ...this.always.flatMap((name, i) => this.local(name, i)),
      ...(refills ? this.refillAlike() : []),
      `  local ${this.facts.map((_, i) => `f${i + 1}`).join(', ')}, extras = ff.parse_life(life)`,
      ...(extras.length > 0 ? this.readExtras() : []),
      ...this.fenceOfOwned(`f${this.facts.indexOf('total_attempt_count') + 1}`),
      ...(refills ? this.refill() : []),
      `  return { ${members.map(([name, value]) => `${name} = ${value}`).join(', ')} }`,
      'end',
    ].join('\n');
    if (!refills) return body;
    const checkedTexts = names.filter((name) => this.checked(name).length > 0).map(knownText);
    return [
      '(function()',
      // The extras of the previous record, the fields that were requested for it, and their positions in the answer.
      "local expected, fields, places = '', {}, {}",
      ...(checkedTexts.length > 0 ? [`local ${checkedTexts.join(', ')}`] : []),
      `return ${body}`,
      'end)()',
    ].join('\n');
  }

  private readLifeAndFields(): string[] {
    const fields = ['life', ...this.always].map(quotedField);
    return [
      ...(this.refills ? askedFor(fields) : [`  local values = attempted('HMGET', key, ${fields.join(', ')})`]),
      '  if values.err then ff.no_hash(values) end',
      '  local life = values[1]',
    ];
  }

  /** Reads a field into a local. Every text is checked at once, so damage is found before anything is written. */
  private local(name: string, index: number): string[] {
    const value = this.only === undefined ? `values[${index + 2}]` : `command('HGET', key, ${quotedField(name)})`;
    const read = `  local ${name} = ${value} or ''`;
    if (KEPT_AS_SIGN.has(name)) return [read];
    const whole = `  if ${name} == "${SPILLED}" then ${name} = ff.spilled(key, ${quotedField(name)}) end`;
    const check = this.checked(name);
    if (!this.refills || check.length === 0) return [read, whole, ...check];
    return [read, ...checkedAnew(name, [whole, ...check])];
  }

  private checked(name: string): string[] {
    const pattern = this.patterns.get(name);
    // The code that compares the fence checks it.
    if (pattern === undefined || (this.refills && name === 'fence')) return [];
    if (name === 'naming') return ['  ff.check_naming(naming)'];
    const mayBeAbsent = ALWAYS_THERE.has(name) ? '' : `${name} ~= '' and `;
    const isReadable = `string.find(${name}, "${pattern}") or string.find(${name} .. "${PAD}", "${pattern}")`;
    return [`  if ${mayBeAbsent}not (${isReadable}) then ff.damaged('${name} is unreadable') end`];
  }

  /** Reads the extras; their letters list the fields that are present. */
  private readExtras(): string[] {
    const { extras, refills } = this;
    return [
      `  local ${extras.join(', ')} = ${extras.map(() => "''").join(', ')}`,
      `  if extras ~= '' and string.find(extras, '[${extras.map(fieldOf).join('')}]') then`,
      ...(refills
        ? expectedExtras(extras, this.always.length + 1)
        : extras.map((name) => `    ${name} = ff.load_extra(key, extras, ${quotedField(name)})`)),
      ...extras
        .flatMap((name) => (refills ? checkedAnew(name, this.checked(name)) : this.checked(name)))
        .map((line) => `  ${line}`),
      ...(refills ? ["  elseif extras == '' then", "    expected = ''"] : []),
      '  end',
    ];
  }

  private fenceOfOwned(attempts: string): string[] {
    return this.names.includes('fence')
      ? [`  if fence == '' and ${attempts} ~= '' then ff.damaged('the fence is missing') end`]
      : [];
  }

  /** The life, its facts and the extras. */
  private get membersOfLife(): readonly Member[] {
    return [...asNamed(['life']), ...this.facts.map((fact, i) => [fact, `f${i + 1}`] as const), ...asNamed(['extras'])];
  }

  /** Executions that were claimed together mostly have the same life, whose facts the reused table has already. */
  private refillAlike(): string[] {
    return [
      "  if record and life == record.life and record.extras == '' then",
      ...this.fenceOfOwned('record.total_attempt_count').map((line) => `  ${line}`),
      `    ${assigned(asNamed(['id', 'key', ...this.always]))}`,
      '    return record',
      '  end',
    ];
  }

  private refill(): string[] {
    return [
      '  if record then',
      `    if life ~= record.life then ${assigned(this.membersOfLife)} end`,
      `    ${assigned(asNamed(['id', 'key', ...this.names]))}`,
      '    return record',
      '  end',
    ];
  }
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
  return [
    '    if extras == expected then',
    ...extras.map(
      (name, i) =>
        `      if places[${i + 1}] then ${name} = ff.found_extra(key, ${quotedField(name)}, values[places[${i + 1}]]) end`,
    ),
    '    else',
    `      expected = extras`,
    `      fields, places = ff.places_of_extras(extras, '${extras.map(fieldOf).join('')}', ${before})`,
    ...extras.map((name) => `      ${name} = ff.load_extra(key, extras, ${quotedField(name)})`),
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
