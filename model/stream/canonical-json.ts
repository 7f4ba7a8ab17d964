/**
 * Canonical JSON: equal values are equal texts, so that the server can merge documents without parsing numbers or
 * strings. Keys ascend by UTF-8 bytes, numbers are written as ECMAScript writes them, and there is no white space.
 * Source: spec 07 section 4.2.
 */
import { compareBytes } from '../ids.js';

/** The members of an object, ascending by key. */
export type Members = readonly (readonly [key: string, value: Node])[];

/** A value: the members of an object, or the text of any other value. */
export type Node = string | Members;

export const isMembers = (node: Node | undefined): node is Members => typeof node === 'object';

/** Stands for a null in a patch, where a plain null removes the member. */
const NULL_SENTINEL = '__ff_null__';
export const SENTINEL_TEXT = JSON.stringify(NULL_SENTINEL);

/** Limits: depth of objects, depth of objects and arrays together (including the root), members of one object. */
export const MAX_OBJECT_LEVELS = 17;
export const MAX_LEVELS = 32;
export const MAX_MEMBERS = 4_096;

/** Why a text is not a valid document, in the words of the contract. */
export class JsonFault extends Error {
  override readonly name = 'JsonFault';
}

/** Messages of faults. */
export const NOT_JSON = 'patch payload is not valid JSON';
export const OUT_OF_RANGE = 'number_out_of_range';
export const TOO_DEEP = 'patch_depth_exceeded';
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?([eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;
const WHITE_SPACE = /[ \t\n\r]*/y;
/** A string up to its end; its content is checked afterwards. */
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;

/** The digits of a number from the first to the last that is not 0, and their power of ten. */
function decimalOf(text: string): string {
  const [mantissa = '', power = '0'] = text.replace(/^-/, '').split(/e/i);
  const [whole = '', fraction = ''] = mantissa.split('.');
  const digits = (whole + fraction).replace(/^0+/, '');
  // A regular expression for the zeros at the end would look at each run of zeros again from each of its digits.
  let end = digits.length;
  while (digits[end - 1] === '0') end--;
  const significant = digits.slice(0, end);
  return `${significant}e${Number(power) - fraction.length + digits.length - significant.length}`;
}

/** Whether a number beyond the exact integers is written out in full, or would be stored as another number. */
const isOutOfRange = (text: string, value: number, hasExponent: boolean): boolean =>
  Math.abs(value) > Number.MAX_SAFE_INTEGER && (!hasExponent || decimalOf(text) !== decimalOf(String(value)));

/** A parser that reads a text from front to back. */
class Parser {
  private at = 0;
  /** Depth of objects, and of objects and arrays, at the position. */
  private objects = 0;
  private levels = 0;
  private arrays = 0;

  constructor(
    private readonly text: string,
    /** Whether the text is canonical already: large whole numbers written without an exponent are not. */
    private readonly isCanonical: boolean,
  ) {}

  document(): Members {
    this.skipSpace();
    const node = this.value();
    this.skipSpace();
    if (this.at < this.text.length) throw new JsonFault(NOT_JSON);
    if (!isMembers(node)) throw new JsonFault('patch must be a JSON object');
    return node;
  }

  private value(): Node {
    switch (this.text[this.at]) {
      case '{':
        return this.object();
      case '[':
        return this.array();
      case '"':
        return this.string();
      default:
        return this.scalar();
    }
  }

  private object(): Members {
    this.enter(1);
    const members = new Map<string, Node>();
    this.list('}', () => {
      if (this.text[this.at] !== '"') throw new JsonFault(NOT_JSON);
      const key = JSON.parse(this.string(false)) as string;
      this.skipSpace();
      if (this.text[this.at++] !== ':') throw new JsonFault(NOT_JSON);
      this.skipSpace();
      // Of duplicate keys, the last one replaces the others entirely.
      members.set(key, this.value());
      if (members.size > MAX_MEMBERS) throw new JsonFault(`an object has more than ${MAX_MEMBERS} members`);
    });
    this.leave(1);
    const sorted = [...members].sort(([a], [b]) => compareBytes(a, b));
    // Arrays are not merged, so an element is a text.
    return this.arrays > 0 ? (printed(sorted) as unknown as Members) : sorted;
  }

  private array(): string {
    this.enter(0);
    this.arrays++;
    const items: string[] = [];
    this.list(']', () => items.push(printed(this.value())));
    this.arrays--;
    this.leave(0);
    return `[${items.join(',')}]`;
  }

  /** Comma-separated items in brackets. */
  private list(end: string, item: () => void): void {
    this.at++;
    this.skipSpace();
    if (this.text[this.at] === end) {
      this.at++;
      return;
    }
    for (;;) {
      item();
      this.skipSpace();
      const next = this.text[this.at++];
      if (next === end) return;
      if (next !== ',') throw new JsonFault(NOT_JSON);
      this.skipSpace();
    }
  }

  /** The canonical text of a string. A sentinel in an array becomes a null. */
  private string(isValue = true): string {
    const raw = this.match(STRING)?.[0];
    if (raw === undefined) throw new JsonFault(NOT_JSON);
    const value = JSON.parse(raw) as string;
    if (!value.isWellFormed()) throw new JsonFault(NOT_JSON);
    return isValue && this.arrays > 0 && value === NULL_SENTINEL ? 'null' : JSON.stringify(value);
  }

  private scalar(): string {
    const word = this.match(WORD)?.[0];
    if (word !== undefined) return word;
    const match = this.match(NUMBER);
    if (match === undefined) throw new JsonFault(NOT_JSON);
    const [text, exponent] = match;
    const value = Number(text);
    if (!Number.isFinite(value) || (!this.isCanonical && isOutOfRange(text, value, exponent !== undefined)))
      throw new JsonFault(OUT_OF_RANGE);
    return JSON.stringify(value === 0 ? 0 : value);
  }

  private enter(objects: 0 | 1): void {
    this.objects += objects;
    this.levels++;
    if (this.objects > MAX_OBJECT_LEVELS || this.levels > MAX_LEVELS) throw new JsonFault(TOO_DEEP);
  }

  private leave(objects: 0 | 1): void {
    this.objects -= objects;
    this.levels--;
  }

  private skipSpace(): void {
    this.match(WHITE_SPACE);
  }

  private match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.at;
    const match = pattern.exec(this.text);
    if (match === null) return undefined;
    this.at = pattern.lastIndex;
    return match;
  }
}

/** The members of a JSON object. @throws JsonFault if it is not one, or beyond a limit */
export function parseObject(text: string): Members {
  return new Parser(text, false).document();
}

/** The members of a stored canonical document. */
export function parseCanonical(text: string): Members {
  return new Parser(text, true).document();
}

/** The canonical text of a value. */
export function printed(node: Node): string {
  if (!isMembers(node)) return node;
  return `{${node.map(([key, value]) => `${JSON.stringify(key)}:${printed(value)}`).join(',')}}`;
}
