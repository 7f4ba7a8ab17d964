/** How late workers and loops may be. */
import type { Node } from '../node.js';

/** Interval of the checks that depend on time, ms. */
export const CHECK_EVERY_MS = 50;
/** Random factors move a worker's sweep and the loop's poll by a fifth. */
export const SPREAD = 1.2;
/** Duration of a sweep besides its pauses, at most, ms: its calls, and the claims in flight before it. */
export const LOOK_MS = 300;

/** Claims without an answer occupy room until they time out. */
export function claimsUnderWayMs({ connection }: Node): number {
  return [...connection.inFlight].some(({ fault }) => fault !== undefined) ? Infinity : 0;
}
