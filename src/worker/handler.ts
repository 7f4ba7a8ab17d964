/** Running a user's handler: what goes in, and what its value or its error means for the execution. */
import type { EngineError } from '../../model/errors.js';
import { LIMITS } from '../../model/limits.js';
import type { ClaimedExecution } from '../../model/schedule/claim.js';
import { decode, encode } from '../shared/codec.js';
import type { Logger } from '../shared/logger.js';
import { validate, type AnySchema } from '../shared/schema.js';
import type { Travelled } from '../shared/travel.js';
import { Delay, NonRetryableError, RetryableError } from './outcome.js';
import { categoryOf, reasonOf } from './text.js';

/** The proof that this attempt owns the execution, for the engine and for the user's own stores. */
export interface Fence {
  readonly leaseId: string;
  /** Grows with every owner: of two, the greater one is the later, as long as the server kept its history (docs/failover.md). */
  readonly leaseEpoch: number;
  readonly attemptId: string;
  /**
   * One text for all three: different for every owner of the execution, also after a failover that lost history. For a
   * compare-and-set in your own store. For an effect that must happen once per execution, however often it is tried,
   * use the execution id as the idempotency key instead.
   */
  readonly token: string;
}

/**
 * What a handler is called with: one object, to be destructured. `TaskContext<X>` is that of a task whose callers pass
 * an X: the handler gets what arrives of it, a text where they passed a `Date`.
 */
export interface TaskContext<Input = unknown, Parsed = Travelled<Input>> {
  /** What the `input` schema made of the value, or without one the value as it arrived. */
  readonly input: Parsed;
  /** Aborted when the work must stop; `signal.reason` is a `TaskAbort` that says why. */
  readonly signal: AbortSignal;
  /**
   * Says how far the work is: percent (0 to 100), and a message of up to 1 024 bytes. One call to the store.
   * @throws TaskAbort when the work is not this worker's any more
   */
  readonly progress: (percent: number, message?: string) => Promise<void>;
  readonly log: Logger;
  readonly fence: Fence;
  /** Number of this attempt, from 1. One that goes on after a delay or a hand-back is the same attempt. */
  readonly attempt: number;
  /** How often attempts of this execution have gone on after a delay or a hand-back; 0 when none has. */
  readonly resumes: number;
  readonly executionId: string;
  readonly tags: Readonly<Record<string, string>>;
}

/** The value becomes the result; a throw is a failure; `delay(...)` parks the attempt. */
export type Handler<Input, Output, Parsed = Travelled<Input>> = (
  context: TaskContext<Input, Parsed>,
) => Output | Delay | Promise<Output | Delay>;

/** A task as a worker needs it. */
export interface TaskHandler {
  /** The kind of the executions that it handles. */
  readonly name: string;
  readonly input: AnySchema | undefined;
  readonly output: AnySchema | undefined;
  readonly handler: Handler<unknown, unknown>;
}

/** How an attempt ends. */
export type Ending =
  | { readonly kind: 'complete'; readonly bytes: Uint8Array | undefined; readonly encoding: string | undefined }
  | {
      readonly kind: 'fail';
      readonly reason: string;
      readonly category: string;
      readonly permanent: boolean;
      readonly retryAfterMs?: number | undefined;
      /** What was thrown, for the log and the listeners of this process. */
      readonly error: unknown;
    }
  | { readonly kind: 'delay'; readonly until: Delay['until'] }
  /** Given back unfinished. */
  | { readonly kind: 'release' }
  /** Nothing to say: the execution is not this worker's any more. */
  | { readonly kind: 'lost' };

const permanent = (category: string, error: unknown): Ending => ({
  kind: 'fail',
  reason: reasonOf(error),
  category,
  permanent: true,
  error,
});

/** What a handler's run needs of its attempt. */
export interface Runner {
  readonly claimed: ClaimedExecution;
  /** Why the handler was told to stop, if it was. */
  readonly abortCode: string | undefined;
}

/** Runs the handler on a claimed execution. Never throws. */
export async function runHandler(
  task: TaskHandler,
  attempt: Runner,
  contextWith: (input: unknown) => TaskContext,
): Promise<Ending> {
  const { claimed } = attempt;
  let input: unknown;
  try {
    const validated = await validate(
      task.input,
      decode({ bytes: claimed.inputPayload, encoding: claimed.payloadEncoding }),
    );
    if (!validated.ok) return permanent('invalid_input_payload', new Error(validated.problem));
    input = validated.value;
  } catch (error) {
    return permanent('invalid_input_payload', error);
  }
  let value: unknown;
  try {
    value = await task.handler(contextWith(input));
  } catch (error) {
    return attempt.abortCode === undefined ? failureOf(error) : { kind: 'lost' };
  }
  return value instanceof Delay ? { kind: 'delay', until: value.until } : resultOf(task, value);
}

async function resultOf(task: TaskHandler, value: unknown): Promise<Ending> {
  try {
    const validated = await validate(task.output, value);
    if (!validated.ok)
      return permanent(
        'invalid_result',
        new Error(`The result does not match the output schema: ${validated.problem}`),
      );
    return { kind: 'complete', ...encode(validated.value) };
  } catch (error) {
    return permanent('invalid_result', error);
  }
}

/** What a thrown value means. Whatever says nothing about itself may go away by itself. */
function failureOf(error: unknown): Ending {
  if (error instanceof Delay) return { kind: 'delay', until: error.until };
  const reason = reasonOf(error);
  if (error instanceof NonRetryableError)
    return { kind: 'fail', reason, category: categoryOf(error.category, 'handler_error'), permanent: true, error };
  if (error instanceof RetryableError) {
    return {
      kind: 'fail',
      reason,
      category: categoryOf(error.category, 'handler_error'),
      permanent: false,
      retryAfterMs: wholeMs(error.retryAfterMs),
      error,
    };
  }
  return { kind: 'fail', reason, category: 'handler_error', permanent: false, error };
}

function wholeMs(ms: number | undefined): number | undefined {
  return ms === undefined || Number.isNaN(ms) ? undefined : Math.round(Math.min(LIMITS.maxDurationMs, Math.max(0, ms)));
}

/** The ending that takes the place of a completion which the engine will not take as it is. */
export function unacceptable(error: EngineError): Ending {
  return permanent('invalid_result', error);
}
