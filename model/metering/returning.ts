/**
 * Returns the admission of an ownership that ends. A worker's completion says so itself; of every other ending this is
 * decided here alone, by the execution before and after the event, so a new kind of ending needs no line here.
 */
import type { Event } from '../events.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { memberOf } from '../ids.js';
import { shortIdOf, uuidOf } from '../short-id.js';
import type { View } from '../view.js';

/** A metered ownership: an execution and its admission. */
export interface MeteredOwnership {
  readonly executionId: string;
  readonly admissionId: string;
}

/** The metered ownership of an execution, if it has one. */
export function ownershipOf(execution: ReadonlyExecution): MeteredOwnership | undefined {
  const { executionId, situation, currentLeaseId, meters } = execution;
  if (meters.length === 0 || situation !== 'running' || currentLeaseId === undefined) return undefined;
  return { executionId, admissionId: shortIdOf(currentLeaseId) };
}

/** The admission by which an execution is owned, if its claim had one. */
export function admissionOf(view: View, execution: ReadonlyExecution): string | undefined {
  const ownership = ownershipOf(execution);
  return ownership !== undefined && isBound(view, ownership) ? ownership.admissionId : undefined;
}

/** Whether the admission is bound by this ownership: another execution may have been claimed with the same lease id. */
function isBound(view: View, { executionId, admissionId }: MeteredOwnership): boolean {
  const admission = view.metering.admission(admissionId);
  return admission?.admissionState === 'bound' && admission.owner === uuidOf(memberOf(executionId));
}

/** The event that follows when an ownership ended; none while it continues, or when its admission was returned. */
export function returnedAfter(view: View, ownership: MeteredOwnership, at: number): Event | undefined {
  const { executionId, admissionId } = ownership;
  if (view.executions.get(executionId)?.situation === 'running' || !isBound(view, ownership)) return undefined;
  return { type: 'admission_returned', admissionId, at };
}
