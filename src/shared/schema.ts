/** Validation by whatever library the user brought, through the Standard Schema interface. */
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { reasonOf } from '../util/failure-text.js';
import { propertyOf, textOf } from '../util/thrown.js';

/** A schema of zod, valibot, arktype or any other library that implements Standard Schema. */
export type Schema<Input = unknown, Output = Input> = StandardSchemaV1<Input, Output>;
export type AnySchema = StandardSchemaV1<unknown, unknown>;

/** What a schema takes. */
export type InputOf<Of extends AnySchema> = StandardSchemaV1.InferInput<Of>;

export type Validated =
  | { readonly ok: true; readonly value: unknown }
  /** `cause`: what the schema threw, if it threw. */
  | { readonly ok: false; readonly problem: string; readonly cause?: unknown };

/** The most issues named in a message. */
const MAX_ISSUES = 5;
/** What is said of a value when the schema says nothing. */
const NO_MATCH = 'it does not match';

/**
 * The value as the schema wants it, or what is wrong with it. Without a schema every value is right.
 * At once, unless the schema is asynchronous. A schema that throws, or rejects, is a problem too: nothing is thrown.
 */
export function validate(schema: AnySchema | undefined, value: unknown): Validated | Promise<Validated> {
  if (schema === undefined) return { ok: true, value };
  try {
    const result = schema['~standard'].validate(value);
    const isPromise = typeof propertyOf(result, 'then') === 'function';
    return isPromise ? Promise.resolve(result).then(validatedOf).catch(failed) : validatedOf(result);
  } catch (error) {
    return failed(error);
  }
}

const failed = (cause: unknown): Validated => ({ ok: false, problem: `the schema failed: ${reasonOf(cause)}`, cause });

function validatedOf(result: unknown): Validated {
  if (typeof result !== 'object' || result === null) return { ok: false, problem: 'the schema gives no result' };
  const { issues, value } = result as { readonly issues?: unknown; readonly value?: unknown };
  if (issues === undefined) return { ok: true, value };
  const list: readonly unknown[] = Array.isArray(issues) ? issues : [issues];
  const texts = list.slice(0, MAX_ISSUES).map(issueText);
  const more = list.length - texts.length;
  return { ok: false, problem: (texts.join('; ') || NO_MATCH) + (more > 0 ? `; and ${more} more` : '') };
}

/** An issue as text, whatever a schema that a user wrote puts there. */
function issueText(issue: unknown): string {
  const message = textOf(propertyOf(issue, 'message') ?? NO_MATCH);
  const path = propertyOf(issue, 'path');
  const place = Array.isArray(path)
    ? path.map((segment) => textOf(propertyOf(segment, 'key') ?? segment)).join('.')
    : '';
  return place === '' ? message : `${place}: ${message}`;
}
