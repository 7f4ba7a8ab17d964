/** The worker, and what its handlers are called with. */
export { TaskAbort, type TaskAbortCode } from './attempt/abort.js';
export {
  delay,
  Delay,
  NonRetryableError,
  RetryableError,
  type FailureOptions,
  type RetryableOptions,
} from './handler/outcome.js';
export type { Sleep, SleepOptions, SleepUntil } from './waits/sleep.js';
export { all, any, count, type Distinct, type WaitCondition } from './waits/conditions.js';
export type { Child } from './children/child.js';
export type { Children, ChildrenGroupOptions, ChildrenOptions } from './children/context.js';
export { ChildrenFailedError, type FailedChild } from './children/errors.js';
export { InvalidSignalError, WaitTimeoutError } from './waits/errors.js';
export type { MakeWaitpoint, Waitpoint, WaitpointOptions } from './waits/waitpoint.js';
export type { Signal } from './waits/signals.js';
export type { Approval, ApprovalOptions, Approve, Decision, WaitFor, WaitForOptions } from './waits/wait-for.js';
export type { WaitingContext } from './waits/context.js';
export {
  SET_NULL,
  type BestEffortOptions,
  type FrameOptions,
  type SummaryPatch,
  type SummaryValue,
  type TaskStream,
} from './streaming/task-stream.js';
export { BudgetExceededError, type BudgetShortage } from './budgets/errors.js';
export type { Amounts } from '../../model/budget/facts.js';
export type { AmountsOf, BudgetWords } from './budgets/amounts.js';
export type { BudgetReservation } from './budgets/held.js';
export type { BudgetRef, ReportOptions, ReserveOptions, RunBudget, SpendingOn } from './budgets/spending.js';
export type { Fence, Handler, TaskContext } from './handler/handler.js';
export { StepError } from './steps/failure.js';
export type { StepOptions, StepRetryOptions } from './steps/options.js';
export type { Step } from './steps/step.js';
export type { StepContext } from './steps/tries.js';
export type { WorkerSettings } from './options.js';
export type { FinishedOutcome, Worker, WorkerEvents, WorkerStats } from './api.js';
