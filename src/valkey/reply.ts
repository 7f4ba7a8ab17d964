/** An answer of the server: bytes, integers, and lists of them. */
export type WireReply = Buffer | number | null | WireReply[];

/** A part of an answer: a reply, or a piece of a text with several parts. */
export type AnswerPart = WireReply | string;

export const textOf = (value: AnswerPart): string => (Buffer.isBuffer(value) ? value.toString('utf8') : String(value));
