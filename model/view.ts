/**
 * What decisions and reads see of a partition. The spec's own view derives everything from the executions by
 * definition (`spec-view.ts`); the memory backend answers from indexes that the same events keep. That both agree
 * is an invariant.
 */
import type { LoggedEvent } from './events.js';
import type { ReadonlyExecution } from './execution/execution.js';

export interface View {
  execution(executionId: string): ReadonlyExecution | undefined;
  /** The execution that a live idempotency key points to. */
  idempotent(namespace: string, key: string, now: number): string | undefined;
  /** Work of a lane that a worker with these capabilities can take, in the order of the queue scores, at most `limit`. */
  claimable(laneId: string, offered: ReadonlySet<string>, limit: number): readonly ReadonlyExecution[];
  /** Executions with a timer at or before `now`, by (time, id), at most `limit`. */
  due(now: number, limit: number): readonly ReadonlyExecution[];
  /** Terminal executions whose purge is due, earliest slot first, at most `limit`; order inside a slot is free. */
  purgeable(now: number, limit: number): readonly string[];
  /** The earliest time at which anything is due. */
  nextDueAt(): number | undefined;
  /** Ids after `after`, ascending, at most `limit`. */
  executionIds(after: string | undefined, limit: number): readonly string[];
  /** Lanes that ever had work here, ascending. */
  lanes(): readonly string[];
  payload(executionId: string): Uint8Array | undefined;
  result(executionId: string): Uint8Array | undefined;
  /** Log entries after a position, oldest first, at most `limit`. */
  log(after: number, limit: number): readonly LoggedEvent[];
  /** Position of the newest entry (0 when nothing ever happened). */
  logEnd(): number;
}
