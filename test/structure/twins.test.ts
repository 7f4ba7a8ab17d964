/** Every operation has a Lua twin that says the same things by the same names. */
import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import { describe, expect, test } from 'vitest';
import { luaFiles } from '../../lua/files.js';
import { library } from '../../lua/library.js';
import { fieldsOf, snakeCase, variantsOf } from '../../model/core/kinds.js';
import { REJECTIONS } from '../../model/errors.js';
import { EVENTS } from '../../model/events.js';
import { OPERATIONS, operationNamed, QUERIES, type OperationName } from '../../model/machine.js';
import { CORE_FIELDS, DETAIL_FIELDS } from '../../lua/layout.js';

const files = luaFiles();
const all = Object.values(files).join('\n');

/** Files whose functions hold refusals that several operations share, and the function of each. */
const HELPERS = ['fence_shape', 'ownership_verdict', 'not_active'] as const;

const withoutComments = (text: string): string => text.replace(/--[^\n]*/g, '');

/** The file that defines an operation. */
function twinOf(name: OperationName): string {
  const definition = `function ff.operations.${snakeCase(name)}(`;
  const found = Object.entries(files).filter(([, text]) => text.includes(definition));
  expect(found, `files that define ${definition}`).toHaveLength(1);
  return withoutComments((found[0] as [string, string])[1]);
}

