/** Arguments are refused strictly (ruling 31): a misspelt limit must not mean none. Answers are read tolerantly. */
import { expect, test } from 'vitest';
import { z } from 'zod';
import { OPERATIONS, QUERIES } from '../../model/machine.js';

type Schema = z.core.$ZodType;

/** The schemas that a schema is made of, by their path. */
function partsOf(schema: Schema): (readonly [path: string, schema: Schema])[] {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  if (def.type === 'object') return Object.entries(def.shape).map(([name, member]) => [`.${name}`, member]);
  if (def.type === 'union') return def.options.map((option) => ['', option]);
  if (def.type === 'lazy') return [['', def.getter()]];
  const {
    innerType,
    element,
    in: given,
    out,
    valueType,
  } = def as unknown as Readonly<Record<string, Schema | undefined>>;
  return [innerType, element, given, out, valueType].flatMap((part) =>
    part === undefined ? [] : [['', part] as const],
  );
}

/** Paths of objects that would drop unknown members. */
function tolerantIn(schema: Schema, path: string, seen = new Set<Schema>()): string[] {
  if (seen.has(schema)) return [];
  seen.add(schema);
  const { def } = (schema as z.core.$ZodTypes)._zod;
  // A misspelt member of a fence is a missing one, which is refused.
  const isFence = path.endsWith('.fence');
  const isTolerant = def.type === 'object' && def.catchall?._zod.def.type !== 'never' && !isFence;
  const parts = partsOf(schema).flatMap(([member, part]) => tolerantIn(part, path + member, seen));
  return isTolerant ? [path, ...parts] : parts;
}

test('an object that drops unknown members is found', () => {
  const args = z.strictObject({ limits: z.record(z.string(), z.object({ hard: z.number() })).optional() });
  expect(tolerantIn(args, 'args')).toEqual(['args.limits']);
});

test.each([...Object.values(OPERATIONS), ...Object.values(QUERIES)].map(({ name, args }) => [name, args] as const))(
  '%s refuses unknown members, at every depth',
  (name, args) => expect(tolerantIn(args, name)).toEqual([]),
);
