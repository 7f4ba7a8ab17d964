/** One run of a task, as its caller sees it. */
import { EngineError } from '../../../model/errors.js';
import type { ExecutionInfo } from '../../../model/execution/projections.js';
import type { PublicState } from '../../../model/execution/situation.js';
import { LIMITS } from '../../../model/limits.js';
import type { Backend } from '../../backend/backend.js';
import { afterAndIo } from '../../engine/clock.js';
import { explain, type Explanation } from '../../engine/explain.js';
import { localNews } from '../../engine/local-news.js';
import { withRetries } from '../../engine/retry.js';
import { onAbort } from '../../shared/abort-listeners.js';
import { checkDuration, checkSignal, refuse } from '../../shared/checks.js';
import { decode } from '../../shared/codec.js';
import { durationMs, type Duration } from '../../shared/duration.js';
import {
  InvalidDefinitionError,
  ResultTimeoutError,
  ResultUnavailableError,
  RunCancelledError,
  RunExpiredError,
  RunFailedError,
  RunNotFoundError,
  RunSkippedError,
  type RunError,
} from '../../shared/errors.js';
import { knownOnly } from '../../shared/known-only.js';
import { printed } from '../../util/printed.js';
import { boundText } from '../../util/text.js';
import { failureOf } from './failure.js';
import type { RunOperating } from '../operating/operating.js';
import { signalsOfRun, type RunSignal } from '../signals/received.js';
import { Signalling, type RunSignalling, type SignalledTasks } from '../signals/signalling.js';
import { Iteration } from '../iteration.js';
import { CALL_PATIENCE_MS, patiently, type Caller } from '../patience.js';
import { meterNamesOf } from '../metering/meter-names.js';
import { runInfoOf, type RunInfo } from './info.js';
import type { Ended } from '../results/ends.js';
import type { ResultWaiter } from '../results/results.js';
import { checkEventsOptions, runEvents, type RunEvent, type RunEventsOptions } from './events.js';
import { checkStreamOptions, readRun, type RunStreamOptions } from '../streams/reading.js';
import { FramesOfRun, type RunStream } from '../streams/stream.js';
import { checkSummaryOptions, readRunSummary, type RunSummary, type RunSummaryOptions } from '../streams/summary.js';
import { usageOfRun, type RunUsage } from './usage.js';
import { ChildRows } from '../flow/child-rows.js';
import type { FlowChild } from '../flow/flow.js';
import { childrenOfRun } from './children.js';
import type { NoSignals, SignalSchemas } from '../../worker/waits/wait-for.js';
import type { TaskDefinition } from '../tasks/task.js';
import { needBudget, type BudgetRef } from '../../worker/budgets/spending.js';

export interface ResultOptions {
  /** How long to wait. Default: until the run ends. */
  readonly timeout?: Duration | undefined;
  /** Ends the wait, not the run. */
  readonly signal?: AbortSignal | undefined;
}

export interface RunCancelOptions {
  /** The reason: in the log, in `info()`, and in the error of `result()`. Default empty. */
  readonly reason?: string | undefined;
}

/** @throws InvalidDefinitionError for an unknown or invalid option */
export function checkResultOptions(options: ResultOptions): void {
  knownOnly<ResultOptions>('result', options, { timeout: true, signal: true });
  checkDuration('result', 'timeout', options.timeout, 0, LIMITS.maxDurationMs);
  checkSignal('result', 'signal', options.signal);
}

