/** Options of a step. */
import { LIMITS } from '../../../model/limits.js';
import { retryPolicy, type RetryPolicy } from '../../../model/execution/policy.js';
import { checkDuration, checkSchema, checkWhole, refuse, shown } from '../../shared/checks.js';
import { durationMs, type Duration } from '../../shared/duration.js';
import { knownOnly } from '../../shared/known-only.js';
import { checkName } from '../checkpoints/names.js';

/** Longest wait between two tries of a step, ms; bounded because the step keeps its slot meanwhile. */
export const MAX_WAIT_MS = 300_000;

export interface StepRetryOptions {
  /** Further tries after the first. Default 3, at most 1 000. */
  readonly failures?: number | undefined;
  /**
   * Wait between tries, made by `backoff`; at most 5 minutes, because the slot is held meanwhile. Default exponential
   * from 200 ms to 10 s.
   */
  readonly backoff?: RetryPolicy['backoff'] | undefined;
}

export interface StepOptions {
  /**
   * Retries of this step within this run of the handler. Default: none, an error of the step goes to the handler at
   * once.
   */
  readonly retry?: StepRetryOptions | undefined;
  /**
   * Limit for one try. When it is exceeded, the `signal` of the try aborts and the try counts as failed
   * (`step_timeout`). Default none.
   */
  readonly timeout?: Duration | undefined;
}

/** The options with their defaults. */
export interface StepRules {
  /** Undefined when the step is tried once. */
  readonly retry: RetryPolicy | undefined;
  readonly timeoutMs: number | undefined;
}

const STEP_OPTIONS = { retry: true, timeout: true, schema: true } as const;
const RETRY_OPTIONS = { failures: true, backoff: true } as const;

const DEFAULT_BACKOFF: RetryPolicy['backoff'] = {
  type: 'exponential',
  initialDelayMs: 200,
  maxDelayMs: 10_000,
  multiplier: 2,
  jitter: true,
};

const ONCE: StepRules = { retry: undefined, timeoutMs: undefined };

/** @throws InvalidDefinitionError for an unknown or invalid option */
export function rulesOf(
  name: string,
  fn: unknown,
  options: (StepOptions & { readonly schema?: unknown }) | undefined,
): StepRules {
  const where = `step ${shown(name)}`;
  if (typeof fn !== 'function') {
    checkName('step', name); // `step(() => …)` lacks a name, not a function
    throw refuse(where, 'the function', 'a function', fn);
  }
  if (options === undefined) return ONCE;
  knownOnly<StepOptions & { readonly schema?: unknown }>(where, options, STEP_OPTIONS);
  const { retry, timeout, schema } = options;
  checkSchema(where, 'schema', schema);
  checkDuration(where, 'timeout', timeout, 1, LIMITS.maxDurationMs);
  return {
    retry: retry === undefined ? undefined : retryOf(where, retry),
    timeoutMs: timeout === undefined ? undefined : durationMs(timeout),
  };
}

function retryOf(where: string, retry: StepRetryOptions): RetryPolicy {
  knownOnly<StepRetryOptions>(`${where}, retry`, retry, RETRY_OPTIONS);
  const { failures = 3, backoff = DEFAULT_BACKOFF } = retry;
  checkWhole(where, 'retry.failures', failures, 0, LIMITS.maxRetries);
  if (!retryPolicy.shape.backoff.safeParse(backoff).success)
    throw refuse(where, 'retry.backoff', 'made by backoff.fixed(...) or backoff.exponential(...)', backoff);
  const longestMs = backoff.type === 'fixed' ? backoff.delayMs : backoff.maxDelayMs;
  if (longestMs > MAX_WAIT_MS)
    throw refuse(where, 'retry.backoff', `5 minutes at most: for longer, let the task retry, or sleep`, longestMs);
  return { maxRetries: failures, backoff, retryableCategories: [] };
}
