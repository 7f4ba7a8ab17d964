/**
 * The kind of value that a schema describes, derived from the schema. The wire form of arguments, outcomes and events
 * follows from it, so a declaration is the only source.
 */
import type { z } from 'zod';
import { present } from './present.js';
import { isEcho, wireFormOf, type WireForm } from './wire-form.js';

export type FieldKind =
  | { readonly kind: 'text' }
  /** A constant text. */
  | { readonly kind: 'literal'; readonly value: string }
  | { readonly kind: 'number' }
  | { readonly kind: 'bytes' }
  /** A list of texts. */
  | { readonly kind: 'list' }
  /** A flat map of texts. */
  | { readonly kind: 'map' }
  | { readonly kind: 'boolean' }
  /** The schema has a wire form of its own. */
  | { readonly kind: 'form'; readonly form: WireForm }
  | { readonly kind: 'object'; readonly fields: readonly Field[] }
  | { readonly kind: 'rows'; readonly fields: readonly Field[] };

export type Field = FieldKind & {
  readonly name: string;
  readonly optional: boolean;
  /** In an outcome: repeats the argument of the same name. */
  readonly echo: boolean;
};

interface Definition {
  readonly type: string;
  readonly innerType?: z.ZodType;
  readonly in?: z.ZodType;
  readonly out?: z.ZodType;
  readonly element?: z.ZodType;
}

const definitionOf = (schema: z.ZodType): Definition => (schema as unknown as { _zod: { def: Definition } })._zod.def;

const WRAPPERS = new Set(['optional', 'default', 'prefault', 'nullable', 'readonly']);

/** The schema inside its wrappers, and whether one of them makes the value optional. */
function unwrap(schema: z.ZodType): { schema: z.ZodType; optional: boolean } {
  let current = schema;
  let optional = false;
  for (;;) {
    // A declared wire form or echo applies, whatever the schema wraps.
    if (wireFormOf(current) !== undefined || isEcho(current)) return { schema: current, optional };
    const definition = definitionOf(current);
    if (WRAPPERS.has(definition.type)) {
      optional ||= definition.type === 'optional';
      current = present(definition.innerType);
    } else if (definition.type === 'pipe') {
      const from = present(definition.in);
      // A preprocessing step says nothing about the values of the schema.
      current = definitionOf(from).type === 'transform' ? present(definition.out) : from;
    } else {
      return { schema: current, optional };
    }
  }
}

/** Sample sizes, of which every bytes schema accepts one: secrets cannot be empty. */
const SIZES = [0, 64] as const;

function kindOf(schema: z.ZodType): FieldKind {
  const form = wireFormOf(schema);
  if (form !== undefined) return { kind: 'form', form };
  const definition = definitionOf(schema);
  switch (definition.type) {
    case 'string':
    case 'enum':
      return { kind: 'text' };
    case 'literal':
      return { kind: 'literal', value: (schema as z.ZodLiteral<string>).value };
    case 'number':
      return { kind: 'number' };
    case 'boolean':
      return { kind: 'boolean' };
    case 'record':
      return { kind: 'map' };
    case 'object':
      return { kind: 'object', fields: fieldsOf(schema as z.ZodObject) };
    case 'array': {
      const element = unwrap(present(definition.element)).schema;
      return definitionOf(element).type === 'object'
        ? { kind: 'rows', fields: fieldsOf(element as z.ZodObject) }
        : { kind: 'list' };
    }
    case 'custom':
      // A custom check does not tell its type, so samples are tested.
      if (SIZES.some((size) => schema.safeParse(new Uint8Array(size)).success)) return { kind: 'bytes' };
      return schema.safeParse(1).success ? { kind: 'number' } : { kind: 'text' };
    default:
      throw new TypeError(`No wire form for a schema of type ${definition.type}.`);
  }
}

/** The fields of an object schema in the order of their declaration. */
export function fieldsOf(schema: z.ZodObject): Field[] {
  return Object.entries(schema.shape).map(([name, member]) => {
    const { schema: inner, optional } = unwrap(member as z.ZodType);
    return { name, optional, echo: isEcho(inner), ...kindOf(inner) };
  });
}

/** The members of a union discriminated by `kind`, or a single object, by that kind. */
export function variantSchemasOf(schema: z.ZodType): Map<string, z.ZodObject> {
  const options = definitionOf(schema).type === 'union' ? (schema as z.ZodDiscriminatedUnion).options : [schema];
  return new Map(
    (options as z.ZodObject[]).map((option) => [(option.shape['kind'] as z.ZodLiteral<string>).value, option]),
  );
}

/** The fields of each member, without `kind`. */
export function variantsOf(schema: z.ZodType): Map<string, Field[]> {
  return new Map(
    [...variantSchemasOf(schema)].map(([kind, option]) => [
      kind,
      fieldsOf(option).filter(({ name }) => name !== 'kind'),
    ]),
  );
}

/** `leaseExpiresAt` as `lease_expires_at`: the form of names on the wire, in the log and in Lua. */
export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
