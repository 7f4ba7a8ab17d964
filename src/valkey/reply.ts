/** What the server answers. */
/** Bytes, integers, and lists of them. */
export type WireReply = Buffer | number | null | WireReply[];

/** A part of an answer: what the server sent, or a piece of a text that it sent in one. */
export type AnswerPart = WireReply | string;

export const textOf = (value: AnswerPart): string => (Buffer.isBuffer(value) ? value.toString('utf8') : String(value));
