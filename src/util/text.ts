/** Bounds texts to a length. */
import { utf8Bytes } from '../../model/ids.js';

/** The end of a truncated text. */
const MARK = '…';

/** Truncates a text to well-formed UTF-8 of at most `maxBytes` (3 or more), between characters, with "…" at the end. */
export function boundText(text: string, maxBytes: number): string {
  // A unit takes at least one byte, so no more units than `maxBytes` can fit.
  const wellFormed = text.slice(0, maxBytes + 1).toWellFormed();
  // Most texts are short, and UTF-8 takes at most three bytes a unit.
  if (wellFormed.length * 3 <= maxBytes || utf8Bytes(wellFormed) <= maxBytes) return wellFormed;
  const room = maxBytes - utf8Bytes(MARK);
  let bytes = 0;
  let end = 0;
  for (const character of wellFormed) {
    bytes += utf8Bytes(character);
    if (bytes > room) break;
    end += character.length;
  }
  return wellFormed.slice(0, end) + MARK;
}
