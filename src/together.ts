/**
 * How much goes to one partition in one call of many callers: so that the server is not held up for long by one call,
 * and no call is so large that copying it costs more than it saves.
 */

/** Most commands that are joined, or placed together: a call of this many holds the server for about a millisecond. */
export const MAX_TOGETHER = 64;
/** Most bytes of their payloads. */
export const MAX_BYTES_TOGETHER = 256 * 1024;
