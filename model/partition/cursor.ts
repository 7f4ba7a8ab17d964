/**
 * A position in a log, for its readers (ruling 15): the generation of the log, the position of an entry, and the time
 * of that entry. Callers keep it as one opaque text. What is gone is never "nothing new": the three tell a log that was
 * made anew, and a tail that was lost and grew again, from the log that the reader knew.
 */
import { EngineError } from '../errors.js';

export interface Cursor {
  /** Empty before the first entry of a log. */
  readonly generation: string;
  readonly sequence: number;
  /** Time of the entry at this position, ms since the epoch; 0 before the first one, or when it is not known. */
  readonly time: number;
}

/** In the place of a cursor: the end of the log as it is. */
export const NOW = 'now';

/** Before the first entry of any log. */
export const BEGINNING: Cursor = { generation: '', sequence: 0, time: 0 };

const PATTERN = /^([0-9a-z]{0,16})\.(0|[1-9][0-9]{0,15})\.(0|[1-9][0-9]{0,15})$/;

export function encodeCursor({ generation, sequence, time }: Cursor): string {
  return `${generation}.${sequence}.${time}`;
}

/** @throws EngineError `invalid_input` */
export function decodeCursor(text: string): Cursor {
  const match = PATTERN.exec(text);
  if (match === null) throw new EngineError('invalid_input', 'after: must be a cursor that a read answered.');
  const [, generation = '', sequence, time] = match;
  return { generation, sequence: Number(sequence), time: Number(time) };
}

export function isCursor(text: string): boolean {
  return PATTERN.test(text);
}

/** The name of a log whose first entry has this time. */
export function generationOf(firstEntryAt: number): string {
  return firstEntryAt.toString(36);
}
