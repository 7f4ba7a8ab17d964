/** Channels: what signals that are sent by name reach. */

/**
 * The name of the signals that are heard at a waitpoint: its key up to the first `#`. What follows that distinguishes
 * waitpoints at which the same signals are heard. The Lua twin is `ff.channel_of`.
 */
export function channelOf(waitpointKey: string): string {
  const end = waitpointKey.indexOf('#');
  return end === -1 ? waitpointKey : waitpointKey.slice(0, end);
}
