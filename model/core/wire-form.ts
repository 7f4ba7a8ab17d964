/**
 * How a schema's values travel when its type does not say it. A schema carries its own form, so that the code that
 * writes calls and reads answers knows no domain.
 */
import type { z } from 'zod';

export interface WireForm {
  /**
   * Names of its texts, in snake_case: the parameters of the Lua. Absent: one text, named after the argument. `...`: any
   * number of them.
   */
  readonly texts?: readonly string[];
  /** The texts of a value; as many empty ones when it is absent. Bytes only where there can be any number. */
  encode(value: unknown): readonly (string | Uint8Array)[];
  /** The value of a text in an answer of a partition. */
  decode?(text: string, partition: string): unknown;
}

/** An answer, read from front to back. */
export interface AnswerReader {
  /** Key of the partition that answered. */
  readonly partition: string;
  text(): string;
  number(): number;
  /** Nothing when the text is empty. */
  optionalNumber(): number | undefined;
  /** Bytes as they are; nothing when they did not come with the answer. */
  bytes(): Uint8Array | undefined;
  /** A list of texts. */
  texts(): string[];
  /** What stands beside the record of an execution, read by the backend; nothing when it did not come. */
  beside(executionId: string): unknown;
}

/** Reads an outcome whose fields do not simply follow each other. */
export type OutcomeReader = (answer: AnswerReader, args: never) => object;

const forms = new WeakMap<z.ZodType, WireForm>();
const readers = new WeakMap<z.ZodType, OutcomeReader>();
const echoes = new WeakSet<z.ZodType>();

/** The schema, with the way in which its values travel. */
export function withWireForm<Schema extends z.ZodType>(schema: Schema, form: WireForm): Schema {
  forms.set(schema, form);
  return schema;
}

export function wireFormOf(schema: z.ZodType): WireForm | undefined {
  return forms.get(schema);
}

/** The schema of an outcome, with the way in which it is read. */
export function withReader<Schema extends z.ZodType>(schema: Schema, reader: OutcomeReader): Schema {
  readers.set(schema, reader);
  return schema;
}

export function readerOf(schema: z.ZodType): OutcomeReader | undefined {
  return readers.get(schema);
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
