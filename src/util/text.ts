/** Texts of any length and content, made fit for a limit. */
import { utf8Bytes } from '../../model/ids.js';

/** Ends a text that was cut. */
const MARK = '…';

/** Well-formed text of at most `maxBytes` bytes of UTF-8 (3 or more), cut at the end of a character and marked with "…". */
export function boundText(text: string, maxBytes: number): string {
  // A unit takes a byte at least: of a huge text, no more than can fit is looked at.
  const wellFormed = text.slice(0, maxBytes + 1).toWellFormed();
  // Most texts are short: three bytes a unit is the most that UTF-8 takes.
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
