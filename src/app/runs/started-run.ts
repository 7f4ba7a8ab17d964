/** A run while it is being created or looked up. */
import type { PublicState } from '../../../model/execution/situation.js';
import type { Explanation } from '../../engine/explain.js';
import type { FlowChild } from '../flow/flow.js';
import { printed } from '../../util/printed.js';
import type { RunInfo } from './info.js';
import type { OperatorOptions } from '../operating/asked-by.js';
import type { RunSignal } from '../signals/received.js';
import type { DecisionOptions, SignalOptions, SignalReceipt } from '../signals/signalling.js';
import type { PendingRun, Run, RunCancelOptions } from './run.js';
import { Started } from './started.js';
import type { Tags } from './tags.js';
import { Iteration } from '../iteration.js';
import { checkEventsOptions, type RunEvent, type RunEventsOptions } from './events.js';
import type { RunFrame } from '../streams/frames.js';
import { checkStreamOptions, type RunStreamOptions } from '../streams/reading.js';
import { FramesOfRun, type RunStream } from '../streams/stream.js';
import type { RunUsage } from './usage.js';
import type { BudgetRef } from '../../worker/budgets/spending.js';
import type { RunSummary, RunSummaryOptions } from '../streams/summary.js';

/** A run that is being created or looked up. */
export class StartedRun<Output> extends Started<Run<Output>, Output> implements PendingRun<Output> {
  static {
    printed(StartedRun.prototype, 'PendingRun');
  }

  async cancel(...args: [options?: RunCancelOptions | string]): Promise<boolean> {
    return (await this.run).cancel(...args);
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

  async setTags(tags: Tags): Promise<void> {
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

  events(options: RunEventsOptions = {}): AsyncIterableIterator<RunEvent> {
    checkEventsOptions(options);
    return new Iteration((signal) => this.eventsOf({ signal }), [options.signal]);
  }

  private async *eventsOf(options: RunEventsOptions): AsyncGenerator<RunEvent, void, undefined> {
    yield* (await this.awaited(options.signal)).events(options);
  }

  get children(): AsyncIterable<FlowChild> {
    return { [Symbol.asyncIterator]: () => this.listedChildren() };
  }

  private async *listedChildren(): AsyncGenerator<FlowChild, void, undefined> {
    yield* (await this.run).children;
  }

  signals(): AsyncIterable<RunSignal> {
    return { [Symbol.asyncIterator]: () => this.listedSignals() };
  }

  private async *listedSignals(): AsyncGenerator<RunSignal, void, undefined> {
    yield* (await this.run).signals();
  }

  stream(options: RunStreamOptions = {}): RunStream {
    checkStreamOptions(options);
    return new FramesOfRun(
      (signal) => this.framesOf({ ...options, signal }),
      () => [options.signal],
    );
  }

  private async *framesOf(options: RunStreamOptions): AsyncGenerator<RunFrame, void, undefined> {
    yield* (await this.awaited(options.signal)).stream(options);
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
}
