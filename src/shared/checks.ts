/**
 * Checks of what users write. Every refusal names the place and the option in the user's own words:
 * `Task "charge": retry.failures must be a whole number from 0 to 1000, not -1`.
 */
import { durationMs, type Duration } from './duration.js';
import { InvalidDefinitionError } from './errors.js';
import { shown } from './shown.js';

export { isRecord, shown } from './shown.js';

/** A refusal in the user's words: `<where>: <option> must be <rule>, not <value>`. */
export function refuse(where: string, option: string, rule: string, value: unknown): InvalidDefinitionError {
  return new InvalidDefinitionError(`${where}: ${option} must be ${rule}, not ${shown(value)}`);
}

/** @throws InvalidDefinitionError for anything but a whole number within the bounds; `undefined` is left to its default */
export function checkWhole(where: string, option: string, value: unknown, min: number, max: number): void {
  if (value === undefined) return;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max)
    throw refuse(where, option, `a whole number from ${min} to ${max}`, value);
}

/** @throws InvalidDefinitionError for anything but a duration within the bounds; `undefined` is left to its default */
export function checkDuration(where: string, option: string, value: unknown, minMs: number, maxMs: number): void {
  if (value === undefined) return;
  let ms: number;
  try {
    ms = durationMs(value as Duration);
  } catch {
    throw refuse(where, option, 'a duration, in milliseconds or like "30s", "5m", "1.5h", "7d"', value);
  }
  if (ms < minMs) throw refuse(where, option, `at least ${minMs} ms`, value);
  if (ms > maxMs) throw refuse(where, option, `at most ${Math.floor(maxMs / 86_400_000)} days`, value);
}

/** @throws InvalidDefinitionError for anything but the signal of an AbortController; `undefined` is left to its default */
export function checkSignal(where: string, option: string, value: unknown): void {
  if (value === undefined) return;
  const { aborted, addEventListener } = Object(value) as Partial<AbortSignal>;
  if (typeof aborted !== 'boolean' || typeof addEventListener !== 'function')
    throw refuse(where, option, 'the signal of an AbortController', value);
}

/** @throws InvalidDefinitionError for anything but true and false; `undefined` is left to its default */
export function checkBoolean(where: string, option: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'boolean') throw refuse(where, option, 'true or false', value);
}

/** @throws InvalidDefinitionError for an unknown event, and for a listener that is not a function */
export function checkEventListener(names: readonly string[], name: unknown, listener: unknown): void {
  if (!names.includes(name as string)) throw refuse('on', 'the name', `one of ${names.join(', ')}`, name);
  if (typeof listener !== 'function') throw refuse('on', 'the listener', 'a function', listener);
}

/** @throws InvalidDefinitionError for anything but a list; `undefined` is left to its default */
export function checkList(where: string, option: string, value: unknown): void {
  if (value !== undefined) needList(where, option, value);
}

/** @throws InvalidDefinitionError for anything but a list; a text is no list of one */
export function needList(where: string, option: string, value: unknown): void {
  if (Array.isArray(value)) return;
  if (typeof value === 'string') throw refuse(where, option, `a list, like [${shown(value)}]`, value);
  throw refuse(where, option, 'a list', value);
}
