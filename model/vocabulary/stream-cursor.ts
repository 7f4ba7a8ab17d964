/**
 * Positions in the stream of an attempt, for readers: `start`, `end`, `<ms>` or `<ms>-<seq>`. The server's own `-` and
 * `+` are not accepted. Source: spec 07 section 5.
 */
import { EngineError } from '../errors.js';
import { cursorFault } from '../stream/cursor.js';

export type StreamCursor =
  | { readonly at: 'start' }
  | { readonly at: 'end' }
  /**
   * A frame by its id. Without `sequence`: the start of the millisecond as a lower bound, its end as an upper bound.
   */
  | { readonly at: 'id'; readonly ms: bigint; readonly sequence: bigint | undefined };

/** Before everything: a tail from here misses nothing. */
export const STREAM_BEGINNING: StreamCursor = { at: 'id', ms: 0n, sequence: 0n };

/** The position in a text. @throws EngineError `invalid_input` */
export function parseStreamCursor(text: string): StreamCursor {
  const fault = cursorFault(text);
  if (fault !== undefined) throw new EngineError('invalid_input', `cursor: ${fault}.`, { detail: { field: 'cursor' } });
  if (text === 'start' || text === 'end') return { at: text };
  const [ms = '', sequence] = text.split('-');
  return { at: 'id', ms: BigInt(ms), sequence: sequence === undefined ? undefined : BigInt(sequence) };
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
