/** A run or a flow that is being created or looked up. */
import { afterAndIo, type Clock } from '../../engine/clock.js';
import { onAbort } from '../../shared/abort-listeners.js';
import { durationMs } from '../../shared/duration.js';
import { ResultTimeoutError } from '../../shared/errors.js';
import { checkResultOptions, type ResultOptions } from './run.js';

/** The context of a wait for a run or flow that is not known yet. */
export interface WaitingFor {
  /** How an error names the run. */
  readonly name: string;
  readonly clock: () => Clock;
  /** Why the backend is not connected; undefined if it is. */
  readonly fault: () => unknown;
}

/** A look-up for a result, events or a stream: it continues while the store is unreachable. */
export interface LookUpWait {
  /** Ends the look-up. */
  readonly signal: AbortSignal;
  /** Called with each failure of the look-up. */
  readonly onFailure?: ((error: unknown) => void) | undefined;
}

/** Looks a run or a flow up: for a call up to 10 s, for a wait until that ends. */
export type LookUp<Thing> = (wait?: LookUpWait) => Promise<Thing>;

/** A run or a flow once it is created or found. */
interface Begun<Output> {
  readonly id: string;
  readonly deduplicated: boolean;
  result(options?: ResultOptions): Promise<Output>;
}

type Begin<Thing> = (signal: AbortSignal, onFailure: (error: unknown) => void) => Promise<Thing>;

/** The result of a run or flow that is being created or looked up. The timeout covers this too. */
async function resultWithin<Output>(
  begin: Begin<Begun<Output>>,
  { timeout, signal }: ResultOptions,
  waitingFor: WaitingFor,
): Promise<Output> {
  const clock = waitingFor.clock();
  const startedAt = clock.now();
  const timeoutMs = timeout === undefined ? undefined : durationMs(timeout);
  const run = await within(begin, clock, timeoutMs, signal, waitingFor);
  if (timeoutMs === undefined) return run.result({ signal });
  const leftMs = Math.max(0, timeoutMs - (clock.now() - startedAt));
  return reportingTimeout(timeoutMs, run.result({ signal, timeout: leftMs }));
}

/** Waits for a result with the rest of the caller's timeout. A timeout error states the whole timeout. */
export async function reportingTimeout<Output>(timeoutMs: number, result: Promise<Output>): Promise<Output> {
  try {
    return await result;
  } catch (error) {
    if (!(error instanceof ResultTimeoutError) || error.isStandstill) throw error;
    throw new ResultTimeoutError(error.executionId, timeoutMs, error.cause);
  }
}

/** The started run or flow. Rejects if the timeout passes or the signal aborts before. */
function within<Thing>(
  begin: Begin<Thing>,
  clock: Clock,
  timeoutMs: number | undefined,
  signal: AbortSignal | undefined,
  { name, fault }: WaitingFor,
): Promise<Thing> {
  return new Promise((resolve, reject) => {
    const controller = new AbortController();
    let failure: unknown;
    const giveUp = (error: unknown): void => {
      reject(error);
      controller.abort(error);
    };
    const stopListening = signal && onAbort(signal, () => giveUp(signal.reason));
    const cancelTimer =
      timeoutMs === undefined
        ? undefined
        : afterAndIo(clock, timeoutMs, () => giveUp(new ResultTimeoutError(name, timeoutMs, fault() ?? failure)));
    const settled = (): void => {
      stopListening?.();
      cancelTimer?.();
    };
    const onFailure = (error: unknown): void => void (failure = error);
    begin(controller.signal, onFailure).then(resolve, reject).finally(settled);
    // The caller has given up already: the outcome of the creation does not matter to it.
    if (signal?.aborted) giveUp(signal.reason);
  });
}

/** A promise of a run or a flow, with the members that can be used before it resolves. */
export abstract class Started<Thing extends Begun<Output>, Output> implements Promise<Thing> {
  readonly [Symbol.toStringTag] = 'Promise';
  private found: Thing | undefined;

  /** @param start the creation, or a look-up that every use begins until one of them succeeds */
  constructor(
    private readonly start: Promise<Thing> | LookUp<Thing>,
    private readonly waitingFor: WaitingFor,
  ) {}

  protected get run(): Promise<Thing> {
    return typeof this.start === 'function' ? this.lookedUp(this.start) : this.start;
  }

  /** For a result, events or a stream: the look-up ends with the signal, however long the store cannot be reached. */
  protected awaited(signal?: AbortSignal, onFailure?: (error: unknown) => void): Promise<Thing> {
    if (typeof this.start !== 'function') return this.start;
    return this.lookedUp(this.start, { signal: signal ?? new AbortController().signal, onFailure });
  }

  // Uses do not share a look-up that is under way: each has its own time.
  private async lookedUp(lookUp: LookUp<Thing>, wait?: LookUpWait): Promise<Thing> {
    if (this.found !== undefined) return this.found;
    const found = await lookUp(wait);
    this.found ??= found;
    return this.found;
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
    if (timeout === undefined && signal === undefined) return (await this.awaited()).result();
    return resultWithin((...wait) => this.awaited(...wait), options, this.waitingFor);
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
