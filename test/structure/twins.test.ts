/** Every operation has a Lua twin that says the same things by the same names. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { luaFiles } from '../../lua/files.js';
import { FIELDS, HEADER_FIELDS } from '../../lua/layout.js';
import { library, libraryOf } from '../../lua/library.js';
import { parametersOf, SHAPES } from '../../lua/parameters.js';
import { textsOf, type EventDeclaration } from '../../model/core/event.js';
import { snakeCase, variantsOf } from '../../model/core/kinds.js';
import { REJECTIONS } from '../../model/errors.js';
import { EVENTS } from '../../model/events.js';
import { SITUATIONS } from '../../model/execution/situation.js';
import { OPERATIONS, operationNamed, QUERIES, type OperationName } from '../../model/machine.js';
import { TIMED_KINDS } from '../../model/schedule/due.js';

const withoutComments = (text: string): string => text.replace(/--[^\n]*/g, '');

const files = Object.fromEntries(Object.entries(luaFiles()).map(([path, text]) => [path, withoutComments(text)]));
const all = Object.values(files).join('\n');

const NAMES = Object.keys(OPERATIONS) as OperationName[];
const DECLARED = Object.values(EVENTS) as EventDeclaration[];
/** Logged by the log itself: it changes no entity. */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set(['clock_stepped_back']);

/** Path and text of the file that defines an operation. */
function twinOf(name: OperationName): { path: string; text: string } {
  const definition = `function ff.decide.${snakeCase(name)}(`;
  const found = Object.entries(files).filter(([, text]) => text.includes(definition));
  expect(found, `files that define ${definition}`).toHaveLength(1);
  const [path, text] = found[0] as [string, string];
  return { path, text };
}

/** Functions, of a file or shared, by their names; each ends with an `end` at the start of a line. */
function functionsIn(text: string): Map<string, { parameters: string[]; body: string }> {
  const found = [...text.matchAll(/^(?:local )?function ([\w.]+)\(([^)]*)\)([\s\S]*?)\nend$/gm)];
  return new Map(
    found.map(([, name, parameters, body]) => [
      name as string,
      {
        parameters: (parameters as string)
          .split(',')
          .map((word) => word.trim())
          .filter(Boolean),
        body: body as string,
      },
    ]),
  );
}

/** Shared functions, each with the functions of its file. */
const shared = new Map(
  Object.values(files).flatMap((text) => {
    const own = functionsIn(text);
    return [...own.keys()].filter((name) => name.startsWith('ff.')).map((name) => [name, own] as const);
  }),
);

/** The text of a function and of every function that it calls, of its own file and shared ones. */
function reach(file: string, start: string): string {
  // By body: files have local functions, and parameters, of the same names.
  const seen = new Set<string>();
  const visit = (name: string, beside: ReturnType<typeof functionsIn>): void => {
    // What `decide` gives back to be carried out cannot refuse.
    if (name.startsWith('ff.apply.')) return;
    const home = beside.has(name) ? beside : shared.get(name);
    const body = home?.get(name)?.body;
    if (home === undefined || body === undefined || seen.has(body)) return;
    seen.add(body);
    for (const [word] of body.matchAll(/\b(?:ff\.)?[a-z_]+(?:\.[a-z_]+)*/g)) visit(word, home);
  };
  visit(start, functionsIn(file));
  return [...seen].join('\n');
}

const matchesOf = (text: string, pattern: RegExp): string[] =>
  [...new Set([...text.matchAll(pattern)].map((match) => match[1] as string))].sort();

const named = (name: OperationName) => {
  const { text } = twinOf(name);
  const reached = (part: string): string => reach(text, `ff.${part}.${snakeCase(name)}`);
  return { decide: reached('decide'), both: reached('prepare') + reached('decide') };
};

