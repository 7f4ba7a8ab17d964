/**
 * Positions in the stream of an attempt, for readers: `start`, `end`, `<ms>` or `<ms>-<seq>`. The server's own `-` and
 * `+` are not accepted. Source: spec 07 section 5.
 */
import { EngineError } from '../errors.js';

export type StreamCursor =
  | { readonly at: 'start' }
  | { readonly at: 'end' }
  /**
   * A frame by its id. Without `sequence`: the start of the millisecond as a lower bound, its end as an upper bound.
   */
  | { readonly at: 'id'; readonly ms: bigint; readonly sequence: bigint | undefined };

/** Before everything: a tail from here misses nothing. */
export const STREAM_BEGINNING: StreamCursor = { at: 'id', ms: 0n, sequence: 0n };

const CONCRETE = /^([0-9]+)(?:-([0-9]+))?$/;
/** The server's ids are two 64-bit numbers. */
const MAX = 2n ** 64n - 1n;

const invalid = (message: string): EngineError =>
  new EngineError('invalid_input', `cursor: ${message}.`, { detail: { field: 'cursor' } });

/** The position in a text. @throws EngineError `invalid_input` */
export function parseStreamCursor(text: string): StreamCursor {
  if (text === '') throw invalid('stream cursor must not be empty');
  if (text === 'start' || text === 'end') return { at: text };
  if (text === '-' || text === '+') {
    throw invalid(`bare marker '${text}' is not a valid stream cursor; use 'start' or 'end'`);
  }
  const match = CONCRETE.exec(text);
  const ms = BigInt(match?.[1] ?? -1);
  const sequence = match?.[2] === undefined ? undefined : BigInt(match[2]);
  if (match === null || ms > MAX || (sequence ?? 0n) > MAX) {
    throw invalid("invalid stream cursor (expected 'start', 'end', '<ms>', or '<ms>-<seq>')");
  }
  return { at: 'id', ms, sequence };
}

/** The text of a position. */
export function formatStreamCursor(cursor: StreamCursor): string {
  if (cursor.at !== 'id') return cursor.at;
  return cursor.sequence === undefined ? String(cursor.ms) : `${cursor.ms}-${cursor.sequence}`;
}

/** Whether the position is that of a frame: only those can start a tail. */
export function isConcrete(cursor: StreamCursor): cursor is Extract<StreamCursor, { at: 'id' }> {
  return cursor.at === 'id';
}
