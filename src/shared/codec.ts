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

/**
 * A value as bytes: a copy of a `Uint8Array`, anything else as JSON, `undefined` as nothing.
 *
 * @param what is written, as a message begins
 * @throws EngineError `invalid_input` when the value is no JSON (a cycle, a bigint, a Map, a function, thousands of levels) or too large
 */
export function encode(value: unknown, what = 'payload'): Encoded {
  return encodeWithin(value, what, (bytes) => {
    throw new EngineError(
      'invalid_input',
      `${what}: ${bytes} bytes are more than the limit of ${LIMITS.maxPayloadBytes}.`,
    );
  });
}

/**
 * `encode` in the words of the caller.
 *
 * @param what is written, as a message begins
 * @param tooLarge throws for so many bytes
 */
export function encodeWithin(value: unknown, what: string, tooLarge: (bytes: number) => never): Encoded {
  if (value === undefined) return NOTHING;
  const within = (bytes: Uint8Array): Uint8Array =>
    bytes.byteLength <= LIMITS.maxPayloadBytes ? bytes : tooLarge(bytes.byteLength);
  if (isUint8Array(value)) {
    // The copy: its maker may fill the buffer anew before it is sent.
    if (isBytes(value)) return { bytes: Uint8Array.from(within(value)), encoding: BYTES_ENCODING };
    throw new EngineError('invalid_input', `${what}: the buffer of the bytes was transferred, and they are gone.`);
  }
  let json: string | undefined;
  let lost: string | undefined;
  try {
    json = JSON.stringify(value);
    lost = lostKind(value);
  } catch {
    // Not the fault itself, as the cause: it can quote the value.
    throw new EngineError(
      'invalid_input',
      `${what}: the value cannot be written as JSON (a cycle, a bigint, a toJSON, too many levels).`,
    );
  }
  if (json === undefined || lost !== undefined)
    throw new EngineError('invalid_input', `${what}: ${lost ?? unwritable(value)} cannot be written as JSON.`);
  return { bytes: within(utf8.encode(json)), encoding: JSON_ENCODING };
}

const unwritable = (value: unknown): string =>
  typeof value === 'object' ? 'an object whose toJSON gives nothing' : `a ${typeof value}`;

/** Objects of which JSON makes `{}`. */
const LOST: ReadonlySet<string> = new Set(
  'Map Set WeakMap WeakSet WeakRef RegExp Error Promise ArrayBuffer SharedArrayBuffer Generator AsyncGenerator'.split(
    ' ',
  ),
);

/**
 * What an object is that JSON would lose without a word; undefined for any other value. Only the value itself is
 * looked at: the types refuse such members of it, and a walk over them would cost as much as the writing.
 */
function lostKind(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return undefined;
  if (kindOf(value) === 'Date') return Number.isNaN(Number(value)) ? 'an invalid Date' : undefined;
  if (typeof propertyOf(value, 'toJSON') === 'function') return undefined;
  return ArrayBuffer.isView(value) || LOST.has(kindOf(value)) ? shown(value) : undefined;
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
