/** A run while it is being created or looked up. */
import type { PublicState } from '../../../model/execution/situation.js';
import type { Explanation } from '../../engine/explain.js';
import type { FlowChild } from '../flow/flow.js';
import { copied } from '../../util/copied.js';
import { printed } from '../../util/printed.js';
import type { TaskDefinition } from '../tasks/task.js';
import type { RunInfo } from './info.js';
import type { OperatorOptions } from '../operating/asked-by.js';
import type { RunSignal } from '../signals/received.js';
import {
  decisionOf,
  signalOf,
  type DecisionOptions,
  type SignalOptions,
  type SignalReceipt,
} from '../signals/signalling.js';
import type { KnownRun, PendingRun, RunCancelOptions } from './run.js';
import { Started, type LookUp, type WaitingFor } from './started.js';
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
export class StartedRun<Output> extends Started<KnownRun<Output>, Output> implements PendingRun<Output> {
  static {
    printed(StartedRun.prototype, 'PendingRun');
  }

  /** @param task the task of the run, if it is known by now */
  constructor(
    start: Promise<KnownRun<Output>> | LookUp<KnownRun<Output>>,
    waitingFor: WaitingFor,
    private readonly task?: TaskDefinition | undefined,
  ) {
    super(start, waitingFor);
  }

  // What they are given is taken in the turn of the call: the caller may go on with the same objects.

  async cancel(...args: [options?: RunCancelOptions | string]): Promise<boolean> {
    const given = copied(args);
    return (await this.run).cancel(...given);
  }

  async hold(options?: OperatorOptions): Promise<void> {
    const given = copied(options);
    return (await this.run).hold(given);
  }

  async release(options?: OperatorOptions): Promise<void> {
    const given = copied(options);
    return (await this.run).release(given);
  }

  async setPriority(priority: number, options?: Pick<OperatorOptions, 'requestedBy'>): Promise<void> {
    const given = copied(options);
    return (await this.run).setPriority(priority, given);
  }

  async replay(options?: OperatorOptions): Promise<number> {
    const given = copied(options);
    return (await this.run).replay(given);
  }

  async setTags(tags: Tags): Promise<void> {
    const given = copied(tags);
    return (await this.run).setTags(given);
  }

  async signal(name: string, payload?: unknown, options?: SignalOptions): Promise<SignalReceipt> {
    const given = signalOf(this.task, name, payload, options);
    return (await this.run).send(given);
  }

  async approve(name: string, options: DecisionOptions): Promise<SignalReceipt> {
    const given = decisionOf('approve', this.task, name, options);
    return (await this.run).send(given);
  }

  async reject(name: string, options: DecisionOptions): Promise<SignalReceipt> {
    const given = decisionOf('reject', this.task, name, options);
    return (await this.run).send(given);
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
    const given = copied(options);
    return new FramesOfRun(
      (signal) => this.framesOf({ ...given, signal }),
      () => [given.signal],
      () => this.state(),
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
    const given = copied(options);
    return (await this.run).summary(given);
  }
}
