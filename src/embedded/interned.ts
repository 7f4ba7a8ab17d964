/**
 * Texts that come again: names of lanes, kinds, workers. Read from a file, each would be a text of its own, and a part of
 * the large text that was read, which then stays in memory as a whole.
 */
const PLACES = 1024;
/** Longer ones are rarely names. */
const MAX_LENGTH = 64;

const known = new Array<string>(PLACES).fill('');

/** An equal text: the one that was met last time, as a rule. */
export function interned(text: string): string {
  const { length } = text;
  if (length === 0 || length > MAX_LENGTH) return text;
  const place =
    (length * 31 + text.charCodeAt(length - 1) * 7 + text.charCodeAt(length >> 1) * 131 + text.charCodeAt(0) * 17) &
    (PLACES - 1);
  const last = known[place] as string;
  if (last === text) return last;
  // A copy, which is no part of anything.
  const own = Buffer.from(text).toString();
  known[place] = own;
  return own;
}
