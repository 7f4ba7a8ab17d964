/** Channels: the names by which signals reach waitpoints. */

/**
 * The name of the signals that a waitpoint receives: its key up to the first `#`. The rest of the key distinguishes
 * waitpoints that receive the same signals. The Lua twin is `ff.channel_of`.
 */
export function channelOf(waitpointKey: string): string {
  const end = waitpointKey.indexOf('#');
  return end === -1 ? waitpointKey : waitpointKey.slice(0, end);
}
