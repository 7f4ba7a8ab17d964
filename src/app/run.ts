/** One run of a task, as its caller sees it. */
import { EngineError } from '../../model/errors.js';
import type { ExecutionInfo } from '../../model/execution/projections.js';
import type { PublicState } from '../../model/execution/situation.js';
import type { Backend } from '../backend.js';
import type { Clock } from '../engine/clock.js';
import { localNews } from '../engine/local-news.js';
import { withRetries } from '../engine/retry.js';
import { decode } from '../shared/codec.js';
import { durationMs, type Duration } from '../shared/duration.js';
import {
  ResultTimeoutError,
  RunCancelledError,
  RunExpiredError,
  RunFailedError,
  RunNotFoundError,
} from '../shared/errors.js';
import { resultWaiter, type Ended } from './results.js';

export interface ResultOptions {
  /** How long to wait. Default: until it ends. */
  readonly timeout?: Duration;
  /** Ends the wait, not the run. */
  readonly signal?: AbortSignal;
}

/** What can be done with a run. */
export interface RunActions<Output> {
  /**
   * The result, as soon as there is one: at once when a worker of this process completes it, else within a poll of
   * 50 ms to 1 s.
   * @throws RunFailedError, RunCancelledError, RunExpiredError when it ended without one; RunNotFoundError;
   *   ResultTimeoutError when it has not ended in time; the signal's reason
   */
  result(options?: ResultOptions): Promise<Output>;
  /** Ends the run; a running handler is told through its `signal`. False when it had ended by itself before. */
  cancel(reason?: string): Promise<boolean>;
  /** `waiting`, `delayed`, `active`, `completed`, `failed`, `cancelled` or `expired`. @throws RunNotFoundError */
  state(): Promise<PublicState>;
  /** Everything that the engine knows about it. @throws RunNotFoundError */
  info(): Promise<ExecutionInfo>;
}

/** A run that the engine knows. */
export interface Run<Output> extends RunActions<Output> {
  /** Its execution id. */
  readonly id: string;
  /** Whether an idempotency key, or an id, led to an execution that existed before. */
  readonly deduplicated: boolean;
}

/**
 * A run that is being created. Everything about it can be asked for at once; `await` it to know that it is stored.
 * When nothing of it is awaited and its creation fails, the error is an unhandled rejection: it does not go unseen.
 */
export interface PendingRun<Output> extends RunActions<Output>, PromiseLike<Run<Output>> {
  readonly id: Promise<string>;
  readonly deduplicated: Promise<boolean>;
}

/** How long calls are repeated when the transport fails, ms. */
export const CALL_PATIENCE_MS = 10_000;

/** A run by its id. */
export class KnownRun<Output> implements Run<Output> {
  constructor(
    private readonly backend: Backend,
    private readonly clock: Clock,
    readonly id: string,
    readonly deduplicated: boolean,
  ) {}

  async result({ timeout, signal }: ResultOptions = {}): Promise<Output> {
    const ended = await (timeout === undefined ? this.wait(signal) : this.waitFor(durationMs(timeout), signal));
    switch (ended.kind) {
      case 'completed':
        return decode({ bytes: ended.result, encoding: ended.encoding }) as Output;
      case 'failed':
        throw new RunFailedError(this.id, ended.reason, ended.category);
      case 'cancelled':
        throw new RunCancelledError(this.id, ended.reason);
      case 'expired':
        throw new RunExpiredError(this.id, ended.reason);
    }
  }

  async cancel(reason = ''): Promise<boolean> {
    const { backend, id: executionId } = this;
    try {
      await withRetries(this.clock, CALL_PATIENCE_MS, () =>
        backend.cancelExecution({ executionId, reason, source: 'operator_override' }),
      );
    } catch (error) {
      if (!(error instanceof EngineError) || error.code !== 'execution_not_active') throw error;
      return error.detail['terminalOutcome'] === 'cancelled';
    }
    localNews(backend).publish({ kind: 'cancelled', executionId, reason });
    return true;
  }

  async state(): Promise<PublicState> {
    return this.known(await this.backend.readExecutionState({ executionId: this.id }));
  }

  async info(): Promise<ExecutionInfo> {
    return this.known(await this.backend.readExecutionInfo({ executionId: this.id }));
  }

  private known<T>(answer: T | undefined): T {
    if (answer === undefined) throw new RunNotFoundError(this.id);
    return answer;
  }

  private wait(signal: AbortSignal | undefined): Promise<Ended> {
    return resultWaiter(this.backend, this.clock).wait(this.id, signal);
  }

  private async waitFor(timeoutMs: number, signal: AbortSignal | undefined): Promise<Ended> {
    const controller = new AbortController();
    const cancelTimer = this.clock.after(timeoutMs, () => controller.abort(new ResultTimeoutError(this.id, timeoutMs)));
    const abort = (): void => controller.abort(signal?.reason);
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort, { once: true });
    try {
      return await this.wait(controller.signal);
    } finally {
      cancelTimer();
      signal?.removeEventListener('abort', abort);
    }
  }
}

/** A run whose creation is under way. */
export class StartedRun<Output> implements PendingRun<Output> {
  constructor(private readonly created: Promise<Run<Output>>) {}

  get id(): Promise<string> {
    return this.created.then(({ id }) => id);
  }

  get deduplicated(): Promise<boolean> {
    return this.created.then(({ deduplicated }) => deduplicated);
  }

  async result(options?: ResultOptions): Promise<Output> {
    return (await this.created).result(options);
  }

  async cancel(reason?: string): Promise<boolean> {
    return (await this.created).cancel(reason);
  }

  async state(): Promise<PublicState> {
    return (await this.created).state();
  }

  async info(): Promise<ExecutionInfo> {
    return (await this.created).info();
  }

  then<Value = Run<Output>, Reason = never>(
    onCreated?: ((run: Run<Output>) => Value | PromiseLike<Value>) | null,
    onFailed?: ((error: unknown) => Reason | PromiseLike<Reason>) | null,
  ): Promise<Value | Reason> {
    return this.created.then(onCreated, onFailed);
  }
}
