/** A flow while it is being created or looked up. */
import { printed } from '../../util/printed.js';
import { copied } from '../../util/copied.js';
import type { ReplayReport } from '../../engine/replay-many.js';
import type { ReplayOptions } from '../operating/dead-letters.js';
import { Started } from '../runs/started.js';
import type { RunUsage } from '../runs/usage.js';
import type { BudgetRef } from '../../worker/budgets/spending.js';
import type {
  FlowCancelOptions,
  FlowChild,
  FlowExplanation,
  FlowInfo,
  FlowRun,
  FlowState,
  PendingFlowRun,
} from './flow.js';

/** A flow that is being created or looked up. */
export class StartedFlow<Output> extends Started<FlowRun<Output>, Output> implements PendingFlowRun<Output> {
  static {
    printed(StartedFlow.prototype, 'PendingFlowRun');
  }

  async cancel(options?: FlowCancelOptions | string): Promise<boolean> {
    const asked = copied(options);
    return (await this.run).cancel(asked);
  }

  async replay(options?: ReplayOptions): Promise<ReplayReport> {
    const asked = copied(options);
    return (await this.run).replay(asked);
  }

  async state(): Promise<FlowState> {
    return (await this.run).state();
  }

  async info(): Promise<FlowInfo> {
    return (await this.run).info();
  }

  async explain(): Promise<FlowExplanation> {
    return (await this.run).explain();
  }

  async usage(...budgets: readonly BudgetRef[]): Promise<readonly RunUsage[]> {
    return (await this.run).usage(...budgets);
  }

  get children(): AsyncIterable<FlowChild> {
    return { [Symbol.asyncIterator]: () => this.listed() };
  }

  private async *listed(): AsyncGenerator<FlowChild, void, undefined> {
    yield* (await this.run).children;
  }
}
