/**
 * Reads values that users threw or returned. They can have getters that throw, be revoked proxies, contain circles, or
 * be errors of another realm. Nothing here throws.
 */
import { inspect, types } from 'node:util';

/** The value of `read`, or undefined if it throws. */
export function tried<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** A property of a value, or undefined if it is missing or cannot be read. */
export function propertyOf(value: unknown, key: PropertyKey): unknown {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return undefined;
  return tried(() => Reflect.get(value, key) as unknown);
}

/** Whether the value is an error of any realm, or has a message and a stack like one. */
export function isErrorLike(value: unknown): boolean {
  if (types.isNativeError(value) || tried(() => value instanceof Error) === true) return true;
  return typeof propertyOf(value, 'stack') === 'string' && typeof propertyOf(value, 'message') === 'string';
}

/** The name of an error's class: its `name`, or the name of its constructor if `name` is only `Error`. */
export function errorName(error: unknown): string {
  const name = propertyOf(error, 'name');
  const constructorName = propertyOf(propertyOf(error, 'constructor'), 'name');
  const own = typeof name === 'string' && name !== '' ? name : 'Error';
  return own === 'Error' && typeof constructorName === 'string' && constructorName !== '' ? constructorName : own;
}

const INSPECT = { depth: 2, breakLength: Infinity, maxArrayLength: 20, maxStringLength: 1_000, customInspect: false };

/**
 * Any value as text: a string unchanged, an object as JSON if that says anything, or by its own `toString`, otherwise as
 * Node would print it.
 */
export function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'object' && value !== null) {
    const json = tried(() => JSON.stringify(value) as string | undefined);
    // A `String` object, or a `toJSON` that gives a text.
    if (json?.startsWith('"')) return JSON.parse(json) as string;
    if (json !== undefined && json !== '{}') return json;
    return ownText(value) ?? tried(() => inspect(value, INSPECT)) ?? json ?? 'object';
  }
  return tried(() => String(value)) ?? typeof value;
}

function ownText(value: object): string | undefined {
  const own = propertyOf(value, 'toString');
  if (typeof own !== 'function' || own === Object.prototype.toString) return undefined;
  const text = tried(() => String(value));
  return text === '' || text?.startsWith('[object ') ? undefined : text;
}

/** The message of an error, or the text of any other thrown value. May be empty. */
export function messageOf(thrown: unknown): string {
  if (!isErrorLike(thrown)) return textOf(thrown);
  const message = propertyOf(thrown, 'message');
  if (message === undefined || message === '') return errorName(thrown);
  return textOf(message);
}
