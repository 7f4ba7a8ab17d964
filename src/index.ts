/** `flowfabric`: durable execution. Tasks, runs and workers over a backend; the engine itself is `flowfabric/engine`. */
import type { Backend } from './backend/backend.js';
import type { EmbeddedOptions } from './embedded/index.js';
import { Lazy } from './shared/lazy.js';
import type { ValkeyOptions } from './valkey/index.js';

/**
 * The engine on a Valkey server or cluster: `app({ backend: valkey('valkey://localhost:6379') })`. The client is loaded
 * and connects on first use of the app, or when the promise is awaited.
 *
 * @param options a connection string or options; default the environment variable `VALKEY_URL`
 * @throws EngineError `transport_failed`, `unsupported_server`, `unsafe_eviction_policy`, `library_mismatch` or
 *   `partition_mismatch`, by rejecting
 */
export function valkey(...options: readonly [options?: ValkeyOptions | string]): Promise<Backend> {
  return new Lazy(async () => (await import('./valkey/index.js')).valkey(...options));
}

/**
 * The engine in this process, with its state in a folder: `app({ backend: embedded({ path: './jobs' }) })`. It needs no
 * server; one process at a time can open the folder. It is opened on first use of the app, or when the promise is
 * awaited.
 *
 * @throws EngineError `storage_locked`, `corruption`, `library_mismatch`, `partition_mismatch`, `storage_full`,
 *   `storage_failed` or `invalid_input`, by rejecting
 */
export function embedded(options: EmbeddedOptions): Promise<Backend> {
  return new Lazy(async () => (await import('./embedded/index.js')).embedded(options));
}

export * from './app/index.js';
export {
  all,
  any,
  count,
  BudgetExceededError,
  type Amounts,
  type AmountsOf,
  type BudgetRef,
  type BudgetShortage,
  type BudgetWords,
  type ReportOptions,
  type ReserveOptions,
  type SpendingOn,
  ChildrenFailedError,
  delay,
  Delay,
  InvalidSignalError,
  NonRetryableError,
  RetryableError,
  SET_NULL,
  StepError,
  TaskAbort,
  type BestEffortOptions,
  WaitTimeoutError,
  type Approval,
  type ApprovalOptions,
  type Approve,
  type Decision,
  type Distinct,
  type BudgetReservation,
  type Child,
  type Children,
  type ChildrenGroupOptions,
  type ChildrenOptions,
  type FailedChild,
  type RunBudget,
  type FailureOptions,
  type Fence,
  type FinishedOutcome,
  type FrameOptions,
  type Handler,
  type RetryableOptions,
  type Step,
  type StepContext,
  type StepOptions,
  type StepRetryOptions,
  type Signal,
  type Sleep,
  type SleepOptions,
  type SleepUntil,
  type SummaryPatch,
  type SummaryValue,
  type TaskAbortCode,
  type TaskContext,
  type TaskStream,
  type WaitCondition,
  type WaitFor,
  type WaitForOptions,
  type WaitingContext,
  type Waitpoint,
  type WaitpointOptions,
  type MakeWaitpoint,
  type Worker,
  type WorkerEvents,
  type WorkerSettings,
  type WorkerStats,
} from './worker/index.js';
export { memory, type MemoryOptions } from './memory/index.js';
export type { EmbeddedOptions, FsyncMode } from './embedded/index.js';
export type { ValkeyOptions } from './valkey/index.js';
export { EngineError, type ErrorCode, type ErrorDetail, type ErrorFamily } from '../model/errors.js';
export type { ExecutionEvent } from '../model/events.js';
export type { BudgetStatus, ExecutionUsage } from '../model/budget/reads.js';
export type { ExecutionInfo, GrantSummary, HoldSummary } from '../model/execution/projections.js';
export type { RetryPolicy } from '../model/execution/policy.js';
export type { BlockingReason, PublicState } from '../model/execution/situation.js';
export type { GroupPolicyArgs } from '../model/flow/graph.js';
export type { EdgeGroupSnapshot } from '../model/flow/group.js';
export type { LaneState } from '../model/lane/lane.js';
export type { PartitionConfig } from '../model/partition.js';
export type { Quarantined } from '../model/partition/quarantine.js';
export type { LaneCounts } from '../model/schedule/counts.js';
export type { Secret } from './shared/envelope.js';
export type { Backend } from './backend/backend.js';
export type { Clock } from './engine/clock.js';
export type { DueFilter } from './engine/due-filter.js';
export type { TimerLoopOptions } from './engine/timer-loop.js';
