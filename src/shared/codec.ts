/** Payloads: any JSON value, or bytes. The encoding travels with the bytes, so that nothing has to be guessed. */
import { isBytes, isUint8Array } from '../../model/core/bytes.js';
import { EngineError } from '../../model/errors.js';
import { LIMITS } from '../../model/limits.js';
import { propertyOf } from '../util/thrown.js';
import { kindOf, shown } from './shown.js';

export const JSON_ENCODING = 'json';
export const BYTES_ENCODING = 'bytes';

export interface Encoded {
  /** Absent for `undefined`: no payload at all. */
  readonly bytes: Uint8Array | undefined;
  readonly encoding: string | undefined;
}

const NOTHING: Encoded = { bytes: undefined, encoding: undefined };
const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder('utf-8', { fatal: true });

/** What to do about one. */
export const VALUES_HINT =
  'A value is anything that JSON can hold, or a Uint8Array, of up to 8 MiB; pass a reference to what is larger.';

/** The error for a value that cannot travel. @param problem what is wrong, in a sentence that follows a colon */
export type Refusal = (problem: string, isTooLarge: boolean) => Error;

/**
 * A value as bytes: a copy of a `Uint8Array`, anything else as JSON, `undefined` as nothing.
 *
 * @param refusal names the value in the words of its user; it is for one that is no JSON (a cycle, a bigint, a Map, a
 *   function, thousands of levels) or too large
 * @throws what `refusal` returns
 */
export function encode(value: unknown, refusal: Refusal): Encoded {
  if (value === undefined) return NOTHING;
  const within = (bytes: Uint8Array): Uint8Array => {
    if (bytes.byteLength <= LIMITS.maxPayloadBytes) return bytes;
    throw refusal(`${bytes.byteLength} bytes are more than the limit of ${LIMITS.maxPayloadBytes}.`, true);
  };
  if (isUint8Array(value)) {
    // The copy: its maker may fill the buffer anew before it is sent.
    if (isBytes(value)) return { bytes: Uint8Array.from(within(value)), encoding: BYTES_ENCODING };
    throw refusal('the buffer of the bytes was transferred, and they are gone.', false);
  }
  let json: string | undefined;
  let lost: string | undefined;
  try {
    json = JSON.stringify(value);
    lost = json === undefined ? unwritable(value) : lostKind(value, json);
  } catch {
    // Not the fault itself, as the cause: it can quote the value.
    throw refusal('the value cannot be written as JSON (a cycle, a bigint, a toJSON, too many levels).', false);
  }
  if (json === undefined || lost !== undefined) throw refusal(`${lost} cannot be written as JSON.`, false);
  return { bytes: within(utf8.encode(json)), encoding: JSON_ENCODING };
}

const unwritable = (value: unknown): string =>
  typeof value === 'object' ? 'an object whose toJSON gives nothing' : `a ${typeof value}`;

/** Objects of which JSON writes at most what was added to them. */
const LOST: ReadonlySet<string> = new Set(
  'Map Set WeakMap WeakSet WeakRef RegExp Error Promise ArrayBuffer SharedArrayBuffer Generator AsyncGenerator'.split(
    ' ',
  ),
);

/**
 * What an object is that JSON would lose without a word; undefined for any other value. Only the value itself is
 * looked at: the types refuse such members of it, and a walk over them would cost as much as the writing.
 */
function lostKind(value: unknown, json: string): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return undefined;
  if (kindOf(value) === 'Date') return Number.isNaN(Number(value)) ? 'an invalid Date' : undefined;
  if (typeof propertyOf(value, 'toJSON') === 'function') return undefined;
  const kind = kindOf(value);
  // Of an instance of a class of the platform, such as a Blob, JSON makes `{}` too.
  const isLost = ArrayBuffer.isView(value) || LOST.has(kind) || (json === '{}' && kind !== 'Object');
  return isLost ? shown(value) : undefined;
}

/** As a plain `Uint8Array`, whichever class a backend made them of. */
export const plainBytes = (bytes: Uint8Array): Uint8Array =>
  Buffer.isBuffer(bytes) ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength) : bytes;

/**
 * The value that the bytes stand for. Without an encoding, nothing is `undefined` and the rest stays bytes.
 *
 * @throws EngineError `corruption` when bytes that are called JSON are not; it does not quote them
 */
export function decode({ bytes, encoding }: Encoded): unknown {
  if (encoding === JSON_ENCODING) return parsed(bytes);
  if (bytes === undefined || (encoding === undefined && bytes.byteLength === 0)) return undefined;
  return plainBytes(bytes);
}

function parsed(bytes: Uint8Array | undefined): unknown {
  if (bytes === undefined) throw new EngineError('corruption', 'payload: it is called JSON, and its bytes are gone.');
  try {
    return JSON.parse(fromUtf8.decode(bytes));
  } catch {
    throw new EngineError('corruption', `payload: it is called JSON, and its ${bytes.byteLength} bytes are none.`);
  }
}
