/** Empty bytes, of the same class as the bytes that the backends return. */
export const NO_BYTES: Uint8Array = Buffer.alloc(0);

/** The class name of a typed array of any realm; undefined for any other value. */
const classOf = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)
  ?.get as (this: unknown) => string | undefined;

/** Whether a value is a `Uint8Array` of this or another realm, not an object that imitates one. Never throws. */
export const isUint8Array = (value: unknown): value is Uint8Array => classOf.call(value) === 'Uint8Array';

/** Whether a value is a readable `Uint8Array`: one whose buffer was transferred has lost its bytes. Never throws. */
export function isBytes(value: unknown): value is Uint8Array {
  return isUint8Array(value) && (value.byteLength > 0 || hasMemory(value));
}

function hasMemory({ buffer }: Uint8Array): boolean {
  try {
    // The only test that works before Node 21.
    new Uint8Array(buffer);
    return true;
  } catch {
    return false;
  }
}
