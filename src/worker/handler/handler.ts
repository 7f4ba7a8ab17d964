/** Runs a user's handler: builds its input, and interprets its value or error. */
import { NO_BYTES } from '../../../model/core/bytes.js';
import type { EngineError } from '../../../model/errors.js';
import type { ClaimedExecution } from '../../../model/schedule/claimed.js';
import { decode, encode, JSON_ENCODING, VALUES_HINT, type Refusal } from '../../shared/codec.js';
import { InvalidDefinitionError } from '../../shared/errors.js';
import type { Logger } from '../../shared/logger.js';
import { validate, type AnySchema, type Validated } from '../../shared/schema.js';
import { fill, TEMPLATE_ENCODING, templateOf } from '../../shared/template.js';
import type { Travelled } from '../../shared/travel.js';
import { failureTextOf, hintOf, reasonOf } from '../../util/failure-text.js';
import type { TaskStream } from '../streaming/task-stream.js';
import { delayUntilOf, HANDLER_ERROR, OUTCOME, retryAfterMsOf, type Delay, type DelayUntil } from './outcome.js';
import { outcomeBrandOf } from '../steps/failure.js';
import type { SpendingOn } from '../budgets/spending.js';
import type { Step } from '../steps/step.js';
import { categoryOfError } from './text.js';
import type { WaitingContext } from '../waits/context.js';
import type { Suspension, SuspensionRequest } from '../waits/suspension.js';
import type { NoSignals, SignalSchemas } from '../waits/wait-for.js';

/** The proof that this attempt owns the execution, for the engine and for the user's own stores. */
export interface Fence {
  readonly leaseId: string;
  /**
   * Grows with every owner: the greater of two is the later one, as long as the server kept its history
   * (docs/failover.md).
   */
  readonly leaseEpoch: number;
  readonly attemptId: string;
  /**
   * All three as one string, different for every owner of the execution, even after a failover that lost history. Use
   * it for a compare-and-set in your own store. For an effect that must happen once per execution, however many
   * attempts there are, use the execution id as the idempotency key instead.
   */
  readonly token: string;
}

/**
 * The argument of a handler: one object, to be destructured. `TaskContext<X>` is for a task whose callers pass an X;
 * the handler gets it as JSON brings it, with a string where they passed a `Date`.
 *
 * Only plain facts (`input`, `executionId`, `fence`, `attempt`, `resumes`) survive in a spread copy; all other members
 * are accessors, created on first use. The type shows this: it is a class, and TypeScript does not spread accessors.
 */
export declare abstract class TaskContext<
  Input = unknown,
  Parsed = Travelled<Input>,
  Signals extends SignalSchemas = NoSignals,
> extends WaitingContext<Signals> {
  /** The input parsed by the `input` schema, or as it arrived if there is none. */
  readonly input: Parsed;
  /** Aborts when the handler must stop; `signal.reason` is a `TaskAbort` that says why. */
  get signal(): AbortSignal;
  /**
   * Reports progress: percent (0 to 100), and a message of up to 1 024 bytes; without one, the last message stays. At
   * most one call a second to the store: in between, and after a fault, the newest progress waits for the next call, or
   * for the end of the run.
   * @throws TaskAbort when the worker has lost the lease
   */
  get progress(): (percent: number, message?: string) => Promise<void>;
  /** Streams text, JSON and bytes, and updates a summary, for readers of `run.stream()`. */
  get stream(): TaskStream;
  /** Runs a function and stores its result, so that later runs of the handler do not repeat it: see docs/steps.md. */
  get step(): Step;
  /** A budget of the app, charged to this run: see docs/budgets.md. */
  get budget(): SpendingOn;
  /** The log of the app. */
  get log(): Logger;
  /**
   * Proof that this attempt owns the run: a service that keeps the highest `leaseEpoch` it has seen can refuse an
   * older owner.
   */
  readonly fence: Fence;
  /** The number of this attempt, from 1. After a delay, a wait or a hand-back the same attempt continues. */
  readonly attempt: number;
  /** How often attempts of this execution have continued after a delay, a wait or a hand-back; from 0. */
  readonly resumes: number;
  /** The id of the run. */
  readonly executionId: string;
  /** The tags of the run. */
  get tags(): Readonly<Record<string, string>>;
}

/** The returned value becomes the result, a thrown error is a failure, and `delay(...)` parks the attempt. */
export type Handler<Input, Output, Parsed = Travelled<Input>, Signals extends SignalSchemas = NoSignals> = (
  context: TaskContext<Input, Parsed, Signals>,
) => Output | Delay | Promise<Output | Delay>;