describe('operations', () => {
  test.each(NAMES)('%s: its Lua is in the folder of its model', (name) => {
    const twin = new URL(`../../model/${twinOf(name).path.replace('.lua', '.ts')}`, import.meta.url);
    expect(readFileSync(twin, 'utf8')).toContain(`name: '${name}'`);
  });

  test.each(NAMES)('%s: its Lua takes the arguments that the client sends', (name) => {
    const { text } = twinOf(name);
    const { prepare, decide } = parametersOf(name);
    const own = functionsIn(text);
    const parametersIn = (part: string): string[] | undefined => own.get(`ff.${part}.${snakeCase(name)}`)?.parameters;
    expect(parametersIn('decide')).toEqual(decide);
    const prepares = parametersIn('prepare');
    if (SHAPES[name].sharedCount === 0) {
      expect(prepares, 'nothing is shared').toBeUndefined();
      return;
    }
    // What does not look at the partition has no name for it.
    expect([prepares?.[0] === '_' ? 'call' : prepares?.[0], ...(prepares?.slice(1) ?? [])]).toEqual(prepare);
  });

  test.each(NAMES)('%s: both sides have the same refusals', (name) => {
    expect(matchesOf(named(name).decide, /ff\.reject\('([a-z_]+)'/g)).toEqual([...operationNamed(name).rejects].sort());
  });

  test.each(NAMES)('%s: both sides answer the same kinds of outcome', (name) => {
    const kinds = matchesOf(named(name).both, /\b(?:KIND|ANSWER)\.([a-z_]+)/g);
    expect(kinds).toEqual([...variantsOf(operationNamed(name).outcome).keys()].sort());
  });

  test('every kind with timers declares its due work', () => {
    expect(matchesOf(all, /function ff\.due\.([a-z_]+)\(/g)).toEqual([...TIMED_KINDS].sort());
  });

  test('every Lua operation has a declaration', () => {
    expect(matchesOf(all, /function ff\.decide\.([a-z_]+)\(/g)).toEqual(NAMES.map(snakeCase).sort());
    const prepared = NAMES.filter((name) => SHAPES[name].sharedCount > 0).map(snakeCase);
    expect(matchesOf(all, /function ff\.prepare\.([a-z_]+)\(/g)).toEqual(prepared.sort());
  });

  test('every refusal of the catalogue is used by an operation or a read', () => {
    const declared = new Set<string>([
      ...NAMES.flatMap((name) => operationNamed(name).rejects),
      ...Object.values(QUERIES).flatMap(({ rejects }) => rejects as readonly string[]),
    ]);
    expect(Object.keys(REJECTIONS).filter((code) => !declared.has(code))).toEqual([]);
  });
});

/** The arguments of a call, from behind its opening bracket; brackets and texts inside hide their commas. */
function argumentsFrom(text: string, at: number): string[] {
  const found: string[] = [];
  let [depth, from] = [0, at];
  for (let i = at; i < text.length; i++) {
    const c = text[i] as string;
    if (c === "'") i = text.indexOf("'", i + 1);
    else if ('({['.includes(c)) depth++;
    else if (c === ',' && depth === 0) {
      found.push(text.slice(from, i).trim());
      from = i + 1;
    } else if (')}]'.includes(c) && depth-- === 0) return [...found, text.slice(from, i).trim()];
  }
  throw new Error('A call without an end.');
}

/** Calls that write an entry of an event: how many arguments follow its letter. */
function entriesOf(type: string): number[] {
  const direct = [...all.matchAll(new RegExp(`(?:ff\\.append|\\bwrite)\\(call, EVENT\\.${type}\\b`, 'g'))];
  const lengths = direct.map((match) => argumentsFrom(all, match.index + match[0].indexOf('(') + 1).length - 2);
  // These say besides how many texts there are before the tags.
  return [...lengths, ...filteredEntriesOf(type).map((given) => given.length - 3)];
}

/** The arguments of calls that write an entry of an event up to the tags of its execution. */
function filteredEntriesOf(type: string): string[][] {
  const calls = [...all.matchAll(new RegExp(`ff\\.append_filtered\\(call, EVENT\\.${type}\\b`, 'g'))];
  return calls.map((match) => argumentsFrom(all, match.index + match[0].indexOf('(') + 1));
}

/** Entries that are written by the name of a variable: `take.event` of a claim. */
const BY_VARIABLE: ReadonlySet<string> = new Set(['execution_claimed', 'execution_resumed']);

/** Short ways of the most frequent cases of an event. */
/** Ways of an event for what is common, and what is done beside the state. */
const SHORT_WAYS: ReadonlySet<string> = new Set([
  'frame_appended',
  'member_completion',
  'plain_claim',
  'plain_completion',
  'plain_creation',
]);

describe('events', () => {
  test.each(DECLARED.map((event) => [event.type, event] as const))('%s is logged', (type, { facts }) => {
    expect(all).toContain(`EVENT.${type}`);
    const entries = entriesOf(type);
    if (BY_VARIABLE.has(type) || WITHOUT_EFFECT.has(type)) return;
    expect(entries.length, 'calls that append it').toBeGreaterThan(0);
    // The subject, and then no more texts than there are facts; an entry is pairs.
    for (const count of entries) {
      expect(count).toBeLessThanOrEqual(textsOf(facts).length + 2);
      expect(count % 2).toBe(1);
    }
    const place = textsOf(facts).findIndex((text) => 'filterTags' in text.facts);
    for (const [, , , before] of filteredEntriesOf(type)) expect(Number(before)).toBe(place);
  });

  test('those that are logged by a variable are exactly the events of claims', () => {
    expect(matchesOf(all, /take\.event(?:, [\w., ]+)? = EVENT\.([a-z_]+)/g)).toEqual([...BY_VARIABLE].sort());
  });

  test('every event has a function that applies it, and every such function has a declared event', () => {
    const applied = matchesOf(all, /function ff\.apply\.([a-z_]+)\(/g).filter((name) => !SHORT_WAYS.has(name));
    // Both kinds of acquisition are one function.
    const expected = DECLARED.map(({ type }) => (BY_VARIABLE.has(type) ? 'acquired' : type));
    expect(applied).toEqual([...new Set(expected.filter((type) => !WITHOUT_EFFECT.has(type)))].sort());
  });

  test('only declared events are logged', () => {
    const known = new Set(DECLARED.map(({ type }) => type));
    expect(matchesOf(all, /\bEVENT\.([a-z_]+)/g).filter((type) => !known.has(type))).toEqual([]);
  });
});

describe('the library', () => {
  test.each([
    ['situations', Object.values(SITUATIONS).map(({ letter }) => letter)],
    ['events', DECLARED.map(({ letter }) => letter)],
    ['fields', Object.values(FIELDS)],
    ['fields of the header', Object.values(HEADER_FIELDS)],
  ] as const)('all %s have distinct letters', (_, letters) => {
    expect(letters.every((letter) => /^[A-Za-z]{1,2}$/.test(letter))).toBe(true);
    expect(new Set(letters).size).toBe(letters.length);
  });

  test('every stored field that the Lua names exists', () => {
    const known = new Set(Object.keys(FIELDS).map(snakeCase));
    expect(matchesOf(all, /\bFIELD\.([a-z_]+)/g).filter((name) => !known.has(name))).toEqual([]);
    const loaded = [...all.matchAll(/ff\.loader\(([^)]*)\)/g)].flatMap((match) =>
      [...(match[1] as string).matchAll(/'([a-z_]+)'/g)].map((word) => word[1] as string),
    );
    expect(loaded.length).toBeGreaterThan(20);
    expect(loaded.filter((name) => !known.has(name))).toEqual([]);
  });

  test('builds differ in their clock only, and the time of a production build cannot be set', () => {
    const [production, test] = [library('production'), library('test')];
    expect(production.name).not.toBe(test.name);
    expect(production.hash).not.toBe(test.hash);
    expect(production.source).not.toContain('virtual');
    expect(production.source).toContain("command('TIME')");
    expect(test.source).not.toContain("command('TIME')");
    // The production clock takes no arguments.
    expect(files['core/clock.lua']).toContain('function ff.read_clock()');
  });

  test('its text depends on its files only, and contains no comments', () => {
    expect(libraryOf('production', luaFiles())).toEqual(library('production'));
    const changed = (more: string) =>
      Object.fromEntries(
        Object.entries(luaFiles()).map(([path, text]) => [path, path === 'main.lua' ? `${text}${more}\n` : text]),
      );
    expect(libraryOf('production', changed('local more = 1')).hash).not.toBe(library('production').hash);
    expect(libraryOf('production', changed('  -- more')).hash).toBe(library('production').hash);
  });

  test('it uses no random numbers, and no time except the clock', () => {
    const guilty = Object.entries(files).filter(
      ([path, text]) => path !== 'core/clock.lua' && /math\.random|\bos\.|'TIME'/.test(text),
    );
    expect(guilty.map(([path]) => path)).toEqual([]);
  });
});

test('a call initialises every member that any file uses', () => {
  const begun = new Set(matchesOf(files['core/call.lua'] ?? '', /\bcall\.(\w+)[^=\n]* = /g));
  for (const [, names] of (files['core/call.lua'] ?? '').matchAll(/^ +((?:call\.\w+, )*call\.\w+) = /gm))
    for (const [, name] of (names as string).matchAll(/call\.(\w+)/g)) begun.add(name as string);
  expect(matchesOf(all, /\bcall\.(\w+)/g).filter((name) => !begun.has(name))).toEqual([]);
});
