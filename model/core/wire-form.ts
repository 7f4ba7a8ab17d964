/**
 * The wire form of a schema whose type does not determine it. The schema carries its own form, so the code that writes
 * calls and reads answers knows no domain.
 */
import type { z } from 'zod';

export interface WireForm {
  /**
   * Names of its texts, in snake_case: the parameters of the Lua. Absent: one text, named after the argument. `...`:
   * any number of texts.
   */
  readonly texts?: readonly string[];
  /**
   * The texts of a value; as many empty texts when it is absent. Bytes are allowed only with any number of texts.
   * `nameOf` is the name under which the input of a new member was stored before the call, if it was.
   */
  encode(value: unknown, nameOf?: (member: object) => string | undefined): readonly (string | Uint8Array)[];
  /** The value of a text in an answer of a partition. */
  decode?(text: string, partition: string): unknown;
}

/** An answer, read from start to end. */
export interface AnswerReader {
  /** Key of the partition that answered. */
  readonly partition: string;
  text(): string;
  number(): number;
  /** Undefined when the text is empty. */
  optionalNumber(): number | undefined;
  /** The bytes unchanged; undefined when they did not come with the answer. */
  bytes(): Uint8Array | undefined;
  /** A list of texts. */
  texts(): string[];
  /** The data beside the record of an execution, read by the backend; undefined when absent from the answer. */
  beside(executionId: string): unknown;
}

/** Reads an outcome whose texts are not simply its fields in order. */
export type OutcomeReader = (answer: AnswerReader, args: never) => object;

const forms = new WeakMap<z.ZodType, WireForm>();
const readers = new WeakMap<z.ZodType, OutcomeReader>();
const echoes = new WeakSet<z.ZodType>();

/** The schema with a wire form. */
export function withWireForm<Schema extends z.ZodType>(schema: Schema, form: WireForm): Schema {
  forms.set(schema, form);
  return schema;
}

export function wireFormOf(schema: z.ZodType): WireForm | undefined {
  return forms.get(schema);
}

/** The schema of an outcome with its reader. */
export function withReader<Schema extends z.ZodType>(schema: Schema, reader: OutcomeReader): Schema {
  readers.set(schema, reader);
  return schema;
}

export function readerOf(schema: z.ZodType): OutcomeReader | undefined {
  return readers.get(schema);
}

/**
 * For a member of an outcome that repeats the argument of the same name: it is not sent back; the caller's side fills
 * it in.
 */
export function echoed<Schema extends z.ZodType>(schema: Schema): Schema {
  const copy = schema.clone() as Schema;
  echoes.add(copy);
  return copy;
}

export function isEcho(schema: z.ZodType): boolean {
  return echoes.has(schema);
}
