/**
 * Lane names. Users may call a lane what they like (`mail:send`); the engine builds keys and lists of lane ids, and so
 * keeps `{ } : ,` out of them. This module alone maps one to the other, one to one: what an id must not hold is
 * written as its UTF-8 bytes in hexadecimal behind a `%`, and so is the `%` itself (`mail:send` is `mail%3Asend`).
 */
import { laneId } from '../../model/core/fields.js';
import { LIMITS } from '../../model/limits.js';
import { InvalidDefinitionError } from './errors.js';

/** What an id must not hold, and the character that escapes it. */
const ESCAPED = /[^\x20-\x7e]|[{}:,%]/gu;
const ESCAPE = /(?:%[0-9A-F]{2})+/g;

const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The characters of a name that need no escaping, and every other one as `%` and two digits a byte. */
export function escapedLane(name: string): string {
  return name.replace(ESCAPED, (character) =>
    Array.from(utf8.encode(character), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}

/**
 * The engine's id of a lane.
 *
 * @param where what names the lane, as the message begins: `Task "charge"`
 * @param option the option that names it, as users write it
 * @throws InvalidDefinitionError when it is no text, empty, or longer than 64 bytes once escaped
 */
export function laneIdOf(name: unknown, where: string, option = 'lane'): string {
  if (typeof name !== 'string' || name === '' || !name.isWellFormed())
    throw new InvalidDefinitionError(`${where}: ${option} must be the name of a lane, and not empty`);
  const id = escapedLane(name);
  if (laneId.safeParse(id).success) return id;
  throw new InvalidDefinitionError(
    `${where}: ${option} may have ${LIMITS.maxLaneIdBytes} bytes at most, and has ${id.length}` +
      (id === name ? '' : ' (each byte of { } : , % and of other characters than ASCII counts as three)'),
    'Choose a shorter name for the lane; a task with a long name takes a lane by `lane`.',
  );
}

/** The name that users gave the lane with this id. An id that was not made by `laneIdOf` is given back as it is. */
export function laneNameOf(id: string): string {
  if (!id.includes('%')) return id;
  const name = id.replace(ESCAPE, (digits) => {
    const bytes = Uint8Array.from(digits.slice(1).split('%'), (byte) => parseInt(byte, 16));
    try {
      return fromUtf8.decode(bytes);
    } catch {
      return digits;
    }
  });
  return escapedLane(name) === id ? name : id;
}
