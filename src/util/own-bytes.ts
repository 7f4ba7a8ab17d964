/** Bytes that nobody changes, so that a backend which sends them later needs no copy of them. */
import { LIMITS } from '../../model/limits.js';

/** Long bytes that the library has made. Short ones are not remembered: to copy them is as cheap. */
const own = new WeakSet<Uint8Array>();

const isLong = ({ byteLength }: Uint8Array): boolean => byteLength > LIMITS.maxClaimedInputBytes;

/** Call this with bytes that the library has made, and hands to nobody who might change them. */
export function asOwn(bytes: Uint8Array): Uint8Array {
  if (isLong(bytes)) own.add(bytes);
  return bytes;
}

/** The bytes as they are now, whatever their caller does with them. */
export const kept = (bytes: Uint8Array): Uint8Array =>
  bytes.byteLength === 0 || (isLong(bytes) && own.has(bytes)) ? bytes : Buffer.from(bytes);
