/** `step` of a handler's context. */
import { shown } from '../../shared/checks.js';
import { validate, type AnySchema, type Schema } from '../../shared/schema.js';
import type { IfSendable, Travelled } from '../../shared/travel.js';
import { brandOf } from '../../util/brand.js';
import type { Attempt } from '../attempt/attempt.js';
import {
  checkpointsOf,
  ORDER,
  type Checkpoint,
  type Checkpoints,
  type CheckpointsDependencies,
  type Stored,
} from '../checkpoints/checkpoints.js';
import type { Logger } from '../../shared/logger.js';
import { logOf, promisesOf } from '../handler/promises.js';
import { NonRetryableError, OUTCOME } from '../handler/outcome.js';
import { dataOf, errorOf, markStored, StepError } from './failure.js';
import { rulesOf, type StepOptions } from './options.js';
import { tryStep, type StepContext, type StepFunction } from './tries.js';

/**
 * Runs a function and stores its result under a name before the handler continues. When the handler runs again (after a
 * crash, a retry, a wait, a replay) it gets the stored result, and the function is not called.
 *
 * An error of the function reaches the handler as a `StepError` (a `NonRetryableError` unchanged). If the handler ends
 * with it, the task's `retry` applies and the step runs again. If the handler goes on to another step or wait, the
 * failure is stored first, and every later run gets it.
 *
 * @throws StepError, NonRetryableError for an error of the function
 * @throws TaskAbort when the worker has lost the lease, or the handler must stop
 * @throws EngineError `step_changed` if an earlier run used the name for something else, `step_misused` inside another
 *   step, `step_limit_exceeded` beyond 10 000 steps, 8 MiB of one or 64 MiB of all
 * @throws InvalidDefinitionError for an invalid name or option, and for a value that is not JSON
 * @example const receipt = await step('pay', ({ idempotencyKey, signal }) => pay(order, { idempotencyKey, signal }));
 */
export interface Step {
  /** With a schema, applied to the stored value in every run. */
  <Value, In, Out>(
    name: string,
    fn: ((step: StepContext) => Value | Promise<Value>) & IfSendable<Value>,
    options: StepOptions & { readonly schema: Schema<In, Out> },
  ): Promise<Out>;
  <Value>(
    name: string,
    fn: ((step: StepContext) => Value | Promise<Value>) & IfSendable<Value>,
    options?: StepOptions,
  ): Promise<Travelled<Value>>;
}

interface AnyOptions extends StepOptions {
  readonly schema?: AnySchema | undefined;
}

interface StepDependencies extends CheckpointsDependencies {
  readonly log: Logger;
}

/** The step function of an attempt. */
export function stepOf(attempt: Attempt, deps: StepDependencies): Step {
  const step = (name: string, fn: StepFunction, options?: AnyOptions): Promise<unknown> => {
    const checkpoints = checkpointsOf(attempt, deps);
    const promises = promisesOf(attempt, deps);
    const what = `step ${shown(name)}`;
    if (promises.isOver) return promises.never(what);
    return promises.step(
      what,
      checkpoints.during(() => pass(attempt, deps, checkpoints, { name, fn, options })),
    );
  };
  return step as unknown as Step;
}

interface Asked {
  readonly name: string;
  readonly fn: StepFunction;
  readonly options: AnyOptions | undefined;
}

async function pass(
  attempt: Attempt,
  { clock, log }: StepDependencies,
  checkpoints: Checkpoints,
  asked: Asked,
): Promise<unknown> {
  const { name, fn, options } = asked;
  // Before the use is counted, so that an invalid call does not shift later uses of the name.
  const rules = rulesOf(name, fn, options);
  const checkpoint = await checkpoints.use('step', name);
  try {
    const { passed, idempotencyKey } = checkpoint;
    if (passed !== undefined) return await delivered(checkpoints, asked, passed);
    let value: unknown;
    try {
      const warn = (message: string, error: unknown): void => logOf(attempt, log).warn(message, error);
      const step = { name, idempotencyKey, fn, rules, warn };
      value = await tryStep(attempt, clock, step, () => checkpoints.throwIfClosed(name));
      if (brandOf(value) === OUTCOME.delay) throw value;
      // A value that does not match the schema is not stored.
      if (options?.schema !== undefined) await checked(asked, checkpoints.travelled(checkpoint, value));
    } catch (error) {
      throw await failed(attempt, checkpoints, checkpoint, error);
    }
    const recorded = await checkpoints.record(checkpoint, { failed: false, value });
    attempt.throwIfInterrupted();
    return await delivered(checkpoints, asked, recorded);
  } finally {
    checkpoints.leave(checkpoint);
  }
}

/** The stored outcome, in its turn. */
async function delivered(checkpoints: Checkpoints, asked: Asked, { failed, value, order }: Stored): Promise<unknown> {
  const outcome = failed ? Promise.reject(errorOf(asked.name, value)) : checked(asked, value);
  await Promise.allSettled([outcome]);
  await checkpoints.deliveries.inTurn(order);
  return outcome;
}

/** The error for the handler. The failure is stored if the handler continues. */
async function failed(
  attempt: Attempt,
  checkpoints: Checkpoints,
  checkpoint: Checkpoint,
  error: unknown,
): Promise<unknown> {
  // A handler that was aborted, or that returns a delay, does not continue.
  if (attempt.abortCode !== undefined || brandOf(error) === OUTCOME.delay) return error;
  const order = checkpoints.orderOfFailure();
  await checkpoints.deliveries.inTurn(order);
  const data = { ...dataOf(error), [ORDER]: order };
  const stepError =
    data.outcome === OUTCOME.non_retryable
      ? error
      : new StepError(checkpoint.name, data, { cause: error, isStored: false });
  const onStored = (): void => void markStored(stepError);
  checkpoints.fail({ checkpoint, passed: { failed: true, value: data }, onStored });
  return stepError;
}

/** The value parsed by the schema. Stored values are checked in every run, because the schema may have changed. */
async function checked({ name, options }: Asked, value: unknown): Promise<unknown> {
  if (options?.schema === undefined) return value;
  const validated = await validate(options.schema, value);
  if (validated.ok) return validated.value;
  throw new NonRetryableError(
    `The value of step ${JSON.stringify(name)} does not match its schema: ${validated.problem}`,
    { category: 'invalid_step_value', ...('cause' in validated && { cause: validated.cause }) },
  );
}
