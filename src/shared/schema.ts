/** Validation by whatever library the user brought, through the Standard Schema interface. */
import type { StandardSchemaV1 } from '@standard-schema/spec';

/** A schema of zod, valibot, arktype or any other library that implements Standard Schema. */
export type Schema<Input = unknown, Output = Input> = StandardSchemaV1<Input, Output>;
export type AnySchema = StandardSchemaV1<unknown, unknown>;

/** What a schema takes. */
export type InputOf<Of extends AnySchema> = StandardSchemaV1.InferInput<Of>;

export type Validated =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly problem: string };

/** The most issues named in a message. */
const MAX_ISSUES = 5;

/** The value as the schema wants it, or what is wrong with it. Without a schema every value is right, at once. */
export function validate(schema: AnySchema | undefined, value: unknown): Validated | Promise<Validated> {
  return schema === undefined ? { ok: true, value } : validatedBy(schema, value);
}

async function validatedBy(schema: AnySchema, value: unknown): Promise<Validated> {
  const result = await schema['~standard'].validate(value);
  if (result.issues === undefined) return { ok: true, value: result.value };
  const issues = result.issues.slice(0, MAX_ISSUES).map(({ message, path }) => {
    const place = (path ?? []).map((segment) => String(typeof segment === 'object' ? segment.key : segment)).join('.');
    return place === '' ? message : `${place}: ${message}`;
  });
  const more = result.issues.length - issues.length;
  return { ok: false, problem: issues.join('; ') + (more > 0 ? `; and ${more} more` : '') };
}
