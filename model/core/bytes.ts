/** No bytes, in the class in which the backends give bytes: a caller need not care where they came from. */
export const NO_BYTES: Uint8Array = Buffer.alloc(0);

/** Says the class of a typed array, of whatever realm it is; nothing of any other value. */
const classOf = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)
  ?.get as (this: unknown) => string | undefined;

/** Whether it is a `Uint8Array`, of this realm or another. What only pretends to be one is none. Never throws. */
export const isUint8Array = (value: unknown): value is Uint8Array => classOf.call(value) === 'Uint8Array';

/** Whether it is a `Uint8Array` that can be read: one whose buffer was transferred has lost its bytes. Never throws. */
export function isBytes(value: unknown): value is Uint8Array {
  return isUint8Array(value) && (value.byteLength > 0 || hasMemory(value));
}

function hasMemory({ buffer }: Uint8Array): boolean {
  try {
    // The only way to ask before Node 21.
    new Uint8Array(buffer);
    return true;
  } catch {
    return false;
  }
}
