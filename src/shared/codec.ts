/** Payloads: any JSON value, or bytes. The encoding travels with the bytes, so that nothing has to be guessed. */
import { isBytes, isUint8Array } from '../../model/core/bytes.js';
import { EngineError } from '../../model/errors.js';
import { LIMITS } from '../../model/limits.js';
import { asOwn } from '../util/own-bytes.js';
import { jsonOf, NoJson } from './json.js';

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
 * @param refusal names the value in the words of its user; it is for one that is no JSON (a cycle, a bigint, a Map or
 *   NaN anywhere in it, thousands of levels) or too large
 * @param outerLevels how many levels of the value the library has made: messages leave them out
 * @throws what `refusal` returns
 */
export function encode(value: unknown, refusal: Refusal, outerLevels = 0): Encoded {
  if (value === undefined) return NOTHING;
  const within = (bytes: Uint8Array): Uint8Array => {
    if (bytes.byteLength <= LIMITS.maxPayloadBytes) return bytes;
    throw refusal(`${bytes.byteLength} bytes are more than the limit of ${LIMITS.maxPayloadBytes}.`, true);
  };
  if (isUint8Array(value)) {
    // The copy: its maker may fill the buffer anew before it is sent.
    if (isBytes(value)) return { bytes: asOwn(Uint8Array.from(within(value))), encoding: BYTES_ENCODING };
    throw refusal('the buffer of the bytes was transferred, and they are gone.', false);
  }
  let json: string | undefined;
  try {
    json = jsonOf(value, LIMITS.maxPayloadBytes, outerLevels);
  } catch (error) {
    if (error instanceof NoJson) throw refusal(error.message, error.isTooLarge);
    // Not the fault itself, as the cause: it can quote the value.
    throw refusal(
      'the value cannot be written as JSON (a cycle, too many levels, a getter or a toJSON that throws).',
      false,
    );
  }
  if (json === undefined) throw refusal(`${unwritable(value)} cannot be written as JSON.`, false);
  return { bytes: asOwn(within(utf8.encode(json))), encoding: JSON_ENCODING };
}

const unwritable = (value: unknown): string =>
  typeof value === 'object' ? 'an object whose toJSON gives nothing' : `a ${typeof value}`;

/**
 * As a plain `Uint8Array` over a buffer of its own, whatever a backend made them of: users may read `bytes.buffer`, and a
 * part of a longer answer would keep all of it in memory.
 */
export const plainBytes = (bytes: Uint8Array): Uint8Array =>
  Buffer.isBuffer(bytes) || bytes.byteLength !== bytes.buffer.byteLength ? new Uint8Array(bytes) : bytes;

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
