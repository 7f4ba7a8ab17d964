/** Texts that come from handlers, made fit for the engine's limits: a worker must be able to report any failure. */
import { utf8Bytes } from '../../model/ids.js';
import { LIMITS } from '../../model/limits.js';

const ELLIPSIS = '…';

/** Well-formed text of at most `maxBytes` bytes of UTF-8, cut at the end of a character. */
export function boundText(text: string, maxBytes: number): string {
  const wellFormed = text.toWellFormed();
  // Most texts are short: three bytes a unit is the most that UTF-8 takes.
  if (wellFormed.length * 3 <= maxBytes || utf8Bytes(wellFormed) <= maxBytes) return wellFormed;
  const room = maxBytes - utf8Bytes(ELLIPSIS);
  let bytes = 0;
  let end = 0;
  for (const character of wellFormed) {
    bytes += utf8Bytes(character);
    if (bytes > room) break;
    end += character.length;
  }
  return wellFormed.slice(0, end) + ELLIPSIS;
}

/** Causes named in a reason; a chain can be a circle. */
const MAX_CAUSES = 8;

/** The messages of an error and of its causes, joined by ": ", within the limit of a failure reason. */
export function reasonOf(error: unknown): string {
  const messages: string[] = [];
  let current = error;
  for (let depth = 0; depth < MAX_CAUSES && current !== undefined && current !== null; depth++) {
    const message = messageOf(current);
    // Wrappers often repeat what they wrap.
    if (message !== '' && !messages.at(-1)?.includes(message)) messages.push(message);
    current = current instanceof Error ? current.cause : undefined;
  }
  return boundText(messages.join(': ') || 'unknown error', LIMITS.maxReasonBytes);
}

function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message === '' ? thrown.name : thrown.message;
  try {
    return typeof thrown === 'string' ? thrown : (JSON.stringify(thrown) ?? String(thrown));
  } catch {
    return String(thrown);
  }
}

/** A failure category that the engine accepts: what it forbids becomes "_". */
export function categoryOf(wanted: string | undefined, fallback: string): string {
  if (wanted === undefined || wanted === '') return fallback;
  return boundText(wanted.toWellFormed().replace(/[,|\u0000-\u001f\u007f-\u009f]/g, '_'), LIMITS.maxCategoryBytes);
}
