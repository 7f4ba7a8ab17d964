/**
 * Values of users as JSON. `JSON.stringify` makes `{}` of a Map and null of NaN without a word; here such a value is
 * refused. What the types show is allowed (travel.ts): members that are undefined or functions are left out, and an
 * undefined item of a list is null.
 */
import { tried } from '../util/thrown.js';
import { kindOf, shown } from './shown.js';

/** A value that cannot be written as JSON. The message quotes nothing of it but indexes, and names that are identifiers. */
export class NoJson extends Error {
  constructor(
    message: string,
    readonly isTooLarge = false,
  ) {
    super(message);
  }
}

/** Objects of which JSON writes at most what was added to them. */
const LOST: ReadonlySet<string> = new Set(
  'Map Set WeakMap WeakSet WeakRef RegExp Error Promise ArrayBuffer SharedArrayBuffer Generator AsyncGenerator'.split(
    ' ',
  ),
);

/** How many values may still be looked at. A value that occurs in many places of another is visited each time. */
let valuesLeft = 0;

/**
 * The JSON of a value; undefined for `undefined`.
 * @param maxValues most values in it, itself and nested ones
 * @param outerLevels how many levels of it the library has made: messages leave them out
 * @throws NoJson; the error of a getter or a `toJSON`; for a cycle and for too many levels what JSON.stringify throws
 */
export function jsonOf(value: unknown, maxValues: number, outerLevels = 0): string | undefined {
  valuesLeft = maxValues;
  const isPlainValue = tried(() => isPlain(value));
  if (valuesLeft < 0) throw new NoJson(`it has more than ${maxValues} values.`, true);
  return JSON.stringify(value, isPlainValue === true ? undefined : strictReplacer(maxValues, outerLevels));
}

/**
 * Whether the value has only what JSON can hold. This holds for most values, and is known faster than by the replacer,
 * which finds what is wrong, and looks at what a `toJSON` gives.
 */
function isPlain(value: unknown): boolean {
  if (value === undefined) return true;
  valuesLeft -= 1;
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true;
    case 'number':
      return Number.isFinite(value);
    case 'object':
      return value === null || (valuesLeft >= 0 && hasPlainMembers(value));
    default:
      return false;
  }
}

function hasPlainMembers(value: object): boolean {
  const { toJSON } = value as { readonly toJSON?: unknown };
  if (toJSON !== undefined)
    return kindOf(value) === 'Date' && toJSON === Date.prototype.toJSON && !Number.isNaN(Number(value));
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      // Written as null, and counted: an array can have four thousand million items that it does not hold.
      if (value[i] === undefined && --valuesLeft < 0) return false;
      if (!isPlain(value[i])) return false;
    }
    return true;
  }
  if (!isPlainObject(value)) return false;
  for (const key in value) if (!isPlain((value as Record<string, unknown>)[key])) return false;
  return true;
}

/** Whether JSON writes the members of an object, and they are all there is to it. */
function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype || kindOf(value) === 'Object';
}

/** Refuses what JSON would lose. JSON.stringify calls it with the object that has the member as `this`. */
function strictReplacer(maxValues: number, outerLevels: number) {
  /** The objects around the member, from outside to inside, each with its place in the one before. */
  const around: { readonly object: object; readonly key: string }[] = [];
  let count = 0;
  return function (this: object, key: string, written: unknown): unknown {
    while (around.length > 0 && around.at(-1)?.object !== this) around.pop();
    const lost = lostIn(Reflect.get(this, key) as unknown, written, Array.isArray(this));
    if (lost !== undefined) {
      // The outermost object has the value itself as its only member.
      const path = around.length === 0 ? [] : [...around.slice(1).map((each) => each.key), key];
      throw new NoJson(sentenceOf(lost, path.slice(outerLevels)));
    }
    if ((written !== undefined || Array.isArray(this)) && ++count > maxValues)
      throw new NoJson(`it has more than ${maxValues} values.`, true);
    if (typeof written === 'object' && written !== null) around.push({ object: written, key });
    return written;
  };
}

/**
 * What a value is that JSON would lose; undefined for any other.
 * @param written what its `toJSON` made of it; the value itself without one
 */
function lostIn(value: unknown, written: unknown, isItem: boolean): string | undefined {
  switch (typeof written) {
    case 'number':
      return Number.isFinite(written) ? undefined : String(written);
    case 'bigint':
      return 'a bigint';
    case 'symbol':
      return 'a symbol';
    case 'function':
      return isItem ? 'a function' : undefined;
    case 'object':
      return lostObject(value, written);
    default:
      return undefined;
  }
}

function lostObject(value: unknown, written: object | null): string | undefined {
  // A Buffer has a `toJSON`, and so has an invalid Date.
  if (ArrayBuffer.isView(value)) return shown(value);
  if (written === null) return value !== null && kindOf(Object(value)) === 'Date' ? 'an invalid Date' : undefined;
  if (Array.isArray(written)) return undefined;
  const kind = kindOf(written);
  if (kind === 'Number') return Number.isFinite(Number(written)) ? undefined : 'no finite number';
  // Of an instance of a class of the platform, such as a Blob, JSON makes `{}` too.
  const isEmpty = kind !== 'Object' && kind !== 'String' && kind !== 'Boolean' && Object.keys(written).length === 0;
  return ArrayBuffer.isView(written) || LOST.has(kind) || isEmpty ? shown(written) : undefined;
}

/** Most names in a message. */
const MAX_NAMES = 16;
/** Names that a message quotes. Others can be keys of a map, such as addresses of customers. */
const IDENTIFIER = /^[\p{ID_Start}$_][\p{ID_Continue}$]{0,39}$/u;

function sentenceOf(lost: string, path: readonly string[]): string {
  if (path.length === 0) return `${lost} cannot be written as JSON.`;
  return `its member ${pathText(path)} is ${lost}, which cannot be written as JSON.`;
}

function pathText(path: readonly string[]): string {
  const names = path.slice(0, MAX_NAMES).map((name, index) => {
    if (/^(0|[1-9]\d{0,9})$/.test(name)) return `[${name}]`;
    if (!IDENTIFIER.test(name)) return '[…]';
    return index === 0 ? name : `.${name}`;
  });
  return names.join('') + (path.length > MAX_NAMES ? '…' : '');
}
