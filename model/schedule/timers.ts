/**
 * What happens by itself. An execution has at most one entry in its partition's timers index: the earliest time at
 * which something is due for it. Which command that is follows from the execution, so the loop that applies due
 * work knows no kinds. Terminal executions are due in retention slots instead (see `RETENTION_SLOT_MS`).
 */
import type { ReadonlyExecution } from '../execution/execution.js';
import { isActive, isDelayed, isTerminal } from '../execution/situation.js';
import { RETENTION_SLOT_MS } from '../limits.js';

export type TimerKind = 'execution_deadline' | 'attempt_timeout' | 'delay' | 'lease';

export interface Timer {
  readonly kind: TimerKind;
  readonly at: number;
}

/** The time of the next timer of an execution. */
export function nextTimerAt(execution: ReadonlyExecution): number | undefined {
  const { situation } = execution;
  if (isTerminal(situation)) return undefined;
  let at = execution.executionDeadlineAt;
  if (isActive(situation)) at = earlier(at, execution.attemptTimeoutAt);
  return situation === 'running' || isDelayed(situation) ? earlier(at, execution.dueAt) : at;
}

/**
 * The next timer of an execution. On equal times the deadline wins, then the attempt timeout, then the rest: what
 * ends more comes first.
 */
export function nextTimer(execution: ReadonlyExecution): Timer | undefined {
  const at = nextTimerAt(execution);
  if (at === undefined) return undefined;
  if (execution.executionDeadlineAt === at) return { kind: 'execution_deadline', at };
  if (isActive(execution.situation) && execution.attemptTimeoutAt === at) return { kind: 'attempt_timeout', at };
  return { kind: isDelayed(execution.situation) ? 'delay' : 'lease', at };
}

const earlier = (a: number | undefined, b: number | undefined): number | undefined =>
  b === undefined || (a !== undefined && a <= b) ? a : b;

/** Time of the purge of an execution that ends now: the end of the retention slot it falls into. */
export function purgeAtOf(execution: ReadonlyExecution, now: number, defaultRetentionMs: number): number {
  const retentionMs = execution.policy?.streamPolicy?.retentionTtlMs ?? defaultRetentionMs;
  return Math.ceil((now + retentionMs) / RETENTION_SLOT_MS) * RETENTION_SLOT_MS;
}

/** A command that time has made due. */
export type DueCommand =
  | {
      readonly name: 'expireExecution';
      readonly args: { readonly executionId: string; readonly expireReason: 'execution_deadline' | 'attempt_timeout' };
    }
  | {
      readonly name: 'promoteDelayed' | 'markLeaseExpiredIfDue' | 'purgeExecution';
      readonly args: { readonly executionId: string };
    };

export function dueCommand(executionId: string, kind: TimerKind): DueCommand {
  switch (kind) {
    case 'execution_deadline':
    case 'attempt_timeout':
      return { name: 'expireExecution', args: { executionId, expireReason: kind } };
    case 'delay':
      return { name: 'promoteDelayed', args: { executionId } };
    case 'lease':
      return { name: 'markLeaseExpiredIfDue', args: { executionId } };
  }
}

export const purgeCommand = (executionId: string): DueCommand => ({ name: 'purgeExecution', args: { executionId } });