/** The methods of a run. */
export interface RunActions<Output, Signals extends SignalSchemas = NoSignals>
  extends RunOperating,
    RunSignalling<Signals> {
  /**
   * Waits for the result, whichever process completes the run. Polls every 50 ms to 1 s back up lost or forbidden
   * notifications. If the store is unreachable, the wait continues; the log says so once, and a timeout has the error
   * as its `cause`.
   * @throws RunFailedError, RunCancelledError, RunExpiredError, RunSkippedError when the run ended without a result;
   *   RunNotFoundError; ResultUnavailableError when it completed but its result was lost; ResultTimeoutError when it
   *   has not ended in time; AppClosedError; the signal's reason
   */
  result(options?: ResultOptions): Promise<Output>;
  /**
   * Cancels the run and aborts the `signal` of a running handler. False if the run had already ended otherwise. A text
   * is the reason; one of more than 4 096 bytes is truncated and marked with "…".
   * @throws RunNotFoundError
   * @example await run.cancel({ reason: 'the order was withdrawn' });
   */
  cancel(options?: RunCancelOptions | string): Promise<boolean>;
  /** `waiting`, `delayed`, `rate_limited`, `suspended`, `waiting_children`, `active`, `completed`, `failed`, `cancelled`, `expired` or `skipped`. @throws RunNotFoundError */
  state(): Promise<PublicState>;
  /**
   * Everything about the run: your own id, tags, input, result or failure, attempts and times. It fetches input and
   * result; to poll, use `state`.
   * @throws RunNotFoundError
   */
  info(): Promise<RunInfo<Output>>;
  /**
   * The events of the run, from as far back as the log is kept until the run ends. Lost connections are re-established
   * without missing an event.
   * @throws RunNotFoundError; EngineError `cursor_too_old` or `cursor_lost` when events that were due next are gone;
   *   the signal's reason
   * @example
   * for await (const event of run.events()) console.log(event.type, new Date(event.at));
   */
  events(options?: RunEventsOptions): AsyncIterableIterator<RunEvent>;
  /**
   * The frames that the handler streams, until the run ends: of all attempts, with a frame between two attempts.
   * @throws RunNotFoundError and the signal's reason, during iteration; InvalidDefinitionError
   * @example
   * for await (const frame of run.stream()) if (frame.kind === 'text') process.stdout.write(frame.text);
   */
  stream(options?: RunStreamOptions): RunStream;
  /**
   * Why the run is not running, as data and in a sentence: cause, time limit and remedy. See docs/not-running.md.
   * @throws RunNotFoundError
   * @example console.log((await run.explain()).sentence);
   */
  explain(): Promise<Explanation>;
  /**
   * The usage of all attempts of the run so far, by budget and dimension, for the budgets of its task and for the given
   * ones. Resets do not change it.
   * @throws RunNotFoundError; EngineError `budget_not_found`
   * @example const [{ used }] = await run.usage(tokens);
   */
  usage(...budgets: readonly BudgetRef[]): Promise<readonly RunUsage[]>;
  /**
   * The summary of the newest attempt, or of a given one; `undefined` before the first patch.
   * @throws RunNotFoundError
   */
  summary(options?: RunSummaryOptions): Promise<RunSummary | undefined>;
  /** The runs that its handler has started with `children`, in no order. */
  readonly children: AsyncIterable<FlowChild>;
  /**
   * The signals that it has received, in the order in which they were accepted; `kept` marks a signal that came before
   * the handler waited for it.
   * @throws RunNotFoundError, when the iteration begins
   * @example for await (const { name, payload, kept } of run.signals()) console.log(name, payload, kept);
   */
  signals(): AsyncIterable<RunSignal>;
}

/** A run that the engine knows. `Signals` are the signals that its task declares. */
export interface Run<Output, Signals extends SignalSchemas = NoSignals> extends RunActions<Output, Signals> {
  /** Its execution id. */
  readonly id: string;
  /** Whether the id or idempotency key matched an existing run. */
  readonly deduplicated: boolean;
}

/**
 * A run that is being created: a promise of the run, with all methods of the run, which can be used at once. `await` it
 * to know that it is stored. If its creation fails and no caller awaits any of its promises, the error is an unhandled
 * rejection, so that it is noticed.
 */
export interface PendingRun<Output, Signals extends SignalSchemas = NoSignals>
  extends RunActions<Output, Signals>,
    Promise<Run<Output, Signals>> {
  readonly id: Promise<string>;
  readonly deduplicated: Promise<boolean>;
}

/** A wait for a result. */
export interface ResultWait {
  readonly id: string;
  /** Why there is no result yet. */
  readonly explain: () => Promise<{ readonly sentence: string }>;
  readonly giveUp: (error: unknown) => void;
}

/** The surroundings that the runs of an app share. */
export interface RunSurroundings extends Caller {
  readonly backend: Backend;
  readonly ids: () => string;
  readonly tasks: SignalledTasks;
  readonly results: ResultWaiter;
  /** Called at the beginning of every wait for a result. Returns a function to call at its end. */
  readonly onWait: (executionId: string, task: TaskDefinition | undefined) => () => void;
  /** Longest pause between two reads of a flow whose end is awaited, ms. Default a second. */
  readonly maxPollMs?: number | undefined;
  /** In tests, rejects waits that nothing can end any more. Returns a function to call at the end of the wait. */
  readonly standstill?: ((wait: ResultWait) => () => void) | undefined;
}

