/**
 * Limits of a call to one partition. They are large enough that a command costs little more than its own work, and
 * small enough that the call does not delay the server, or cost more to copy than it saves.
 */

/** Most commands of a joined call; this many occupy the server for about a millisecond. */
export const MAX_JOINED_COMMANDS = 64;
/** Most bytes of their payloads and texts. */
export const MAX_JOINED_BYTES = 256 * 1024;
/** Most bytes of the payloads of one caller's batch in one call: other calls on the connection wait for them. */
export const MAX_CALL_BYTES = 1024 * 1024;
/** Most characters of its other arguments in one call. The server parses, hashes and copies them. */
export const MAX_CALL_TEXT = 256 * 1024;
