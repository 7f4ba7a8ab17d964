/**
 * How a schema's values travel when its type does not say it. A schema carries its own form, so that the code that
 * writes calls knows no domain.
 */
import type { z } from 'zod';

export interface WireForm {
  /** Names of the texts, in snake_case: the parameters of the Lua. */
  readonly texts: readonly string[];
  /** The texts of a value; as many empty ones when it is absent. */
  encode(value: unknown): readonly string[];
}

const forms = new WeakMap<z.ZodType, WireForm>();
const echoes = new WeakSet<z.ZodType>();

/** The schema, with the way in which its values travel. */
export function withWireForm<Schema extends z.ZodType>(schema: Schema, form: WireForm): Schema {
  forms.set(schema, form);
  return schema;
}

export function wireFormOf(schema: z.ZodType): WireForm | undefined {
  return forms.get(schema);
}

/**
 * For a member of an outcome that repeats the argument of the same name: it does not travel back, the caller's side
 * fills it in.
 */
export function echoed<Schema extends z.ZodType>(schema: Schema): Schema {
  const copy = schema.clone() as Schema;
  echoes.add(copy);
  return copy;
}

export function isEcho(schema: z.ZodType): boolean {
  return echoes.has(schema);
}
