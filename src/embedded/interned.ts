/**
 * Deduplicates repeated texts: names of lanes, kinds and workers. Read from a file, each would be a separate slice of a
 * large text, which would keep that whole text in memory.
 */
import { present } from '../../model/core/present.js';

const PLACES = 1024;
/** Longer texts are rarely names. */
const MAX_LENGTH = 64;

const known = new Array<string>(PLACES).fill('');

/** An equal text, mostly the one of an earlier call. */
export function interned(text: string): string {
  const { length } = text;
  if (length === 0 || length > MAX_LENGTH) return text;
  const place =
    (length * 31 + text.charCodeAt(length - 1) * 7 + text.charCodeAt(length >> 1) * 131 + text.charCodeAt(0) * 17) &
    (PLACES - 1);
  const last = present(known[place]);
  if (last === text) return last;
  // A copy that is not a slice.
  const own = Buffer.from(text).toString();
  known[place] = own;
  return own;
}
