/** How long to wait between the tries of a failing task. */
import { durationMs, type Duration } from '../shared/duration.js';

/** A backoff in the engine's own form; make one with `backoff.fixed` or `backoff.exponential`. */
export type Backoff =
  | { readonly type: 'fixed'; readonly delayMs: number }
  | {
      readonly type: 'exponential';
      readonly initialDelayMs: number;
      readonly maxDelayMs: number;
      readonly multiplier: number;
      readonly jitter: boolean;
    };

export interface ExponentialOptions {
  /** The delay stops growing here. Default `'1m'`, or the first delay when that is longer. */
  readonly max?: Duration;
  /** What each delay is multiplied by, 1 to 100. Default 2. */
  readonly factor?: number;
  /** Draw each delay between half of it and all of it, so that failed work does not come back in one wave. Default true. */
  readonly jitter?: boolean;
}

const DEFAULT_MAX_MS = 60_000;

export const backoff = {
  /** The same delay before every try. */
  fixed(delay: Duration): Backoff {
    return { type: 'fixed', delayMs: durationMs(delay) };
  },
  /** A delay that grows from try to try: `backoff.exponential('1s', { max: '5m' })`. */
  exponential(first: Duration, { max, factor = 2, jitter = true }: ExponentialOptions = {}): Backoff {
    const initialDelayMs = durationMs(first);
    const maxDelayMs = max === undefined ? Math.max(initialDelayMs, DEFAULT_MAX_MS) : durationMs(max);
    return { type: 'exponential', initialDelayMs, maxDelayMs, multiplier: factor, jitter };
  },
};
