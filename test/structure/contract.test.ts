/**
 * The shapes of the original contracts hold: every argument and every member of a result exists under its name, or
 * docs/contracts.md says what there is in its place. A difference without a row fails, and so does a row without one.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { z } from 'zod';
import { OPERATIONS, QUERIES, type OperationName, type QueryName } from '../../model/machine.js';
import { answersToReads } from './contract-answers.js';
import { CONTRACT, LITERALS, READS } from './contract.js';

type Schema = z.core.$ZodTypes;
type Row = readonly [name: string, differences: string[]];

const wordsOf = (text: string): string[] => text.split(' ').filter((word) => word !== '');
const defOf = (schema: unknown): Schema['_zod']['def'] => (schema as Schema)._zod.def;

/** Members of the outcomes of an operation, by kind. */
function outcomesOf(schema: unknown): Map<string, readonly string[]> {
  const def = defOf(schema);
  if (def.type === 'union') return new Map(def.options.flatMap((option) => [...outcomesOf(option)]));
  if (def.type !== 'object') throw new TypeError(`An outcome is declared as ${def.type}.`);
  const kind = defOf(def.shape['kind']);
  return new Map([[kind.type === 'literal' ? String(kind.values[0]) : '', Object.keys(def.shape)]]);
}

/** Where arguments differ from those of the contract, in words. */
function argumentsDiffer(shape: Readonly<Record<string, z.ZodType>>, contract: string): string[] {
  const wanted = wordsOf(contract);
  const names = wanted.map((word) => word.replace('?', ''));
  const required = Object.keys(shape).filter((name) => shape[name]?.safeParse(undefined).success === false);
  return [
    ...names.filter((name) => !Object.hasOwn(shape, name)).map((name) => `without ${name}`),
    ...required.filter((name) => !names.includes(name)).map((name) => `with ${name}`),
    ...required.filter((name) => wanted.includes(`${name}?`)).map((name) => `requires ${name}`),
  ];
}

function differencesOf(
  name: OperationName,
  { args, outcomes } = CONTRACT[name] as (typeof CONTRACT)[string],
): string[] {
  const declared = outcomesOf(OPERATIONS[name].outcome);
  return [
    ...argumentsDiffer(OPERATIONS[name].args.shape, args),
    ...Object.entries(outcomes).flatMap(([kind, members]) => {
      const found = declared.get(kind);
      if (found === undefined) return [`no ${kind}`];
      return wordsOf(members).flatMap((each) => (found.includes(each) ? [] : [`${kind} without ${each}`]));
    }),
  ];
}

/** Every literal in a schema. */
function literalsIn(schema: unknown, seen = new Set<unknown>()): string[] {
  if (typeof schema !== 'object' || schema === null || seen.has(schema)) return [];
  seen.add(schema);
  const def = defOf(schema);
  switch (def.type) {
    case 'literal':
      return def.values.map(String);
    case 'enum':
      return Object.values(def.entries).map(String);
    case 'object':
      return Object.values(def.shape).flatMap((member) => literalsIn(member, seen));
    case 'union':
      return def.options.flatMap((option) => literalsIn(option, seen));
    case 'array':
      return literalsIn(def.element, seen);
    case 'lazy':
      return literalsIn(def.getter(), seen);
    default:
      return 'innerType' in def ? literalsIn(def.innerType, seen) : 'in' in def ? literalsIn(def.in, seen) : [];
  }
}

const PAGE = readFileSync(fileURLToPath(new URL('../../docs/contracts.md', import.meta.url)), 'utf8');

/** The first two columns of the table below a heading: names, and their differences. */
function rowsBelow(heading: string): Row[] {
  const [, section = ''] = PAGE.split(`\n## ${heading}\n`);
  const lines = (section.split('\n## ')[0] as string).split('\n').filter((line) => line.startsWith('| `'));
  return lines.map((line) => {
    const [, name = '', differences = ''] = line.replaceAll('`', '').split(' | ').join('|').split('|');
    return [name.trim(), differences.trim().split(', ')];
  });
}

const differing = (rows: readonly Row[]): Row[] => rows.filter(([, differences]) => differences.length > 0);

describe('docs/contracts.md lists the differences from the contracts:', () => {
  test('operations', () => {
    const names = Object.keys(CONTRACT) as OperationName[];
    expect(rowsBelow('Operations')).toEqual(differing(names.map((name) => [name, differencesOf(name)])));
  });

  test('reads', async () => {
    const answers = await answersToReads();
    const rows = Object.entries(READS).map(([name, { args, answer }]): Row => {
      const found = answers[name] ?? {};
      const missing = wordsOf(answer).filter((member) => !Object.hasOwn(found, member));
      const parameters = args === undefined ? [] : argumentsDiffer(QUERIES[name as QueryName].args.shape, args);
      return [name, [...parameters, ...missing.map((member) => `answer without ${member}`)]];
    });
    expect(rowsBelow('Reads')).toEqual(differing(rows));
  });

  test('a missing member and a renamed literal are found', () => {
    const outcomes = { replayed: 'publicState since', again: '' };
    expect(differencesOf('replayExecution', { args: 'executionId reason now?', outcomes })).toEqual([
      'without now',
      'replayed without since',
      'no again',
    ]);
    expect(argumentsDiffer(OPERATIONS.changePriority.args.shape, 'newPriority?')).toEqual([
      'with executionId',
      'requires newPriority',
    ]);
  });
});

test.each(Object.entries(LITERALS))('%s accepts the literals of the contracts', (path, literals) => {
  const [name, argument] = path.split('.') as [keyof typeof OPERATIONS, string];
  const shape: Readonly<Record<string, z.ZodType>> = { ...OPERATIONS, ...QUERIES }[name].args.shape;
  expect(literalsIn(shape[argument])).toEqual(expect.arrayContaining(wordsOf(literals)));
});
