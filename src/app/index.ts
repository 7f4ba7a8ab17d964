/** The friendly layer: tasks, runs, workers. */
export { app, type App, type AppOptions, type WorkerOptions } from './app.js';
export { backoff, type Backoff, type ExponentialOptions } from './backoff.js';
export { durationMs, type Duration, type DurationUnit } from '../shared/duration.js';
export {
  AppClosedError,
  AppError,
  InvalidDefinitionError,
  InvalidInputError,
  ResultTimeoutError,
  RunCancelledError,
  RunError,
  RunExpiredError,
  RunFailedError,
  RunNotFoundError,
  type AppErrorCode,
} from '../shared/errors.js';
export type { Logger } from '../shared/logger.js';
export type { PendingRun, ResultOptions, Run, RunActions } from './run.js';
export type { AnySchema, Schema } from '../shared/schema.js';
export type {
  ManyRunOptions,
  RetryOptions,
  RunArguments,
  RunOptions,
  Task,
  TaskOptions,
  TaskReference,
  TaskSettings,
} from './task.js';
