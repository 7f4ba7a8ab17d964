/**
 * How many frames of each mode a stream keeps. The window of best-effort frames adapts to their rate. Spec 07 section
 * 3.
 */

/** Patches of the rolling summary that are kept: the document has the result of all of them. */
export const SUMMARY_FRAMES = 64;

/** How an append wants best-effort frames to be kept. */
export interface BestEffort {
  /** How long a frame is kept, ms; 0: until displaced. */
  readonly ttlMs: number;
  readonly maxlenFloor: number;
  readonly maxlenCeiling: number;
  /** Weight of the newest interval in the estimated rate, above 0 up to 1. */
  readonly emaAlpha: number;
}

/** The estimated rate of best-effort frames. */
export interface Rate {
  readonly hz: number;
  readonly lastAppendAt: number;
  /** Frames that are kept. */
  readonly maxlen: number;
}

/**
 * The rate after one more append. The order of the arithmetic operations is fixed, so that both sides agree bit for
 * bit.
 */
export function rateAfter(rate: Rate | undefined, options: BestEffort, now: number): Rate {
  const { ttlMs, maxlenFloor, maxlenCeiling, emaAlpha } = options;
  const seconds = Math.max(ttlMs, 1) / 1_000;
  if (rate === undefined) return { hz: maxlenFloor / (seconds * 2), lastAppendAt: now, maxlen: maxlenFloor };
  const instant = 1_000 / Math.max(now - rate.lastAppendAt, 1);
  const hz = emaAlpha * instant + (1 - emaAlpha) * rate.hz;
  const wanted = Math.ceil(hz * seconds * 2);
  return { hz, lastAppendAt: now, maxlen: Math.min(Math.max(wanted, maxlenFloor), maxlenCeiling) };
}
