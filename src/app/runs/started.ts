/** A run, or a flow, before it is there: while it is being created, or looked up. */
import { afterAndIo, type Clock } from '../../engine/clock.js';
import { onAbort } from '../../shared/abort-listeners.js';
import { durationMs } from '../../shared/duration.js';
import { ResultTimeoutError } from '../../shared/errors.js';
import { checkResultOptions, type ResultOptions } from './run.js';

/** What a wait for a run needs before there is one. */
export interface WaitingFor {
  /** How an error names the run. */
  readonly name: string;
  readonly clock: () => Clock;
  /** Why the backend is not there, if it is not. */
  readonly trouble: () => unknown;
}

/** What both are, once they are there. */
interface Begun<Output> {
  readonly id: string;
  readonly deduplicated: boolean;
  result(options?: ResultOptions): Promise<Output>;
}

/** The result of what is being created or looked up: what it takes to come to it is part of the wait. */
async function resultWithin<Output>(
  started: Promise<Begun<Output>>,
  { timeout, signal }: ResultOptions,
  waitingFor: WaitingFor,
): Promise<Output> {
  const clock = waitingFor.clock();
  const startedAt = clock.now();
  const timeoutMs = timeout === undefined ? undefined : durationMs(timeout);
  const run = await within(started, clock, timeoutMs, signal, waitingFor);
  if (timeoutMs === undefined) return run.result({ signal });
  const leftMs = Math.max(0, timeoutMs - (clock.now() - startedAt));
  return statingWhole(timeoutMs, run.result({ signal, timeout: leftMs }));
}

/** A result for which only a part of the caller's timeout was left. An error of that timeout states all of it. */
export async function statingWhole<Output>(timeoutMs: number, result: Promise<Output>): Promise<Output> {
  try {
    return await result;
  } catch (error) {
    if (!(error instanceof ResultTimeoutError)) throw error;
    throw new ResultTimeoutError(error.executionId, timeoutMs, error.cause);
  }
}

/** What is started, unless the time is over first, or the signal aborts. */
function within<Thing>(
  started: Promise<Thing>,
  clock: Clock,
  timeoutMs: number | undefined,
  signal: AbortSignal | undefined,
  { name, trouble }: WaitingFor,
): Promise<Thing> {
  return new Promise((resolve, reject) => {
    const stopListening = signal && onAbort(signal, () => reject(signal.reason));
    const cancelTimer =
      timeoutMs === undefined
        ? undefined
        : afterAndIo(clock, timeoutMs, () => reject(new ResultTimeoutError(name, timeoutMs, trouble())));
    const settled = (): void => {
      stopListening?.();
      cancelTimer?.();
    };
    started.then(resolve, reject).finally(settled);
    // Whatever becomes of what is started, its caller does not want to know.
    if (signal?.aborted) reject(signal.reason);
  });
}

/** What can be asked of both before they are there. Awaited, it gives the run, or the flow, itself. */
export abstract class Started<Thing extends Begun<Output>, Output> implements Promise<Thing> {
  readonly [Symbol.toStringTag] = 'Promise';
  private started: Promise<Thing> | undefined;

  /** @param start how to come to it: begun already, or begun when something of it is asked for first */
  constructor(
    private readonly start: Promise<Thing> | (() => Promise<Thing>),
    private readonly waitingFor: WaitingFor,
  ) {}

  protected get run(): Promise<Thing> {
    this.started ??= typeof this.start === 'function' ? this.start() : this.start;
    return this.started;
  }

  get id(): Promise<string> {
    return this.run.then(({ id }) => id);
  }

  get deduplicated(): Promise<boolean> {
    return this.run.then(({ deduplicated }) => deduplicated);
  }

  async result(options: ResultOptions = {}): Promise<Output> {
    checkResultOptions(options);
    const { timeout, signal } = options;
    if (timeout === undefined && signal === undefined) return (await this.run).result();
    return resultWithin(this.run, options, this.waitingFor);
  }

  toJSON(): object {
    return { of: this.waitingFor.name };
  }

  then<Value = Thing, Reason = never>(
    onCreated?: ((run: Thing) => Value | PromiseLike<Value>) | null,
    onFailed?: ((error: unknown) => Reason | PromiseLike<Reason>) | null,
  ): Promise<Value | Reason> {
    return this.run.then(onCreated, onFailed);
  }

  catch<Reason = never>(onFailed?: ((error: unknown) => Reason | PromiseLike<Reason>) | null): Promise<Thing | Reason> {
    return this.run.catch(onFailed);
  }

  finally(onEnd?: (() => void) | null): Promise<Thing> {
    return this.run.finally(onEnd);
  }
}
