/** The friendly layer: tasks, runs, workers. */
export type { App } from './api.js';
export { app } from './app.js';
export type { CloseOptions } from './runtime.js';
export type { AppSignals, RotateKeyOptions } from './signals/app-signals.js';
export type { AppOptions } from './app-options.js';
export { child, type ChildOptions } from './tasks/child.js';
export { backoff, type Backoff, type ExponentialOptions } from './tasks/backoff.js';
export type {
  Flow,
  FlowCancelOptions,
  FlowChild,
  FlowDeclaration,
  FlowExplanation,
  FlowInfo,
  FlowRun,
  FlowRunActions,
  FlowRunOptions,
  FlowState,
  PendingFlowRun,
} from './flow/flow.js';
export type {
  CannotReturn,
  FlowBuilder,
  FlowNode,
  GroupOptions,
  Later,
  NodeGroup,
  NodeOptions,
  OnSatisfied,
  WithResults,
} from './flow/nodes.js';
export type { BackendSource, ConnectionState } from './connection.js';
export type { AppBudget, BudgetDay, BudgetDefinition, BudgetLimits } from './metering/budget.js';
export type { BillFilter, BillRow } from './metering/bills.js';
export type { AppLane, AppLaneState, LaneRequest } from './operating/lane.js';
export type { RunCounts, StateCounts } from './operating/counts.js';
export type { DeadLetterFilter, DeadLetters, QuarantinedRow, ReplayOptions } from './operating/dead-letters.js';
export type { Explanation } from '../engine/explain.js';
export type { MeterNames } from '../engine/explain-meters.js';
export type { NameMeters } from '../engine/explain-surroundings.js';
export type { CallStep, Obstacle, ObstacleStep, UnblockStep, WaitStep } from '../engine/obstacle.js';
export type { AwaitedSignals } from '../../model/suspension/condition.js';
export type { ReplayFault, ReplayReport } from '../engine/replay-many.js';
export type { QuotaUse, TaskQuota, WhenFull } from './metering/quota.js';
export type { AppQuotas } from './metering/quotas.js';
export type { TaskBudget, TaskBudgets } from './metering/task-budget.js';
export type { FlowQuery } from './operating/flow-list.js';
export type { RunFilter, RunQuery, RunRow } from './operating/run-list.js';
export type { MarkDeadOptions, WorkerFilter, WorkerRow } from './operating/worker-list.js';
export type { DeadWorkerReport } from '../engine/workers.js';
export type { EndedFlow, FlowEvents } from './flow/ended-flow.js';
export type { AppEventListener, AppEvents, AppEventsFault, EndedRun } from './results/end-listeners.js';
export type { Failure } from './runs/failure.js';
export type { RunEvent, RunEventsOptions } from './runs/events.js';
export type { RunInfo, RunWait } from './runs/info.js';
export type { AttemptFrame, BytesFrame, JsonFrame, RunFrame, SummaryFrame, TextFrame } from './streams/frames.js';
export type { Called, Tags } from './runs/tags.js';
export type { RunUsage } from './runs/usage.js';
export type { RunStreamOptions } from './streams/reading.js';
export type { RunStream } from './streams/stream.js';
export type { RunSummary, RunSummaryOptions } from './streams/summary.js';
export type { OperatorOptions, ReplaySteps } from './operating/asked-by.js';
export type { RunOperating, RunReplayOptions } from './operating/operating.js';
export type { DecisionOptions, RunSignalling, SignalOptions, SignalReceipt } from './signals/signalling.js';
export type { RunStateProblem } from '../shared/errors.js';
export type { WorkerOptions } from './workers/options.js';
export { durationMs, type Duration, type DurationUnit } from '../shared/duration.js';
export {
  AppClosedError,
  AppError,
  FlowCancelledError,
  FlowFailedError,
  InvalidDefinitionError,
  InvalidInputError,
  ReplayIncompleteError,
  ResultTimeoutError,
  ResultUnavailableError,
  RunCancelledError,
  RunError,
  RunExpiredError,
  RunFailedError,
  RunIdConflictError,
  RunNotFoundError,
  RunOfAnotherTaskError,
  RunSkippedError,
  RunStateError,
  type AppErrorCode,
  type FailedMember,
} from '../shared/errors.js';
export { RunDroppedError } from './runs/dropped.js';
export type { RunSignal } from './signals/received.js';
export type { Logger } from '../shared/logger.js';
export type { PendingRun, ResultOptions, Run, RunActions, RunCancelOptions } from './runs/run.js';
export type { AnySchema, Schema } from '../shared/schema.js';
export type { NoSignals, SignalSchemas } from '../worker/waits/wait-for.js';
export type { CannotTravel, Jsonify, Travelled } from '../shared/travel.js';
export type {
  ContextOf,
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
} from './tasks/task.js';