/** A run by its id. */
export class KnownRun<Output> extends Signalling implements Run<Output> {
  static {
    printed(KnownRun.prototype, 'Run');
  }

  constructor(
    private readonly shared: RunSurroundings,
    readonly id: string,
    readonly deduplicated: boolean,
    private readonly task?: TaskDefinition | undefined,
  ) {
    super(shared, id, task);
  }

  async result(options: ResultOptions = {}): Promise<Output> {
    checkResultOptions(options);
    const { timeout, signal } = options;
    const waitEnded = this.shared.onWait(this.id, this.task);
    const isLimited = timeout !== undefined || this.shared.standstill !== undefined;
    const limit = isLimited ? this.limitOf(timeout, signal) : { signal, lift: () => undefined };
    try {
      const ended = await this.shared.results.wait(this.id, limit.signal);
      if (ended.kind === 'completed') return this.decoded(ended.result, ended.encoding);
      throw await this.errorOf(ended, limit.signal);
    } finally {
      limit.lift();
      waitEnded();
    }
  }

  /** Why the run has no result. Details that must be read are left out if the signal aborts before they are. */
  private async errorOf(
    ended: Exclude<Ended, { kind: 'completed' }>,
    signal: AbortSignal | undefined,
  ): Promise<RunError> {
    const { backend, clock } = this.shared;
    const task = await this.taskName(signal);
    if (ended.kind !== 'skipped') return errorOf(this.id, ended, task);
    const rows = new ChildRows(backend, (read) => withRetries(clock, CALL_PATIENCE_MS, read, signal));
    return new RunSkippedError(this.id, task, await rows.causesOf(this.id).catch(() => []));
  }

  /** The name of its task, for errors; undefined if it cannot be read before the signal aborts. */
  private async taskName(signal: AbortSignal | undefined): Promise<string | undefined> {
    if (this.task !== undefined) return this.task.name;
    return new Promise((resolve) => {
      const stopListening = signal && onAbort(signal, () => resolve(undefined));
      const settle = (info?: ExecutionInfo): void => {
        stopListening?.();
        resolve(info?.executionKind);
      };
      if (signal?.aborted) settle();
      else this.shared.backend.readExecutionInfo({ executionId: this.id }).then(settle, () => settle());
    });
  }

  private decoded(bytes: Uint8Array | undefined, encoding: string | undefined): Output {
    try {
      return decode({ bytes, encoding }) as Output;
    } catch {
      throw new ResultUnavailableError(this.id, `the stored bytes are not valid ${encoding}`);
    }
  }

  async cancel(
    ...[given = {}, ...others]: readonly [options?: RunCancelOptions | string, ...others: unknown[]]
  ): Promise<boolean> {
    if (others.length > 0) throw new InvalidDefinitionError('cancel takes one argument: the reason, or options');
    const options = typeof given === 'string' ? { reason: given } : given;
    knownOnly<RunCancelOptions>('cancel', options, { reason: true });
    const { reason = '' } = options;
    if (typeof reason !== 'string') throw refuse('cancel', 'the reason', 'a string', reason);
    const { backend } = this.shared;
    const executionId = this.id;
    // A long reason must not keep the run from ending.
    const bounded = boundText(reason, LIMITS.maxReasonBytes);
    try {
      await patiently(this.shared, () =>
        backend.cancelExecution({ executionId, reason: bounded, source: 'operator_override' }),
      );
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      if (error.code === 'execution_not_found') throw new RunNotFoundError(this.id);
      if (error.code !== 'execution_not_active') throw error;
      return error.detail['terminalOutcome'] === 'cancelled';
    }
    localNews(backend).publish({ kind: 'cancelled', executionId, reason: bounded });
    return true;
  }

  async state(): Promise<PublicState> {
    return this.read((backend, executionId) => backend.readExecutionState({ executionId }));
  }

  async info(): Promise<RunInfo<Output>> {
    return this.read((backend, executionId) => runInfoOf<Output>(backend, executionId));
  }

