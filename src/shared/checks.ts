/**
 * Checks of what users write. Every refusal names the place and the option in the user's own words:
 * `Task "charge": retry.failures must be a whole number from 0 to 1000, not -1`.
 */
import type { Field } from '../../model/core/fields.js';
import { issueWords } from '../../model/core/issue-words.js';
import { propertyOf, tried } from '../util/thrown.js';
import { durationMs, type Duration } from './duration.js';
import { InvalidDefinitionError } from './errors.js';
import { shown } from './shown.js';

export { isRecord, shown } from './shown.js';

/** A refusal in the user's words: `<where>: <option> must be <rule>, not <value>`. */
export function refuse(where: string, option: string, rule: string, value: unknown): InvalidDefinitionError {
  return new InvalidDefinitionError(`${where}: ${option} must be ${rule}, not ${shown(value)}`);
}

/**
 * Checks a value by the engine's declaration of the argument that it becomes: rules and bounds are written once.
 *
 * @throws InvalidDefinitionError that names the place within the option: `tags["team.name"] must be a string, not 5`;
 *   `undefined` is left to its default
 */
export function checkField(where: string, option: string, field: Field, value: unknown): void {
  if (value !== undefined) needField(where, option, field, value);
}

/** The same for what has to be given. @throws InvalidDefinitionError */
export function needField(where: string, option: string, field: Field, value: unknown): void {
  const issueOf = (given: unknown) => ({ issue: field.safeParse(given).error?.issues[0] });
  // Nothing can be read of a revoked proxy.
  const { issue } = tried(() => issueOf(value)) ?? issueOf(null);
  if (issue === undefined) return;
  const { path } = issue;
  const words = issueWords(issue);
  if (issue.code === 'invalid_key')
    throw new InvalidDefinitionError(`${where}: ${option}: ${words.replace('key', `key ${shown(path.at(-1))}`)}`);
  const place = path.reduce(
    (text: string, part) => text + (/^[a-z_]\w{0,60}$/i.test(String(part)) ? `.${String(part)}` : `[${shown(part)}]`),
    option,
  );
  if (!words.startsWith('must')) throw new InvalidDefinitionError(`${where}: ${place}: ${words}`);
  const found = path.reduce((within: unknown, part) => propertyOf(within, part), value);
  const isSeen = issue.code === 'invalid_type' || typeof found !== 'object';
  throw new InvalidDefinitionError(`${where}: ${place} ${words}${isSeen ? `, not ${shown(found)}` : ''}`);
}

/** @throws InvalidDefinitionError for anything but a whole number within the bounds; `undefined` is left to its default */
export function checkWhole(where: string, option: string, value: unknown, min: number, max: number): void {
  if (value !== undefined) needWhole(where, option, value, min, max);
}

/** The same for what has to be given. @throws InvalidDefinitionError */
export function needWhole(where: string, option: string, value: unknown, min: number, max: number): void {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max)
    throw refuse(where, option, `a whole number from ${min} to ${max}`, value);
}

/** @throws InvalidDefinitionError for anything but a duration within the bounds; `undefined` is left to its default */
export function checkDuration(where: string, option: string, value: unknown, minMs: number, maxMs: number): void {
  if (value === undefined) return;
  if (typeof value === 'number' && value < 0) throw refuse(where, option, `at least ${minMs} ms`, value);
  let ms: number;
  try {
    ms = durationMs(value as Duration);
  } catch {
    throw refuse(where, option, 'a duration, in milliseconds or like "30s", "5m", "1.5h", "7d"', value);
  }
  if (ms < minMs) throw refuse(where, option, `at least ${minMs} ms`, value);
  if (ms > maxMs) throw refuse(where, option, `at most ${limitText(maxMs)}`, value);
}

const DAY_MS = 86_400_000;
const limitText = (ms: number): string =>
  ms % DAY_MS === 0 ? `${ms / DAY_MS} ${ms === DAY_MS ? 'day' : 'days'}` : `${ms} ms`;

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

/** @throws InvalidDefinitionError for anything but a schema; `undefined` is left to its default */
export function checkSchema(where: string, option: string, value: unknown): void {
  if (value === undefined || typeof propertyOf(propertyOf(value, '~standard'), 'validate') === 'function') return;
  throw new InvalidDefinitionError(
    `${where}: ${option} must be a schema (zod, valibot, arktype or another Standard Schema), not ${shown(value)}`,
    'Pass the schema itself, like z.object({ ... }); without one, leave the option out.',
  );
}

/** @throws InvalidDefinitionError for anything but a logger; `undefined` is left to its default */
export function checkLogger(where: string, value: unknown): void {
  const levels = ['debug', 'info', 'warn', 'error'] as const;
  if (value !== undefined && !levels.every((level) => typeof propertyOf(value, level) === 'function'))
    throw refuse(where, 'log', 'a logger with debug, info, warn and error, like console', value);
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

/** A list with more items is refused before anything visits them: it can have four thousand million that it does not hold. */
const MAX_LIST_ITEMS = 1_000_000;

/** @throws InvalidDefinitionError for anything but a list, and for an endless one; a text is no list of one */
export function needList(where: string, option: string, value: unknown): void {
  if (Array.isArray(value)) {
    if (value.length <= MAX_LIST_ITEMS) return;
    throw refuse(where, option, `a list of at most ${MAX_LIST_ITEMS} items`, `${value.length} items`);
  }
  if (typeof value === 'string') throw refuse(where, option, `a list, like [${shown(value)}]`, value);
  throw refuse(where, option, 'a list', value);
}
