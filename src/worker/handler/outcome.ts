/**
 * Handler outcomes besides a value: errors that decide about retries, and a delay. They are recognised by brand, so
 * that outcomes made by another copy of the package, or in another realm, work too.
 */
import { types } from 'node:util';
import { LIMITS } from '../../../model/limits.js';
import { checkDuration, refuse, shown } from '../../shared/checks.js';
import { durationMs, type Duration } from '../../shared/duration.js';
import { InvalidDefinitionError } from '../../shared/errors.js';
import { brand, brandOf } from '../../util/brand.js';
import { asEngineError, asInvalidDefinition } from '../../util/engine-error.js';
import { propertyOf, tried } from '../../util/thrown.js';

/** Brands of the outcomes; part of the contract between copies of the package. */
export const OUTCOME = { retryable: 'retryable_error', non_retryable: 'non_retryable_error', delay: 'delay' } as const;

/** Codes of errors that mean a mistake in the handler, which the next attempt would repeat. */
const MISUSES: ReadonlySet<unknown> = new Set(['invalid_definition', 'step_misused']);

/**
 * The brand by which an error decides how its attempt, or its try, ends; mistakes of a handler count as non-retryable.
 */
export function outcomeOf(error: unknown): string | undefined {
  const branded = brandOf(error);
  if (branded !== undefined) return branded;
  const code = (asInvalidDefinition(error) ?? asEngineError(error))?.code;
  return MISUSES.has(code) ? OUTCOME.non_retryable : undefined;
}

/** The default category of a failure. */
export const HANDLER_ERROR = 'handler_error';

export interface FailureOptions {
  /** The cause, recorded with the failure. */
  readonly cause?: unknown;
  /**
   * The kind of failure, up to 128 bytes without "," and "|" (a longer one is shortened, those are replaced by "_");
   * retry policies can select by it. Default `handler_error`.
   */
  readonly category?: string | undefined;
}

export interface RetryableOptions extends FailureOptions {
  /**
   * When to retry, in place of the task's backoff: `'30s'`. Nothing is thrown for a value that is no duration: the
   * failure is retried with that backoff, and the log of the worker says so.
   */
  readonly retryAfter?: Duration | undefined;
  /** @deprecated Use `retryAfter`, which takes `'30s'` and milliseconds. */
  readonly retryAfterMs?: number | undefined;
}

/** A failure that a retry may fix. Without retries left, it still ends the run. */
export class RetryableError extends Error {
  static {
    brand(RetryableError, OUTCOME.retryable);
  }

  override readonly name: string = 'RetryableError';
  /** Stable: its category, `handler_error` unless it was given one. */
  readonly code: string;
  /** What to do next. */
  readonly hint: string = 'Nothing, while retries are left: `retry` in the definition of the task allows more.';
  readonly retryable = true;
  readonly category: string | undefined;
  readonly retryAfter: Duration | undefined;

  constructor(message: string, given?: RetryableOptions) {
    // Not a default: `null` must not turn a failure into another one.
    const { category, retryAfter, retryAfterMs, ...options } = given ?? {};
    super(message, options);
    this.category = category;
    this.code = category ?? HANDLER_ERROR;
    this.retryAfter = retryAfter ?? retryAfterMs;
  }
}

/** When an error asks for the retry. Older copies of the package have only `retryAfterMs`. */
export const retryAfterOf = (error: unknown): unknown =>
  propertyOf(error, 'retryAfter') ?? propertyOf(error, 'retryAfterMs');

/**
 * After how long an error asks for the retry, whole ms within the engine's bounds; undefined if it does not, and
 * `'invalid'` for what is no duration. Never throws.
 */
export function retryAfterMsOf(error: unknown): number | 'invalid' | undefined {
  const wanted = retryAfterOf(error);
  if (wanted === undefined || wanted === null) return undefined;
  const ms = typeof wanted === 'string' ? tried(() => durationMs(wanted as Duration)) : wanted;
  if (typeof ms !== 'number' || Number.isNaN(ms)) return 'invalid';
  return Math.round(Math.min(LIMITS.maxDurationMs, Math.max(0, ms)));
}

/** What the log says of a `retryAfter` that is no duration. */
export const oddRetryAfter = (error: unknown): string =>
  `Its retryAfter, ${shown(retryAfterOf(error))}, is no duration, so the backoff applies.`;

/** A failure that no retry can fix: the run fails at once, even if its policy allows retries. */
export class NonRetryableError extends Error {
  static {
    brand(NonRetryableError, OUTCOME.non_retryable);
  }

  override readonly name: string = 'NonRetryableError';
  /** Stable: its category, `handler_error` unless it was given one. */
  readonly code: string;
  /** What to do next. */
  readonly hint: string = 'Fix what the message names, then replay the run (`run.replay()`).';
  readonly retryable = false;
  readonly category: string | undefined;

  constructor(message: string, given?: FailureOptions) {
    const { category, ...options } = given ?? {};
    super(message, options);
    this.category = category;
    this.code = category ?? HANDLER_ERROR;
  }
}

/** Parks the attempt until a time; made by `delay`. */
export class Delay {
  static {
    brand(Delay, OUTCOME.delay);
  }

  constructor(readonly until: { readonly inMs: number } | { readonly at: number }) {}
}

/**
 * Parks the attempt: `return delay('10m')` or `return delay(new Date(...))`. The slot becomes free, and at that time
 * the same attempt starts again on any free worker, after 1 ms at the earliest. It can be thrown as well.
 *
 * @throws InvalidDefinitionError unless it gets a duration or a date
 */
export function delay(until: Duration | Date): Delay {
  const isDate = types.isDate(until);
  if (isDate && Number.isNaN(until.getTime())) throw new InvalidDefinitionError('delay: the date must be valid');
  if (until === undefined) throw refuse('delay', 'the time', 'a duration or a date', until);
  if (!isDate) checkDuration('delay', 'the time', until, 0, LIMITS.maxDurationMs);
  return new Delay(isDate ? { at: until.getTime() } : { inMs: durationMs(until) });
}

/** The end of a delay: a duration from now, or a time in ms since the epoch. */
export type DelayUntil = Delay['until'];

/**
 * The end of a delay; `'invalid'` for a delay without a valid one, and undefined for a value that is no delay. Never
 * throws.
 */
export function delayUntilOf(value: unknown): DelayUntil | 'invalid' | undefined {
  if (brandOf(value) !== OUTCOME.delay) return undefined;
  const until = propertyOf(value, 'until');
  const inMs = propertyOf(until, 'inMs');
  if (typeof inMs === 'number' && Number.isFinite(inMs)) return { inMs };
  const at = propertyOf(until, 'at');
  return typeof at === 'number' && Number.isFinite(at) ? { at } : 'invalid';
}
