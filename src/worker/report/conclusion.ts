/** What became of an attempt, by the answer to its ending or by the reason for which it was taken away. */
import type { TaskAbortCode } from '../attempt/abort.js';
import type { FinishedOutcome } from '../api.js';
import type { ReportedEnding, Settlement } from './reporter.js';

/**
 * Refusals of a suspension because something came that its handler has not seen: signals, ends of children, and the end
 * of the waitpoint that it handed out.
 */
const MISSED: ReadonlySet<string> = new Set([
  'signals_arrived',
  'children_ended',
  'pending_waitpoint_expired',
  'waitpoint_not_pending',
]);

/** The outcome of an attempt, by the answer to its final call. */
const FINISHED: Readonly<Partial<Record<string, FinishedOutcome>>> = {
  completed: 'completed',
  retry_scheduled: 'retry_scheduled',
  terminal_failed: 'failed',
  delayed: 'delayed',
  suspended: 'suspended',
  moved: 'suspended',
  released: 'released',
};

/**
 * The outcome of the attempt. `run_again`: its wait is over already, for example because signals arrived before the
 * suspension, so the handler runs again at once. Undefined if the ending was not accepted, or the answer ends no attempt.
 */
export function conclusionOf(
  ending: ReportedEnding,
  settlement: Settlement,
): FinishedOutcome | 'run_again' | undefined {
  if (settlement.kind === 'refused') return MISSED.has(settlement.error.code) ? 'run_again' : undefined;
  if (settlement.kind === 'given_up') return undefined;
  const { kind } = settlement.outcome;
  if (kind === 'delayed' && ending.kind === 'delay' && ending.isWaiting) return 'suspended';
  const isSatisfied = kind === 'already_satisfied' && ending.kind === 'suspend';
  return isSatisfied || kind === 'not_waiting' ? 'run_again' : FINISHED[kind];
}

/** The outcome of an attempt that was taken from its worker. */
const TAKEN: Readonly<Record<TaskAbortCode, FinishedOutcome>> = {
  cancelled: 'cancelled',
  deadline: 'timed_out',
  attempt_timeout: 'timed_out',
  lease_lost: 'lost',
  lease_revoked: 'lost',
  shutdown: 'lost',
};

/**
 * The outcome of an attempt without an accepted ending. @param code why it was taken away; undefined if its ending could
 * not be reported
 */
export const outcomeOfTaken = (code: TaskAbortCode | undefined): FinishedOutcome =>
  code === undefined ? 'lost' : TAKEN[code];
