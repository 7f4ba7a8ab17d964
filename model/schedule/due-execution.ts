/** Due work of an execution: ends of delays, lapsed leases and grants, timeouts of attempts and deadlines. */
import type { Event } from '../events.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { timedOut } from '../execution/timeouts.js';
import { memberOf } from '../ids.js';
import { lapsedPending } from '../suspension/pending.js';
import { suspensionTimeout } from '../suspension/timeout.js';
import type { DueContext } from './due.js';
import { nextTimer } from './timers.js';

/** Handles an execution whose timer is due. */
export function dueOfExecution(execution: ReadonlyExecution, context: DueContext): readonly Event[] {
  const kind = nextTimer(execution)?.kind;
  if (kind === 'suspension') return suspensionTimeout(execution, context);
  if (kind === 'waitpoint') return expiries(execution, context);
  return [dueEvent(execution, context)];
}

function expiries(execution: ReadonlyExecution, { now }: DueContext): readonly Event[] {
  const { executionId } = execution;
  return lapsedPending(execution, now).map((waitpointId) => ({
    type: 'pending_waitpoint_expired',
    executionId,
    at: now,
    waitpointId,
  }));
}

function dueEvent(execution: ReadonlyExecution, { now, jitter, retentionMs }: DueContext): Event {
  const { executionId } = execution;
  const kind = nextTimer(execution)?.kind;
  switch (kind) {
    case 'execution_deadline':
    case 'attempt_timeout':
      return timedOut(execution, kind, { now, jitter: jitterOf(executionId, jitter), retentionMs });
    case 'delay':
      return { type: 'execution_promoted', executionId, at: now };
    case 'grant':
      return { type: 'grant_lapsed', executionId, at: now };
    default:
      return { type: 'lease_expired', executionId, at: now };
  }
}

const JITTER_STEPS = 1_000;

/** The random factor of one execution, 0 to 1: the factor of the call, shifted by the id. */
export function jitterOf(executionId: string, jitter: number | undefined): number | undefined {
  if (jitter === undefined) return undefined;
  const id = memberOf(executionId);
  const step = (id.charCodeAt(18) * 61 + id.charCodeAt(19) * 31 + id.charCodeAt(20) * 17) % JITTER_STEPS;
  const moved = jitter + step / JITTER_STEPS;
  return moved > 1 ? moved - 1 : moved;
}