  events(options: RunEventsOptions = {}): AsyncIterableIterator<RunEvent> {
    checkEventsOptions(options);
    const { backend, clock, closing } = this.shared;
    return new Iteration((signal) => runEvents(backend, clock, this.id, signal), [options.signal, closing]);
  }

  stream(options: RunStreamOptions = {}): RunStream {
    checkStreamOptions(options);
    const given = { ...options };
    const { backend, clock, closing } = this.shared;
    const open = (signal: AbortSignal) => readRun(backend, clock, this.id, { ...given, signal });
    return new FramesOfRun(
      open,
      () => [given.signal, closing],
      () => this.state(),
    );
  }

  private taskIn(info: ExecutionInfo): TaskDefinition | undefined {
    return this.task ?? this.shared.tasks.taskOf(info);
  }

  async explain(): Promise<Explanation> {
    const { backend } = this.shared;
    const nameMeters = (info: ExecutionInfo) => meterNamesOf(backend, this.taskIn(info), info);
    try {
      return await patiently(this.shared, () => explain(backend, this.id, nameMeters));
    } catch (error) {
      if (error instanceof EngineError && error.code === 'execution_not_found') throw new RunNotFoundError(this.id);
      throw error;
    }
  }

  async usage(...budgets: readonly BudgetRef[]): Promise<readonly RunUsage[]> {
    for (const budget of budgets) needBudget('usage()', budget);
    return this.read((backend, executionId) => usageOfRun(backend, executionId, (info) => this.taskIn(info), budgets));
  }

  async summary(options: RunSummaryOptions = {}): Promise<RunSummary | undefined> {
    checkSummaryOptions(options);
    const { attempt } = options;
    return patiently(this.shared, () => readRunSummary(this.shared.backend, this.id, { attempt }));
  }

  get children(): AsyncIterable<FlowChild> {
    return { [Symbol.asyncIterator]: () => childrenOfRun(this.shared, this.id) };
  }

  signals(): AsyncIterable<RunSignal> {
    return { [Symbol.asyncIterator]: () => signalsOfRun(this.shared, this.id) };
  }

  toJSON(): object {
    const { id, task, deduplicated } = this;
    return { id, ...(task && { task: task.name }), deduplicated };
  }

  /** Reads until there is an answer. @throws RunNotFoundError */
  private async read<T>(read: (backend: Backend, executionId: string) => Promise<T | undefined>): Promise<T> {
    const answer = await patiently(this.shared, () => read(this.shared.backend, this.id));
    if (answer === undefined) throw new RunNotFoundError(this.id);
    return answer;
  }

  /** A signal that aborts when the timeout passes or the caller's signal aborts. */
  private limitOf(
    timeout: Duration | undefined,
    signal: AbortSignal | undefined,
  ): { signal: AbortSignal; lift: () => void } {
    const { clock, results, standstill } = this.shared;
    const controller = new AbortController();
    const giveUp = (error: unknown): void => controller.abort(error);
    const stopWatching = standstill?.({ id: this.id, explain: () => this.explain(), giveUp });
    const timeoutMs = timeout === undefined ? undefined : durationMs(timeout);
    const cancelTimer =
      timeoutMs === undefined
        ? undefined
        : afterAndIo(clock, timeoutMs, () =>
            giveUp(new ResultTimeoutError(this.id, timeoutMs, results.faultOf(this.id))),
          );
    if (signal?.aborted) controller.abort(signal.reason);
    const stopListening = signal && onAbort(signal, () => controller.abort(signal.reason));
    const lift = (): void => {
      stopWatching?.();
      cancelTimer?.();
      stopListening?.();
    };
    return { signal: controller.signal, lift };
  }
}

/** Why a run has no result. */
function errorOf(
  id: string,
  ended: Exclude<Ended, { kind: 'completed' | 'skipped' }>,
  task: string | undefined,
): RunError {
  switch (ended.kind) {
    case 'failed': {
      const { message, category, class: className, details } = failureOf(ended.reason, ended.category);
      return new RunFailedError(id, message, category, className, details, task);
    }
    case 'cancelled':
      return new RunCancelledError(id, ended.reason, task);
    case 'expired':
      return new RunExpiredError(id, ended.reason, task);
  }
}
