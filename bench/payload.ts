import type { Payload } from './adapter.js';

/** The payload size of scenario S1, in bytes. */
export const S1_PAYLOAD_BYTES = 4096;

/** One payload from a text of one-byte characters. */
export function payloadOf(text: string): Payload {
  return { bytes: Buffer.from(text, 'latin1'), text };
}

/**
 * A payload of `length` bytes of filler from a linear congruential generator. The bytes are
 * printable, so that engines that carry JSON need no escapes and carry the same length.
 */
export function fillerPayload(length: number): Payload {
  const printable = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  let state = 20_240_229;
  let text = '';
  for (let index = 0; index < length; index += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    text += printable.charAt(state >>> 26);
  }
  return payloadOf(text);
}

/** A generator of whole numbers in `[0, bound)` that gives the same sequence for the same seed. */
export function seededIntegers(seed: number): (bound: number) => number {
  let state = seed >>> 0;
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    // The low bits of such a generator have short periods: only the high ones are used.
    return (state >>> 8) % bound;
  };
}
