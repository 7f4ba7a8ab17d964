/**
 * What every operation of the registry needs beside its declaration: a twin in Lua at the same path, a generator in the
 * fuzzer, and examples. Found by folder and by name, so that a missing one is known in a second, not after a campaign.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { Operation } from '../../model/operation.js';
import { OPERATIONS } from '../../model/machine.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Texts of the files below a folder whose path from it matches, by that path. */
function textsIn(folder: string, matching: RegExp): Map<string, string> {
  const names = readdirSync(`${ROOT}${folder}`, { recursive: true, encoding: 'utf8' })
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => matching.test(name));
  return new Map(names.map((name) => [name, readFileSync(`${ROOT}${folder}/${name}`, 'utf8')]));
}

const declarations = textsIn('model', /\.ts$/);
/**
 * What makes commands of choices, without the examples of valid arguments beside it; tests of the fuzzer, its chaos and
 * its explorer only use them.
 */
const generators = [...textsIn('fuzz', /^(?!.*\.test\.ts$)(?:[^/]+|actions\/.+|generators\/.+)\.ts$/).values()]
  .join('\n')
  .replace(/export const \w+Examples = \{.*?\n\} satisfies /gs, '');
const examples = [...textsIn('test/model', /\.test\.ts$/).values()].join('\n');

const mentions = (text: string, name: string): boolean =>
  new RegExp(`['"\`]${name}['"\`]|\\b${name}\\b\\s*[(:]`).test(text);

/** What is missing of an operation, in words. */
function missingOf(name: string): string[] {
  const declared = [...declarations].find(([, text]) => text.includes(`name: '${name}'`))?.[0];
  const twin = declared === undefined ? undefined : `lua/${declared.replace(/\.ts$/, '.lua')}`;
  return [
    declared === undefined ? `a declaration with name: '${name}' in model/` : '',
    twin !== undefined && !existsSync(`${ROOT}${twin}`) ? `its twin ${twin}` : '',
    mentions(generators, name) ? '' : 'a generator in fuzz/',
    mentions(examples, name) ? '' : 'an example in test/model/',
  ].filter((part) => part !== '');
}

/** Operations that create executions, as their declarations show it to backends. */
const creating = Object.values(OPERATIONS).filter(
  (operation: Operation) => operation.newMembers !== undefined || operation.createsWork !== undefined,
);

describe('every operation that creates executions', () => {
  test('is listed', () => {
    const names = creating.map(({ name }) => name).sort();
    expect(names).toEqual(['createExecution', 'createFlow', 'growFlow', 'spawnChildren']);
  });

  test.each(creating.map((operation: Operation) => [operation.name, operation] as const))(
    '%s declares the partitions that its executions need, because workers look for metered work only after that',
    (_, { needs }) => expect(needs).toBeTypeOf('function'),
  );
});

describe('every operation', () => {
  test.each(Object.keys(OPERATIONS))('%s has a twin in Lua, a generator and an example', (name) => {
    expect(missingOf(name), `${name} lacks`).toEqual([]);
  });

  test('an operation that does not exist would lack everything', () => {
    expect(missingOf('pardonExecution')).toEqual([
      "a declaration with name: 'pardonExecution' in model/",
      'a generator in fuzz/',
      'an example in test/model/',
    ]);
  });
});
