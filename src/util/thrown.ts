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
 * How many values, characters and bytes of an object are looked at. One object can be in a great many places of another
 * that was thrown, and a list can have four thousand million items that it does not hold.
 */
const MAX_LOOKED_AT = 100_000;

/** Counts what is looked at. @throws RangeError when it is too much */
function counter(): (amount: number) => void {
  let left = MAX_LOOKED_AT;
  return (amount) => {
    left -= amount;
    if (left < 0) throw new RangeError('too large');
  };
}

/** The object as JSON; undefined if it has none, or is too large. */
function jsonOf(value: object): string | undefined {
  const count = counter();
  // The `toJSON` of a Buffer lists its bytes, before they could be counted one by one.
  const countBytes = (member: unknown): void => {
    if (ArrayBuffer.isView(member)) count(member.byteLength);
  };
  return tried(() => {
    countBytes(value);
    return JSON.stringify(value, (_, member: unknown) => {
      count(typeof member === 'string' ? member.length + 1 : 1);
      if (typeof member === 'object' && member !== null) Object.values(member).forEach(countBytes);
      return member;
    }) as string | undefined;
  });
}

/** As Node would print it; of an object that is too large for that, only what it is. */
function inspected(value: object): string | undefined {
  const count = counter();
  const look = (part: unknown, levels: number): void => {
    if (typeof part !== 'object' || part === null || ArrayBuffer.isView(part)) return;
    const members = Object.values(Array.isArray(part) ? part.slice(0, INSPECT.maxArrayLength) : part);
    count(members.length);
    if (levels > 0) for (const member of members) look(member, levels - 1);
  };
  return tried(() => {
    look(value, INSPECT.depth);
    return inspect(value, INSPECT);
  });
}

/**
 * Any value as text: a string unchanged, an object as JSON if that says anything, or by its own `toString`, otherwise as
 * Node would print it.
 */
export function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'object' && value !== null) {
    const json = jsonOf(value);
    // A `String` object, or a `toJSON` that gives a text.
    if (json?.startsWith('"')) return JSON.parse(json) as string;
    if (json !== undefined && json !== '{}') return json;
    return ownText(value) ?? inspected(value) ?? json ?? 'object';
  }
  return tried(() => String(value)) ?? typeof value;
}

function ownText(value: object): string | undefined {
  const own = propertyOf(value, 'toString');
  // The `toString` of a list writes all its items.
  const isList = tried(() => Array.isArray(value) || ArrayBuffer.isView(value)) !== false;
  if (isList || typeof own !== 'function' || own === Object.prototype.toString) return undefined;
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
