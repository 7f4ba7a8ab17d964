/**
 * Returns the admission of an ownership that ends, however it ends. Decided here alone, by the execution before and
 * after the event, so a new kind of ending needs no line here.
 */
import type { Event } from '../events.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { RETURN_GRACE_MS } from '../limits.js';
import { shortIdOf, uuidOf } from '../short-id.js';
import { memberOf } from '../ids.js';
import type { View } from '../view.js';

/** A metered ownership: execution, admission and meter set. */
export interface MeteredOwnership {
  readonly executionId: string;
  readonly admissionId: string;
  readonly meters: readonly string[];
}

/** The metered ownership of an execution, if it has one. */
export function ownershipOf(execution: ReadonlyExecution): MeteredOwnership | undefined {
  const { executionId, situation, currentLeaseId, meters } = execution;
  if (meters.length === 0 || situation !== 'running' || currentLeaseId === undefined) return undefined;
  return { executionId, admissionId: shortIdOf(currentLeaseId), meters };
}

/**
 * The events that follow when an ownership ends; none while it continues, or if its claim had no admission.
 * `byOperator` means that an operator ended it.
 */
export function returnedAfter(
  view: View,
  ownership: MeteredOwnership,
  at: number,
  byOperator: boolean,
): Event | undefined {
  const { executionId, admissionId, meters } = ownership;
  const situation = view.executions.get(executionId)?.situation;
  if (situation === 'running') return undefined;
  if (view.metering.admission(admissionId)?.admissionState !== 'bound') return undefined;
  // A worker frees the slots of completed work itself, many at a time, before the grace period ends. After any other
  // ending, and after an operator's completion, there may be no worker to do so.
  const offerAt = situation === 'completed' && !byOperator ? at + RETURN_GRACE_MS : at;
  return { type: 'admission_returned', admissionId, at, owner: uuidOf(memberOf(executionId)), meters, offerAt };
}
