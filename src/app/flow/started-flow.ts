/** A flow before it is there: while it is being created, or looked up. */
import { printed } from '../../util/printed.js';
import { checkResultOptions, type ResultOptions } from '../runs/run.js';
import { resultWithin, type WaitingFor } from '../runs/started-run.js';
import type { FlowCancelOptions, FlowChild, FlowInfo, FlowRun, FlowState, PendingFlowRun } from './flow.js';

/** A flow that is being created or looked up. */
export class StartedFlow<Output> implements PendingFlowRun<Output> {
  static {
    printed(StartedFlow.prototype, 'PendingFlowRun');
  }

  private started: Promise<FlowRun<Output>> | undefined;

  /** @param start how to come to the flow: begun already, or begun when something of it is asked for first */
  constructor(
    private readonly start: Promise<FlowRun<Output>> | (() => Promise<FlowRun<Output>>),
    private readonly waitingFor: WaitingFor,
  ) {}

  private get run(): Promise<FlowRun<Output>> {
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

  async cancel(options?: FlowCancelOptions): Promise<boolean> {
    return (await this.run).cancel(options);
  }

  async state(): Promise<FlowState> {
    return (await this.run).state();
  }

  async info(): Promise<FlowInfo> {
    return (await this.run).info();
  }

  get children(): AsyncIterable<FlowChild> {
    return { [Symbol.asyncIterator]: () => this.listed() };
  }

  private async *listed(): AsyncGenerator<FlowChild, void, undefined> {
    yield* (await this.run).children;
  }

  toJSON(): object {
    return { of: this.waitingFor.name };
  }

  then<Value = FlowRun<Output>, Reason = never>(
    onCreated?: ((run: FlowRun<Output>) => Value | PromiseLike<Value>) | null,
    onFailed?: ((error: unknown) => Reason | PromiseLike<Reason>) | null,
  ): Promise<Value | Reason> {
    return this.run.then(onCreated, onFailed);
  }
}
