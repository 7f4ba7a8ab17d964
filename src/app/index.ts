/** The friendly layer: tasks, runs, workers. */
export { app, type App } from './app.js';
export type { CloseOptions } from './runtime.js';
export type { AppSignals, RotateKeyOptions } from './app-signals.js';
export type { AppOptions } from './app-options.js';
export { child, type ChildOptions } from './child.js';
export { backoff, type Backoff, type ExponentialOptions } from './backoff.js';
export type {
  Flow,
  FlowCancelOptions,
  FlowChild,
  FlowDeclaration,
  FlowInfo,
  FlowRun,
  FlowRunActions,
  FlowRunOptions,
  FlowState,
  PendingFlowRun,
} from './flow/flow.js';
export type {
  FlowBuilder,
  FlowNode,
  GroupOptions,
  Later,
  NodeOptions,
  OnSatisfied,
  WithResults,
} from './flow/nodes.js';
export type { BackendSource, ConnectionState } from './connection.js';
export type { AppBudget, BudgetDay, BudgetDefinition, BudgetLimits } from './budget.js';
export type { BillFilter, BillRow } from './bills.js';
export type { AppLane, AppLaneState, LaneRequest } from './lane.js';
export type { RunCounts, StateCounts } from './counts.js';
export type { DeadLetterFilter, DeadLetters, QuarantinedRow, ReplayOptions } from './dead-letters.js';
export type { Explanation } from '../engine/explain.js';
export type { UnblockStep } from '../engine/obstacle.js';
export type { ReplayFault, ReplayReport } from '../engine/replay-many.js';
export type { QuotaUse, TaskQuota } from './quota.js';
export type { AppQuotas } from './quotas.js';
export type { TaskBudget, TaskBudgets } from './task-budget.js';
export type { RunFilter, RunQuery, RunRow } from './run-list.js';
export type { MarkDeadOptions, WorkerFilter, WorkerRow } from './worker-list.js';
export type { DeadWorkerReport } from '../engine/workers.js';
export type { AppEventListener, AppEvents, EndedRun } from './end-listeners.js';
export type { Failure } from './failure.js';
export type { RunEvent, RunEventsOptions } from './run-events.js';
export type { RunInfo } from './info.js';
export type { AttemptFrame, BytesFrame, JsonFrame, RunFrame, SummaryFrame, TextFrame } from './run-frames.js';
export type { RunUsage } from './run-usage.js';
export type { RunStreamOptions } from './run-reading.js';
export type { RunStream } from './run-stream.js';
export type { RunSummary, RunSummaryOptions } from './run-summary.js';
export type { OperatorOptions, RunOperating, RunReplayOptions } from './operating.js';
export type { DecisionOptions, RunSignalling, SignalOptions, SignalReceipt } from './signalling.js';
export type { RunStateProblem } from '../shared/errors.js';
export type { WorkerOptions } from './worker-options.js';
export { durationMs, type Duration, type DurationUnit } from '../shared/duration.js';
export {
  AppClosedError,
  AppError,
  FlowCancelledError,
  FlowFailedError,
  InvalidDefinitionError,
  InvalidInputError,
  ResultTimeoutError,
  ResultUnavailableError,
  RunCancelledError,
  RunDroppedError,
  RunError,
  RunExpiredError,
  RunFailedError,
  RunIdConflictError,
  RunNotFoundError,
  RunOfAnotherTaskError,
  RunSkippedError,
  RunStateError,
  type AppErrorCode,
} from '../shared/errors.js';
export type { Logger } from '../shared/logger.js';
export type { PendingRun, ResultOptions, Run, RunActions } from './run.js';
export type { AnySchema, Schema } from '../shared/schema.js';
export type { CannotTravel, Jsonify, Travelled } from '../shared/travel.js';
export type {
  ManyRunOptions,
  OwnId,
  RetryOptions,
  RunArguments,
  RunOptions,
  Task,
  TaskOptions,
  TaskReference,
  TaskSettings,
  UnhandledTask,
} from './task.js';
