/** Failures of steps: as data, and as the errors that handlers get. */
import { LIMITS } from '../../../model/limits.js';
import { brand } from '../../util/brand.js';
import { hintOf, reasonOf } from '../../util/failure-text.js';
import { boundText } from '../../util/text.js';
import { errorName, isErrorLike, propertyOf, tried } from '../../util/thrown.js';
import { HANDLER_ERROR, NonRetryableError, OUTCOME, outcomeOf, retryAfterOf } from '../handler/outcome.js';
import { categoryOfError } from '../handler/text.js';

const STEP_ERROR = 'step_error';
const MAX_NAME_BYTES = 128;

/** The stored form of an error. */
export interface FailureData {
  readonly name: string;
  readonly message: string;
  readonly category: string;
  /** The hint of an error of the engine. */
  readonly hint?: string | undefined;
  /** The brand of a retryable or non-retryable error. */
  readonly outcome?: string | undefined;
}

/** A try of the step took longer than its timeout. */
export class StepTimeoutError extends Error {
  override readonly name = 'StepTimeoutError';
  readonly code = 'step_timeout';
  readonly hint = 'Allow the step more time (`timeout`), or make it do less.';
  readonly retryable = true;
  readonly category = 'step_timeout';

  constructor(stepName: string, timeoutMs: number) {
    super(`step ${JSON.stringify(stepName)} took longer than ${timeoutMs} ms`);
  }
}

/**
 * A step failed. It has the `name`, `message` and `category` of the error that the function threw, in this run and in
 * every later one; the error itself is the `cause` only in the run in which it was thrown. Tell failures apart by name
 * or category.
 */
export class StepError extends Error {
  static {
    brand(StepError, STEP_ERROR);
  }

  override readonly name: string;
  readonly code = 'step_failed';
  readonly category: string;
  /** The wait that a `RetryableError` asked for. */
  readonly retryAfter: unknown;
  /** The hint of the original error, when that error is not the `cause`. */
  readonly failureHint: string | undefined;
  /** Whether the failure is stored. Then every later run gets it, and a retry changes nothing. */
  isStored: boolean;

  constructor(
    readonly stepName: string,
    { name, message, category, hint }: FailureData,
    options: { readonly cause?: unknown; readonly isStored: boolean },
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = name;
    this.category = category;
    this.retryAfter = retryAfterOf(options.cause);
    this.failureHint = 'cause' in options ? undefined : hint;
    this.isStored = options.isStored;
  }

  /** Whether another attempt calls the function again; false once the failure is stored. */
  get retryable(): boolean {
    return !this.isStored;
  }

  /** What to do next. */
  get hint(): string {
    const remedy = hintOf(this) ?? 'Fix the cause.';
    return this.isStored
      ? `${remedy} Then run the steps anew: \`run.replay({ steps: 'discard' })\`.`
      : `While the task has retries left, the next attempt calls the step again. After the last one: ${remedy} Then replay the run (\`run.replay()\`).`;
  }
}

/** The stored form of a thrown value. Never throws. */
export function dataOf(error: unknown): FailureData {
  const outcome = outcomeOf(error);
  return {
    name: boundText(isErrorLike(error) ? errorName(error) : 'Error', MAX_NAME_BYTES),
    message: boundText(reasonOf(error), LIMITS.maxReasonBytes),
    category: categoryOfError(error, HANDLER_ERROR),
    hint: hintOf(error),
    outcome: outcome === OUTCOME.retryable || outcome === OUTCOME.non_retryable ? outcome : undefined,
  };
}

/** Marks the error of a step whose failure is stored from now on. Does nothing to what cannot be marked. */
export const markStored = (error: unknown): unknown =>
  tried(() => Object.defineProperty(error as object, 'isStored', { value: true }));

/** The error for a stored failure: a NonRetryableError if it was one, otherwise a StepError. */
export function errorOf(stepName: string, stored: unknown): Error {
  const data = dataIn(stored);
  if (data.outcome === OUTCOME.non_retryable) {
    const { message, category, name, hint } = data;
    const error = new NonRetryableError(message, { category });
    markStored(error);
    if (hint !== undefined) Object.defineProperty(error, 'failureHint', { value: hint });
    return name === error.name ? error : Object.defineProperty(error, 'name', { value: name });
  }
  return new StepError(stepName, data, { isStored: true });
}

function dataIn(stored: unknown): FailureData {
  const text = (key: string, fallback: string): string => {
    const value = propertyOf(stored, key);
    return typeof value === 'string' ? value : fallback;
  };
  return {
    name: text('name', 'Error'),
    message: text('message', 'unknown error'),
    category: text('category', HANDLER_ERROR),
    hint: text('hint', '') || undefined,
    outcome: text('outcome', '') || undefined,
  };
}

/** The brand by which an error decides how its run ends. A StepError is non-retryable once it is stored. */
export function outcomeBrandOf(error: unknown): string | undefined {
  const own = outcomeOf(error);
  if (own !== STEP_ERROR) return own;
  return propertyOf(error, 'isStored') === true ? OUTCOME.non_retryable : OUTCOME.retryable;
}
