/**
 * A position in a log, for readers (ruling 15): the generation of the log, the position of an entry, and the time of
 * that entry. Callers store it as opaque text. It distinguishes a log without news from a log that was created anew,
 * and from a log that lost its tail and grew again. Readers of many logs keep two- and three-byte marks instead of
 * generation and time (`markedCursor`).
 */
import { EngineError } from '../errors.js';

export interface Cursor {
  /** Empty before the first entry of a log; `~` and a number for a mark. */
  readonly generation: string;
  readonly sequence: number;
  /** Time of the entry at this position, ms since the epoch; 0 before the first one, or when it is not known. */
  readonly time: number;
  /** Whether generation and time are marks. */
  readonly marked?: boolean;
}

/** As a cursor: the current end of the log. */
export const NOW = 'now';

/** Before the first entry of any log. */
export const BEGINNING: Cursor = { generation: '', sequence: 0, time: 0 };

const PATTERN = /^(~?)([0-9a-z]{0,16})\.(0|[1-9][0-9]{0,15})\.(0|[1-9][0-9]{0,15})$/;

export function encodeCursor({ generation, sequence, time, marked }: Cursor): string {
  return `${marked ? '~' : ''}${generation}.${sequence}.${time}`;
}

function cursorIn(text: string): Cursor | undefined {
  const [, mark, generation, sequence, time] = PATTERN.exec(text) ?? [];
  if (generation === undefined) return undefined;
  const cursor = { generation, sequence: Number(sequence), time: Number(time) };
  // Sixteen digits can exceed the exact integers.
  if (!Number.isSafeInteger(cursor.sequence) || !Number.isSafeInteger(cursor.time)) return undefined;
  return mark === '~' ? { ...cursor, marked: true } : cursor;
}

/** @throws EngineError `invalid_input` */
export function decodeCursor(text: string): Cursor {
  const cursor = cursorIn(text);
  if (cursor === undefined) throw new EngineError('invalid_input', 'after: must be a cursor that a read answered.');
  return cursor;
}

export function isCursor(text: string): boolean {
  return cursorIn(text) !== undefined;
}

/** Whether it is a cursor without marks. */
export function isExactCursor(text: string): boolean {
  return isCursor(text) && !text.startsWith('~');
}

/** The generation of a log whose first entry has this time. */
export function generationOf(firstEntryAt: number): string {
  return firstEntryAt.toString(36);
}

/** Marks are below these numbers; 0 marks an unknown value. */
const GENERATION_MARKS = 2 ** 16;
const TIME_MARKS = 2 ** 24;

/** The same position with marks. Another log passes for this one in 1 of 65 536 cases. */
export function markedCursor(cursor: Cursor): Cursor {
  if (cursor.marked) return cursor;
  const { generation, sequence, time } = cursor;
  return { generation: markOfGeneration(generation), sequence, time: markOfTime(time), marked: true };
}

function markOfGeneration(generation: string): string {
  if (generation === '') return '';
  // FNV-1a.
  let hash = 0x811c9dc5;
  for (let i = 0; i < generation.length; i++) hash = Math.imul(hash ^ generation.charCodeAt(i), 0x01000193) >>> 0;
  return ((hash % (GENERATION_MARKS - 1)) + 1).toString(36);
}

const markOfTime = (time: number): number => (time === 0 ? 0 : (time % (TIME_MARKS - 1)) + 1);

/** Whether the cursor is of this log, as far as it can tell. */
export function isOfGeneration(cursor: Cursor, generation: string): boolean {
  return cursor.generation === '' || cursor.generation === (cursor.marked ? markOfGeneration(generation) : generation);
}

/** Whether the entry at the cursor has this time, as far as it can tell. */
export function isOfTime(cursor: Cursor, time: number): boolean {
  return cursor.time === 0 || cursor.time === (cursor.marked ? markOfTime(time) : time);
}
