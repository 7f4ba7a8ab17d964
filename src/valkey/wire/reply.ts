/** Answers of the server. The library of the same build made them, so a reply of another form is a defect. */
import { assert } from '../../../model/errors.js';

/** An answer of the server: bytes, integers, and lists of them. */
export type WireReply = Buffer | number | null | WireReply[];

/** A part of an answer: a reply, or a piece of a text with several parts. */
export type AnswerPart = WireReply | string;

/** A list of `Length` replies. */
type Replies<Length extends number, List extends WireReply[] = []> = List['length'] extends Length
  ? List
  : Replies<Length, [...List, WireReply]>;

export const textOf = (value: AnswerPart): string => (Buffer.isBuffer(value) ? value.toString('utf8') : String(value));

export const numberOf = (value: AnswerPart): number => (typeof value === 'number' ? value : Number(textOf(value)));

/** Bytes, or long ones that were fetched (`Fetch.bytesAt`); undefined for null. */
export function bytesOf(reply: WireReply | undefined): Buffer | undefined {
  if (Array.isArray(reply)) return bytesOf(reply[0]);
  if (reply === null || reply === undefined) return undefined;
  return Buffer.isBuffer(reply) ? reply : Buffer.from(textOf(reply));
}

/** The elements of a list. */
export function listOf(reply: AnswerPart | undefined): readonly WireReply[] {
  assert(Array.isArray(reply), 'the library answers with a list here');
  return reply;
}

export const textsOf = (reply: AnswerPart | undefined): string[] => listOf(reply).map(textOf);

/** The first `length` elements of a list. Lua ends a list at its first nil, so absent ones are null. */
export function repliesOf<Length extends number>(reply: WireReply | undefined, length: Length): Replies<Length> {
  const list = listOf(reply);
  return Array.from({ length }, (_, index) => list[index] ?? null) as Replies<Length>;
}

/** A flat list of names and values as a map of texts. */
export const pairsOf = (reply: WireReply | undefined): Map<string, string> => pairsWith(reply, textOf);

/** A flat list of names and bytes as a map; names without bytes are absent. */
export function bytesByName(reply: WireReply | undefined): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  for (const [name, bytes] of pairsWith(reply, bytesOf)) if (bytes !== undefined) found.set(name, bytes);
  return found;
}

function pairsWith<Value>(reply: WireReply | undefined, valueOf: (part: WireReply) => Value): Map<string, Value> {
  const parts = listOf(reply);
  const pairs = new Map<string, Value>();
  for (let i = 0; i + 1 < parts.length; i += 2) pairs.set(textOf(parts[i] ?? null), valueOf(parts[i + 1] ?? null));
  return pairs;
}

/** Texts in rows of `width`. */
export const rowsOf = (texts: readonly string[], width: number): string[][] =>
  Array.from({ length: Math.floor(texts.length / width) }, (_, i) => texts.slice(i * width, (i + 1) * width));
