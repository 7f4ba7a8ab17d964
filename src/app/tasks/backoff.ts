/** How long to wait before each retry of a failing task. */
import { LIMITS } from '../../../model/limits.js';
import { checkDuration, refuse } from '../../shared/checks.js';
import { durationMs, type Duration } from '../../shared/duration.js';
import { InvalidDefinitionError } from '../../shared/errors.js';
import { knownOnly } from '../../shared/known-only.js';

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
  /** Upper limit of the delay. Default `'1m'`, or the first delay if that is longer. At most 30 days. */
  readonly max?: Duration | undefined;
  /** Factor from each delay to the next, 1 to 100. Default 2. */
  readonly factor?: number | undefined;
  /**
   * Picks each delay at random between half of it and all of it, so that failed work does not return in one wave.
   * Default true.
   */
  readonly jitter?: boolean | undefined;
}

const DEFAULT_MAX_MS = 60_000;
const EXPONENTIAL_OPTIONS = { max: true, factor: true, jitter: true } as const;

export const backoff = {
  /**
   * The same delay before every retry.
   * @throws InvalidDefinitionError for an invalid delay, or one longer than 30 days
   */
  fixed(delay: Duration): Backoff {
    checkDelay('backoff.fixed', 'the delay', delay);
    return { type: 'fixed', delayMs: durationMs(delay) };
  },
  /**
   * A delay that grows with every retry: `backoff.exponential('1s', { max: '5m' })`.
   * @throws InvalidDefinitionError for an unknown or invalid option
   */
  exponential(first: Duration, options: ExponentialOptions = {}): Backoff {
    const where = 'backoff.exponential';
    knownOnly<ExponentialOptions>(where, options, EXPONENTIAL_OPTIONS);
    const { max, factor = 2, jitter = true } = options;
    checkDelay(where, 'the first delay', first);
    checkDelay(where, 'max', max);
    if (typeof factor !== 'number' || !(factor >= 1 && factor <= LIMITS.maxBackoffMultiplier))
      throw refuse(where, 'factor', `a number from 1 to ${LIMITS.maxBackoffMultiplier}`, factor);
    if (typeof jitter !== 'boolean') throw refuse(where, 'jitter', 'true or false', jitter);
    const initialDelayMs = durationMs(first);
    const maxDelayMs = max === undefined ? Math.max(initialDelayMs, DEFAULT_MAX_MS) : durationMs(max);
    if (initialDelayMs > maxDelayMs)
      throw new InvalidDefinitionError(`${where}: max must not be shorter than the first delay`);
    return { type: 'exponential', initialDelayMs, maxDelayMs, multiplier: factor, jitter };
  },
};

function checkDelay(where: string, option: string, delay: unknown): void {
  checkDuration(where, option, delay, 0, LIMITS.maxBackoffMs);
}