/** The parts of a task that a worker needs. */
export interface TaskHandler {
  /** The kind of the executions that it handles. */
  readonly name: string;
  readonly input: AnySchema | undefined;
  readonly output: AnySchema | undefined;
  /** Schemas of the declared signals, by name. */
  readonly signals?: SignalSchemas | undefined;
  readonly handler: Handler<unknown, unknown>;
  /** The place in the user's code that gave the handler, like `orders.ts:12`; undefined if it is not known. */
  readonly definedAt?: (() => string | undefined) | undefined;
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
      /** The thrown value, for the log and the listeners of this process. */
      readonly error: unknown;
    }
  /** `isWaiting`: the handler waits, and what it waits for has come already. */
  | { readonly kind: 'delay'; readonly until: DelayUntil; readonly isWaiting?: true }
  /** The handler waits, and runs again when the wait may be over. */
  | { readonly kind: 'suspend'; readonly request: SuspensionRequest }
  /** The handler waits for its children, and runs again when they are decided. */
  | { readonly kind: 'await_children' }
  /** The execution is handed back unfinished. */
  | { readonly kind: 'release' }
  /** Nothing to report: the worker no longer owns the execution. */
  | { readonly kind: 'lost' };

const permanent = (category: string, error: unknown): Extract<Ending, { kind: 'fail' }> => ({
  kind: 'fail',
  // A message without a hint was written here, and is complete.
  reason: hintOf(error) === undefined ? reasonOf(error) : failureTextOf(error),
  category,
  permanent: true,
  error,
});

/** What running a handler needs of its attempt. */
export interface Runner {
  readonly claimed: ClaimedExecution;
  readonly input: Uint8Array | undefined;
  /** Why the handler was aborted, if it was. */
  readonly abortCode: string | undefined;
  /** Whether the abort refused the handler something that it needs for its result. */
  readonly isInterrupted: boolean;
  /** Checkpoints of the handler, if it used any. */
  readonly checkpoints: { close(): Promise<void> } | undefined;
  /** What the handler got from its context, if it asked for anything. */
  readonly promises: { ended(): void } | undefined;
  /** Records that the handler returned or threw. False when its run has ended already, because it waits. */
  settled(how: 'returned' | 'threw'): boolean;
}

/** Shared by all handler runs of a worker. */
export interface RunnerHost<Of extends Runner> {
  /** Calls the handler with its context. */
  call(attempt: Of, task: TaskHandler, input: unknown): unknown;
  /** The results that the input of an attempt refers to; called only if there are any. */
  results(attempt: Of): Promise<ReadonlyMap<string, unknown>>;
  /** The input is complete, and everything from now on is the handler's time. */
  begins(attempt: Of): void;
  /** The run has ended. Called once for every run. */
  ended(attempt: Of, ending: Ending): void;
}

const LOST: Ending = { kind: 'lost' };

/** Thrown by a host that could not read the results for an input in time: the execution is handed back. */
export class InputOverdue extends Error {
  override readonly name = 'InputOverdue';
}

/**
 * Runs the handler on a claimed execution, and passes its ending to the host. Never throws, whatever the handler throws
 * or returns.
 *
 * Values that are available are not awaited: one promise costs more than most of the work per attempt.
 */
export function runHandler<Of extends Runner>(task: TaskHandler, attempt: Of, host: RunnerHost<Of>): void {
  let input: Validated | Promise<Validated>;
  try {
    input = inputOf(task, attempt, host);
  } catch (error) {
    host.ended(attempt, unreadable(attempt, error));
    return;
  }
  if (!(input instanceof Promise)) call(task, attempt, input, host);
  else {
    input.then(
      (validated) => call(task, attempt, validated, host),
      (error: unknown) => host.ended(attempt, unreadable(attempt, error)),
    );
  }
}

function inputOf<Of extends Runner>(
  task: TaskHandler,
  attempt: Of,
  host: RunnerHost<Of>,
): Validated | Promise<Validated> {
  const { input: bytes = NO_BYTES } = attempt;
  const { payloadEncoding: encoding } = attempt.claimed;
  const begin = (value: unknown): Validated | Promise<Validated> => {
    host.begins(attempt);
    return validate(task.input, value);
  };
  if (encoding !== TEMPLATE_ENCODING) return begin(decode({ bytes, encoding }));
  return filled(bytes, () => host.results(attempt)).then(begin);
}

/** The ending of an attempt if its input could not be read. */
function unreadable({ abortCode }: Runner, error: unknown): Ending {
  const wait = delayed(error);
  if (wait !== undefined) return wait;
  // The store did not answer while the worker owned the execution.
  if (abortCode !== undefined) return LOST;
  if (error instanceof InputOverdue) return { kind: 'release' };
  // A result that the input refers to is gone; the error has a category of its own.
  if (outcomeBrandOf(error) === OUTCOME.non_retryable) return failureOf(error);
  return unreadableInput(error);
}

/** The ending of an attempt if its input is lost or unreadable. */
export const unreadableInput = (error: unknown): Extract<Ending, { kind: 'fail' }> =>
  permanent('invalid_input_payload', error);

