/** How many frames of each mode a stream keeps, and how the window of short-lived ones follows their rate. Spec 07 section 3. */

/** Frames of a rolling summary that are kept: the document says the rest. */
export const SUMMARY_FRAMES = 64;

/** How a best-effort append wants its stream to be kept. */
export interface BestEffort {
  /** How long a frame matters, ms; 0: until it is pushed out. */
  readonly ttlMs: number;
  readonly maxlenFloor: number;
  readonly maxlenCeiling: number;
  /** Weight of the newest interval in the estimated rate, above 0 up to 1. */
  readonly emaAlpha: number;
}

/** What is known of the rate of best-effort frames. */
export interface Rate {
  readonly hz: number;
  readonly lastAppendAt: number;
  /** Frames that are kept. */
  readonly maxlen: number;
}

/** The rate after one more append; the order of operations is part of the contract, so that both sides agree bit for bit. */
export function rateAfter(rate: Rate | undefined, options: BestEffort, now: number): Rate {
  const { ttlMs, maxlenFloor, maxlenCeiling, emaAlpha } = options;
  const seconds = Math.max(ttlMs, 1) / 1_000;
  if (rate === undefined) return { hz: maxlenFloor / (seconds * 2), lastAppendAt: now, maxlen: maxlenFloor };
  const instant = 1_000 / Math.max(now - rate.lastAppendAt, 1);
  const hz = emaAlpha * instant + (1 - emaAlpha) * rate.hz;
  const wanted = Math.ceil(hz * seconds * 2);
  return { hz, lastAppendAt: now, maxlen: Math.min(Math.max(wanted, maxlenFloor), maxlenCeiling) };
}
