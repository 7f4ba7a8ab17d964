/**
 * How much goes to one partition in one call of many callers. Enough that a command costs little more than its own
 * work; not so much that the server is held up, or that copying the call costs more than it saves.
 */

/** Most commands that are joined: a call of this many holds the server for about a millisecond. */
export const MAX_TOGETHER = 64;
/** Most bytes of their payloads. */
export const MAX_BYTES_TOGETHER = 256 * 1024;
