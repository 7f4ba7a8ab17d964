/** A run before it is there: while it is being created, or looked up. */
import type { PublicState } from '../../../model/execution/situation.js';
import type { Explanation } from '../../engine/explain.js';
import { afterAndIo, type Clock } from '../../engine/clock.js';
import { onAbort } from '../../shared/abort-listeners.js';
import { durationMs } from '../../shared/duration.js';
import { ResultTimeoutError } from '../../shared/errors.js';
import type { FlowChild } from '../flow/flow.js';
import { printed } from '../../util/printed.js';
import type { RunInfo } from './info.js';
import type { OperatorOptions } from '../operating/operating.js';
import type { DecisionOptions, SignalOptions, SignalReceipt } from '../signals/signalling.js';
import { checkResultOptions, type PendingRun, type ResultOptions, type Run } from './run.js';
import type { RunEvent, RunEventsOptions } from './events.js';
import type { RunFrame } from '../streams/frames.js';
import { checkStreamOptions, type RunStreamOptions } from '../streams/reading.js';
import { FramesOfRun, type RunStream } from '../streams/stream.js';
import type { RunUsage } from './usage.js';
import type { BudgetRef } from '../../worker/budgets/spending.js';
import type { RunSummary, RunSummaryOptions } from '../streams/summary.js';

/** What a wait for a run needs before there is one. */
export interface WaitingFor {
  /** How an error names the run. */
  readonly name: string;
  readonly clock: () => Clock;
  /** Why the backend is not there, if it is not. */
  readonly trouble: () => unknown;
}

interface HasResult<Output> {
  result(options: ResultOptions): Promise<Output>;
}

/** The result of what is being created or looked up: what it takes to come to it is part of the wait. */
export async function resultWithin<Output>(
  started: Promise<HasResult<Output>>,
  { timeout, signal }: ResultOptions,
  waitingFor: WaitingFor,
): Promise<Output> {
  const clock = waitingFor.clock();
  const startedAt = clock.now();
  const timeoutMs = timeout === undefined ? undefined : durationMs(timeout);
  const run = await within(started, clock, timeoutMs, signal, waitingFor);
  const left = timeoutMs === undefined ? undefined : Math.max(0, timeoutMs - (clock.now() - startedAt));
  return run.result({ signal, timeout: left });
}

/** What is started, unless the time is over first, or the signal aborts. */
function within<Started>(
  started: Promise<Started>,
  clock: Clock,
  timeoutMs: number | undefined,
  signal: AbortSignal | undefined,
  { name, trouble }: WaitingFor,
): Promise<Started> {
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

/** A run that is being created or looked up. */
export class StartedRun<Output> implements PendingRun<Output> {
  static {
    printed(StartedRun.prototype, 'PendingRun');
  }

  private started: Promise<Run<Output>> | undefined;

  /** @param start how to come to the run: begun already, or begun when something of it is asked for first */
  constructor(
    private readonly start: Promise<Run<Output>> | (() => Promise<Run<Output>>),
    private readonly waitingFor: WaitingFor,
  ) {}

  private get run(): Promise<Run<Output>> {
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

  async cancel(reason?: string): Promise<boolean> {
    return (await this.run).cancel(reason);
  }

  async hold(options?: OperatorOptions): Promise<void> {
    return (await this.run).hold(options);
  }

  async release(options?: OperatorOptions): Promise<void> {
    return (await this.run).release(options);
  }

  async setPriority(priority: number, options?: Pick<OperatorOptions, 'requestedBy'>): Promise<void> {
    return (await this.run).setPriority(priority, options);
  }

  async replay(options?: OperatorOptions): Promise<number> {
    return (await this.run).replay(options);
  }

  async setTags(tags: Readonly<Record<string, string>>): Promise<void> {
    return (await this.run).setTags(tags);
  }

  async signal(name: string, payload?: unknown, options?: SignalOptions): Promise<SignalReceipt> {
    return (await this.run).signal(name, payload, options);
  }

  async approve(name: string, options: DecisionOptions): Promise<SignalReceipt> {
    return (await this.run).approve(name, options);
  }

  async reject(name: string, options: DecisionOptions): Promise<SignalReceipt> {
    return (await this.run).reject(name, options);
  }

  async state(): Promise<PublicState> {
    return (await this.run).state();
  }

  async info(): Promise<RunInfo<Output>> {
    return (await this.run).info();
  }

  async *events(options?: RunEventsOptions): AsyncGenerator<RunEvent, void, undefined> {
    yield* (await this.run).events(options);
  }

  get children(): AsyncIterable<FlowChild> {
    return { [Symbol.asyncIterator]: () => this.listedChildren() };
  }

  private async *listedChildren(): AsyncGenerator<FlowChild, void, undefined> {
    yield* (await this.run).children;
  }

  stream(options: RunStreamOptions = {}): RunStream {
    checkStreamOptions(options);
    return new FramesOfRun(
      (signal) => this.framesOf({ ...options, signal }),
      () => [options.signal],
    );
  }

  private async *framesOf(options: RunStreamOptions): AsyncGenerator<RunFrame, void, undefined> {
    yield* (await this.run).stream(options);
  }

  async explain(): Promise<Explanation> {
    return (await this.run).explain();
  }

  async usage(...budgets: readonly BudgetRef[]): Promise<readonly RunUsage[]> {
    return (await this.run).usage(...budgets);
  }

  async summary(options?: RunSummaryOptions): Promise<RunSummary | undefined> {
    return (await this.run).summary(options);
  }

  toJSON(): object {
    return { of: this.waitingFor.name };
  }

  then<Value = Run<Output>, Reason = never>(
    onCreated?: ((run: Run<Output>) => Value | PromiseLike<Value>) | null,
    onFailed?: ((error: unknown) => Reason | PromiseLike<Reason>) | null,
  ): Promise<Value | Reason> {
    return this.run.then(onCreated, onFailed);
  }
}
