/** What the server answers. */
/** Bytes, integers, and lists of them. */
export type WireReply = Buffer | number | null | WireReply[];

export const textOf = (value: WireReply): string => (Buffer.isBuffer(value) ? value.toString('utf8') : String(value));
