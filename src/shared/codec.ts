/** Payloads: any JSON value, or bytes. The encoding travels with the bytes, so that nothing has to be guessed. */
import { isBytes, isUint8Array } from '../../model/core/bytes.js';
import { EngineError } from '../../model/errors.js';
import { LIMITS } from '../../model/limits.js';

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
 * @throws EngineError `invalid_input` when the value is no JSON (a cycle, a bigint, a function, thousands of levels) or too large
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
  try {
    json = JSON.stringify(value);
  } catch {
    // Not the fault itself, as the cause: it can quote the value.
    throw new EngineError(
      'invalid_input',
      `${what}: the value cannot be written as JSON (a cycle, a bigint, a toJSON, too many levels).`,
    );
  }
  if (json === undefined)
    throw new EngineError('invalid_input', `${what}: ${unwritable(value)} cannot be written as JSON.`);
  return { bytes: within(utf8.encode(json)), encoding: JSON_ENCODING };
}

const unwritable = (value: unknown): string =>
  typeof value === 'object' ? 'an object whose toJSON gives nothing' : `a ${typeof value}`;

/**
 * The value that the bytes stand for. Without an encoding, nothing is `undefined` and the rest stays bytes.
 *
 * @throws EngineError `corruption` when bytes that are called JSON are not; it does not quote them
 */
export function decode({ bytes, encoding }: Encoded): unknown {
  if (encoding === JSON_ENCODING) return parsed(bytes);
  if (bytes === undefined || (encoding === undefined && bytes.byteLength === 0)) return undefined;
  return bytes;
}

function parsed(bytes: Uint8Array | undefined): unknown {
  if (bytes === undefined) throw new EngineError('corruption', 'payload: it is called JSON, and its bytes are gone.');
  try {
    return JSON.parse(fromUtf8.decode(bytes));
  } catch {
    throw new EngineError('corruption', `payload: it is called JSON, and its ${bytes.byteLength} bytes are none.`);
  }
}