const codesIn = (text: string): string[] =>
  [...text.matchAll(/ff\.reject\('([a-z_]+)'/g)].map((match) => match[1] as string);

/** The text of a shared function. */
function helper(name: string): string {
  const start = withoutComments(all).indexOf(`function ff.${name}(`);
  expect(start, name).toBeGreaterThanOrEqual(0);
  return withoutComments(all).slice(start).split('\nend')[0] as string;
}

/** The codes with which an operation's Lua can refuse, those of the shared checks included. */
function refusalsOf(text: string, seen: ReadonlySet<string> = new Set()): Set<string> {
  const codes = new Set(codesIn(text));
  for (const name of HELPERS) {
    if (seen.has(name) || !text.includes(`ff.${name}(`)) continue;
    for (const code of refusalsOf(helper(name), new Set([...seen, name]))) codes.add(code);
  }
  return codes;
}

const NAMES = Object.keys(OPERATIONS) as OperationName[];

describe('operations', () => {
  test.each(NAMES)('%s: refusals of both sides are the same', (name) => {
    expect([...refusalsOf(twinOf(name))].sort()).toEqual([...operationNamed(name).rejects].sort());
  });

  test.each(NAMES)('%s: both sides answer the same kinds of outcome', (name) => {
    const kinds = new Set([...twinOf(name).matchAll(/ff\.accept\('([a-z_]+)'/g)].map((match) => match[1] as string));
    expect([...kinds].sort()).toEqual([...variantsOf(operationNamed(name).outcome).keys()].sort());
  });

  test.each(NAMES)('%s: its Lua says which arguments it reads', (name) => {
    const text = Object.values(files).find((file) => file.includes(`function ff.operations.${snakeCase(name)}(`)) ?? '';
    expect(text.startsWith(`-- ${snakeCase(name)}: `)).toBe(true);
  });

  test('no Lua operation is without a declaration', () => {
    const defined = [...all.matchAll(/function ff\.operations\.([a-z_]+)\(/g)].map((match) => match[1] as string);
    expect(defined.sort()).toEqual(NAMES.map(snakeCase).sort());
  });

  test('every refusal of the catalogue is used by an operation or a read', () => {
    const declared = new Set<string>([
      ...NAMES.flatMap((name) => operationNamed(name).rejects),
      ...Object.values(QUERIES).flatMap(({ rejects }) => rejects as readonly string[]),
    ]);
    expect(Object.keys(REJECTIONS).filter((code) => !declared.has(code))).toEqual([]);
  });
});

/** Functions by which several places log an event. */
const SHARED_APPENDS = [
  { name: 'append_creation', types: ['execution_created'] },
  { name: 'append_acquisition', types: ['execution_claimed', 'execution_resumed'] },
];

describe('events', () => {
  const logged = withoutComments(all);

  const upToEnd = (start: number): string => logged.slice(start).split(/\n\s*end\b/)[0] as string;

  /**
   * The text of the call that logs an event, up to the end of its block; and of the calls of the function that makes
   * it, where several do so through one.
   */
  function entryOf(type: string): string {
    const direct = logged.indexOf(`ff.append(call, '${type}'`);
    const shared = SHARED_APPENDS.find(({ types }) => types.includes(type));
    if (shared === undefined) {
      expect(direct, type).toBeGreaterThanOrEqual(0);
      return upToEnd(direct);
    }
    const body = upToEnd(logged.indexOf(`local function ${shared.name}(`));
    const calls = [...logged.matchAll(new RegExp(`(?<!function )${shared.name}\\(call,(?! event_type)`, 'g'))].map(
      ({ index }) => upToEnd(index),
    );
    return [body, ...calls.filter((call) => shared.types.length === 1 || call.includes(`'${type}'`))].join('\n');
  }

  test.each(Object.values(EVENTS).map(({ type, schema }) => [type, schema] as const))(
    '%s carries the same facts',
    (type, schema) => {
      const entry = entryOf(type);
      const facts = fieldsOf(schema as unknown as z.ZodObject)
        .map(({ name }) => snakeCase(name))
        .filter((name) => name !== 'execution_id' && name !== 'at');
      const names = [...entry.matchAll(/'([a-z_]+)'/g)]
        .map((match) => match[1] as string)
        .filter((name) => name !== type);
      expect(new Set(names)).toEqual(new Set(facts));
    },
  );

  test.each(Object.values(EVENTS).map(({ type }) => type))('%s has a function that applies it', (type) => {
    expect(logged).toContain(`function ff.apply.${type}(`);
  });

  test('nothing is applied that is not declared', () => {
    const applied = [...logged.matchAll(/function ff\.apply\.([a-z_]+)\(/g)].map((match) => match[1] as string);
    expect(applied.sort()).toEqual(
      Object.values(EVENTS)
        .map(({ type }) => type as string)
        .sort(),
    );
  });
});

describe('the library', () => {
  test('names of stored fields do not collide', () => {
    for (const fields of [CORE_FIELDS, DETAIL_FIELDS])
      expect(new Set(Object.values(fields)).size).toBe(Object.keys(fields).length);
  });

  test('every stored field that the Lua names exists', () => {
    const named = [...all.matchAll(/\bF\.([a-zA-Z]+)|\bD\.([a-zA-Z]+)/g)].map((match) => match[1] ?? match[2]);
    const known = new Set<string>([...Object.keys(CORE_FIELDS), ...Object.keys(DETAIL_FIELDS)]);
    expect(named.filter((name) => name !== undefined && !known.has(name))).toEqual([]);
  });

  test('builds differ in their clock only, and a production build cannot be told the time', () => {
    const [production, test] = [library('production'), library('test')];
    expect(production.name).not.toBe(test.name);
    expect(production.hash).not.toBe(test.hash);
    expect(production.source).not.toContain('virtual');
    expect(production.source).toContain("server.call('TIME')");
    expect(test.source).not.toContain("server.call('TIME')");
  });

  test('its text is a function of its files', () => {
    expect(library('production')).toEqual(library('production'));
    const changed = Object.fromEntries(
      Object.entries(files).map(([path, text]) => [path, path === 'main.lua' ? `${text}\n-- more` : text]),
    );
    expect(library('production', changed).hash).not.toBe(library('production').hash);
  });

  test('no random numbers and no time besides the clock', () => {
    const guilty = Object.entries(files).filter(
      ([path, text]) => path !== 'core/clock.lua' && /math\.random|os\.|'TIME'/.test(withoutComments(text)),
    );
    expect(guilty.map(([path]) => path)).toEqual([]);
  });

  test('the files of the Lua lie beside those of the machine by the same names', () => {
    for (const name of NAMES) {
      const path = Object.keys(files).find((file) =>
        files[file]?.includes(`function ff.operations.${snakeCase(name)}(`),
      ) as string;
      const twin = new URL(`../../model/${path.replace('.lua', '.ts')}`, import.meta.url);
      expect(readFileSync(twin, 'utf8'), path).toContain(`name: '${name}'`);
    }
  });
});
