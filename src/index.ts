/** `flowfabric`: durable execution. Tasks, runs and workers over a backend; the engine itself is `flowfabric/engine`. */
export * from './app/index.js';
export {
  delay, Delay, NonRetryableError, RetryableError, TaskAbort,
  type FailureOptions, type Fence, type FinishedOutcome, type Handler, type RetryableOptions, type TaskAbortCode, type TaskContext, type Worker,
  type WorkerEvents, type WorkerSettings, type WorkerStats,
} from './worker/index.js';
export { memory, type MemoryOptions } from './memory/index.js';
export { EngineError, type ErrorCode } from '../model/errors.js';
export type { ExecutionInfo } from '../model/execution/projections.js';
export type { PublicState } from '../model/execution/situation.js';
export type { Backend } from './backend.js';
export type { Clock } from './engine/clock.js';
export type { EngineOptions } from './engine/engine.js';