function call<Of extends Runner>(task: TaskHandler, attempt: Of, input: Validated, host: RunnerHost<Of>): void {
  if (!input.ok) {
    host.ended(attempt, permanent('invalid_input_payload', new Error(input.problem, input)));
    return;
  }
  // The handler may have been aborted during the validation.
  if (attempt.abortCode !== undefined) {
    host.ended(attempt, LOST);
    return;
  }
  let value: unknown;
  try {
    value = host.call(attempt, task, input.value);
  } catch (error) {
    threw(attempt, error, host);
    return;
  }
  const isPlain = (typeof value !== 'object' && typeof value !== 'function') || value === null;
  // What the handler has called may be awaited by other functions, and begins some microtasks later. A value that could
  // be a promise is adopted, which reads its `then`; reading it can throw.
  if (isPlain && attempt.promises === undefined) gave(task, attempt, value, host);
  else {
    (async () => await value)().then(
      (settled) => gave(task, attempt, settled, host),
      (error: unknown) => threw(attempt, error, host),
    );
  }
}

function threw<Of extends Runner>(attempt: Of, error: unknown, host: RunnerHost<Of>): void {
  if (!attempt.settled('threw')) return;
  attempt.promises?.ended();
  const end = (): void => host.ended(attempt, attempt.abortCode === undefined ? failureOf(error) : LOST);
  if (attempt.checkpoints === undefined) end();
  else void attempt.checkpoints.close().then(end);
}

function gave<Of extends Runner>(task: TaskHandler, attempt: Of, value: unknown, host: RunnerHost<Of>): void {
  if (!attempt.settled('returned')) return;
  attempt.promises?.ended();
  if (attempt.checkpoints === undefined) end(task, attempt, value, host);
  else void attempt.checkpoints.close().then(() => end(task, attempt, value, host));
}

function end<Of extends Runner>(task: TaskHandler, attempt: Of, value: unknown, host: RunnerHost<Of>): void {
  const ending = attempt.isInterrupted ? LOST : (delayed(value) ?? resultOf(task, value));
  if (ending instanceof Promise) void ending.then((validated) => host.ended(attempt, validated));
  else host.ended(attempt, ending);
}

/** The ending of a run when its handler waits. */
export function suspended({ abortCode }: Runner, { request }: Suspension): Ending {
  if (abortCode !== undefined) return LOST;
  return request === 'children' ? { kind: 'await_children' } : { kind: 'suspend', request };
}

/** The input with the results filled in. @throws EngineError the errors of fetching them, and `corruption` */
async function filled(bytes: Uint8Array, results: () => Promise<ReadonlyMap<string, unknown>>): Promise<unknown> {
  const template = templateOf(decode({ bytes, encoding: JSON_ENCODING }));
  return template.holes.length === 0 ? template.value : fill(template, await results());
}

/** The ending for a delay; undefined for any other value. */
function delayed(value: unknown): Ending | undefined {
  const until = delayUntilOf(value);
  if (until === undefined) return undefined;
  if (until !== 'invalid') return { kind: 'delay', until };
  return permanent('invalid_result', new Error('The delay has no valid duration or time; make it with delay().'));
}

function resultOf(task: TaskHandler, value: unknown): Ending | Promise<Ending> {
  if (task.output === undefined) return completed(value);
  const validated = validate(task.output, value);
  return 'then' in validated ? validated.then(checkedResult) : checkedResult(validated);
}

function checkedResult(validated: Validated): Ending {
  if (validated.ok) return completed(validated.value);
  const message = `The result does not match the output schema: ${validated.problem}`;
  return permanent('invalid_result', new Error(message, validated));
}

const unwritten: Refusal = (problem) => new InvalidDefinitionError(`The result: ${problem}`, VALUES_HINT);

function completed(value: unknown): Ending {
  try {
    const { bytes, encoding } = encode(value, unwritten);
    return { kind: 'complete', bytes, encoding };
  } catch (error) {
    return permanent('invalid_result', error);
  }
}

/** The ending for a thrown value: an unmarked error is retryable. Never throws. */
function failureOf(error: unknown): Ending {
  const delay = delayed(error);
  if (delay !== undefined) return delay;
  const brand = outcomeBrandOf(error);
  const retryAfterMs = brand === OUTCOME.retryable ? retryAfterMsOf(error) : undefined;
  return {
    kind: 'fail',
    reason: failureTextOf(error),
    category: categoryOfError(error, HANDLER_ERROR),
    permanent: brand === OUTCOME.non_retryable,
    ...(typeof retryAfterMs === 'number' ? { retryAfterMs } : {}),
    error,
  };
}

/** The ending that replaces one that the engine refused as invalid: a wait that it refused has the category of its code. */
export function unacceptable({ kind }: Ending, error: EngineError): Extract<Ending, { kind: 'fail' }> {
  return permanent(kind === 'suspend' || kind === 'await_children' ? error.code : 'invalid_result', error);
}
