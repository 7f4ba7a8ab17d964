/**
 * Members of future domains: declared as in the contracts, and refused with `not_supported_yet`, so that no caller
 * relies on a member without effect (ruling 42).
 */
import type { z } from 'zod';

const RESERVED = new WeakSet<z.ZodType>();

/** Declares a member that is refused until its domain is supported. */
export function notYet<Schema extends z.ZodType>(schema: Schema): z.ZodOptional<Schema> {
  const refused = schema
    .refine(() => false, { error: 'is not supported yet', params: { code: 'not_supported_yet' } })
    .optional();
  RESERVED.add(refused);
  return refused;
}

interface Definition {
  readonly shape?: Readonly<Record<string, z.ZodType>>;
  readonly innerType?: z.ZodType;
  readonly element?: z.ZodType;
  readonly options?: readonly z.ZodType[];
  readonly in?: z.ZodType;
  readonly out?: z.ZodType;
}

/**
 * Paths of the reserved members of a schema: `policy.fallbackPolicy`; members of list items have the path of the list.
 */
export function reservedIn(schema: z.ZodType, path: readonly string[] = []): string[] {
  if (RESERVED.has(schema)) return [path.join('.')];
  const { shape = {}, innerType, element, options = [], ...pipe } = schema.def as unknown as Definition;
  const inner = [innerType, element, ...options, pipe.in, pipe.out].filter((each) => each !== undefined);
  return [
    ...Object.entries(shape).flatMap(([name, member]) => reservedIn(member, [...path, name])),
    ...inner.flatMap((each) => reservedIn(each, path)),
  ];
}
