/** Tries of a step's function within one run of the handler. Nothing is stored between them. */
import { backoffDelayOf } from '../../../model/execution/policy.js';
import { afterAndIo, type Clock } from '../../engine/clock.js';
import { onAbort } from '../../shared/abort-listeners.js';
import type { Attempt } from '../attempt/attempt.js';
import { runInside } from '../checkpoints/inside.js';
import { oddRetryAfter, OUTCOME, outcomeOf, retryAfterMsOf } from '../handler/outcome.js';
import { StepTimeoutError } from './failure.js';
import { MAX_WAIT_MS, type StepRules } from './options.js';

/** The argument of the function of a step. */
export interface StepContext {
  /** Aborts when the work must stop, and when the time of this try is over. */
  readonly signal: AbortSignal;
  /**
   * The same for every try of this step, in every run of the handler and after a replay; no other step has it. For
   * services that take an idempotency key. ASCII.
   */
  readonly idempotencyKey: string;
  /** Number of this try in this run of the handler, from 1. */
  readonly attempt: number;
}

export type StepFunction = (step: StepContext) => unknown;

export interface Tried {
  readonly name: string;
  readonly idempotencyKey: string;
  readonly fn: StepFunction;
  readonly rules: StepRules;
  /** Writes a warning about the run. */
  readonly warn: (message: string, error: unknown) => void;
}

/**
 * Calls the function until a try succeeds or none is left.
 *
 * @param check throws when no further try may follow the first
 * @throws the error of the last try; TaskAbort
 */
export async function tryStep(attempt: Attempt, clock: Clock, step: Tried, check: () => void): Promise<unknown> {
  for (let number = 1; ; number++) {
    attempt.throwIfInterrupted();
    if (number > 1) check();
    try {
      return await tryOnce(attempt, clock, step, number);
    } catch (error) {
      attempt.throwIfInterrupted();
      const waitMs = waitAfter(clock, step, error, number);
      if (waitMs === undefined) throw error;
      await pause(attempt, clock, waitMs);
    }
  }
}

/** Delay before the next try, ms; undefined when there is no further try. */
function waitAfter(clock: Clock, { name, rules, warn }: Tried, error: unknown, failures: number): number | undefined {
  const { retry } = rules;
  const brand = outcomeOf(error);
  if (retry === undefined || failures > retry.maxRetries) return undefined;
  if (brand === OUTCOME.non_retryable || brand === OUTCOME.delay) return undefined;
  const asked = brand === OUTCOME.retryable ? retryAfterMsOf(error) : undefined;
  if (asked === 'invalid') warn(`Step ${JSON.stringify(name)} failed. ${oddRetryAfter(error)}`, error);
  // A step does not keep its slot for a longer wait: the handler gets the error.
  else if (asked !== undefined) return asked > MAX_WAIT_MS ? undefined : asked;
  return backoffDelayOf(retry, failures - 1, clock.random());
}

/** Resolves after `ms`, or when the work must stop. */
function pause(attempt: Attempt, clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(ms, () => {
      stopListening();
      resolve();
    });
    const stopListening = onAbort(attempt.signal, () => {
      cancel();
      resolve();
    });
  });
}

function tryOnce(attempt: Attempt, clock: Clock, step: Tried, number: number): unknown {
  const { name, idempotencyKey, fn, rules } = step;
  if (rules.timeoutMs !== undefined) return tryInTime(attempt, clock, step, number, rules.timeoutMs);
  const context = {
    idempotencyKey,
    attempt: number,
    get signal() {
      return attempt.signal;
    },
  };
  return attempt.measured(() => runInside(attempt, name, () => fn(context)));
}

/** A try that fails after `timeoutMs`, whether or not its function has settled. */
async function tryInTime(
  attempt: Attempt,
  clock: Clock,
  { name, idempotencyKey, fn }: Tried,
  number: number,
  timeoutMs: number,
): Promise<unknown> {
  const controller = new AbortController();
  attempt.guard(controller.signal);
  const stopListening = onAbort(attempt.signal, () => controller.abort(attempt.signal.reason));
  let cancel: (() => void) | undefined;
  const late = new Promise<never>((_, reject) => {
    // What the function waits for may have arrived, still unread.
    cancel = afterAndIo(clock, timeoutMs, () => {
      const error = new StepTimeoutError(name, timeoutMs);
      controller.abort(error);
      reject(error);
    });
  });
  const context = { idempotencyKey, attempt: number, signal: controller.signal };
  try {
    return await Promise.race([attempt.measured(async () => runInside(attempt, name, () => fn(context))), late]);
  } finally {
    cancel?.();
    stopListening();
  }
}
