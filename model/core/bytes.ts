/** No bytes, in the class in which the backends give bytes: a caller need not care where they came from. */
export const NO_BYTES: Uint8Array = Buffer.alloc(0);
