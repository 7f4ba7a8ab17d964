/** Positions in a stream as callers write them (spec 07 section 5): `start`, `end`, `<ms>` or `<ms>-<seq>`. */

/** The two numbers of a frame's id; they can exceed an exact JavaScript number. */
export interface Position {
  readonly ms: bigint;
  readonly seq: bigint;
}

const CONCRETE = /^(\d+)(?:-(\d+))?$/;
/** The largest number in a frame's id. */
const MAX = 2n ** 64n - 1n;

/** Before all frames, and after all. */
const FIRST: Position = { ms: 0n, seq: 0n };
const LAST: Position = { ms: MAX, seq: MAX };

/** What is wrong with a cursor; undefined when it is valid. Quotes no text of the caller, which may be a secret. */
export function cursorFault(text: string): string | undefined {
  if (text === '') return 'stream cursor must not be empty';
  if (text === '-' || text === '+') {
    return `bare marker '${text}' is not a valid stream cursor; use 'start' or 'end'`;
  }
  if (text === 'start' || text === 'end') return undefined;
  const match = CONCRETE.exec(text);
  if (match === null) return "invalid stream cursor (expected 'start', 'end', '<ms>', or '<ms>-<seq>')";
  const isLarge = [match[1], match[2]].some((part) => part !== undefined && (part.length > 20 || BigInt(part) > MAX));
  return isLarge ? `invalid stream cursor: its numbers go up to ${MAX}` : undefined;
}

/** The position of a valid cursor; without a sequence number it is the start, or the end, of its millisecond. */
export function positionOf(text: string, side: 'from' | 'to'): Position {
  if (text === 'start') return FIRST;
  if (text === 'end') return LAST;
  const [, ms = '0', seq] = CONCRETE.exec(text) ?? [];
  return { ms: BigInt(ms), seq: seq === undefined ? (side === 'from' ? 0n : MAX) : BigInt(seq) };
}

/** Whether a valid cursor names the position of a frame. */
export const isConcreteCursor = (text: string): boolean => CONCRETE.test(text);

/** The first position after a cursor that names a frame. */
export function positionAfter(text: string): Position {
  const { ms, seq } = positionOf(text, 'from');
  if (seq < MAX) return { ms, seq: seq + 1n };
  return ms < MAX ? { ms: ms + 1n, seq: 0n } : LAST;
}

export const comparePositions = (a: Position, b: Position): number =>
  a.ms === b.ms ? (a.seq < b.seq ? -1 : a.seq > b.seq ? 1 : 0) : a.ms < b.ms ? -1 : 1;

/** A position as the id of a frame. */
export const textOfPosition = ({ ms, seq }: Position): string => `${ms}-${seq}`;
