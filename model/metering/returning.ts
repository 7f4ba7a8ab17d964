/**
 * What the end of an ownership does to admissions: whatever ends it, the slots that it held are given back. Said once, by
 * what the execution was before and is after, so that an ending to come needs no line here.
 */
import type { Event } from '../events.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { RETURN_GRACE_MS } from '../limits.js';
import { shortIdOf, uuidOf } from '../short-id.js';
import { memberOf } from '../ids.js';
import type { View } from '../view.js';

/** A metered ownership: its execution, its admission, and what it is metered by. */
export interface MeteredOwnership {
  readonly executionId: string;
  readonly admissionId: string;
  readonly meters: readonly string[];
}

/** The metered ownership of an execution; nothing for work without meters. */
export function ownershipOf(execution: ReadonlyExecution): MeteredOwnership | undefined {
  const { executionId, situation, currentLeaseId, meters } = execution;
  if (meters.length === 0 || situation !== 'running' || currentLeaseId === undefined) return undefined;
  return { executionId, admissionId: shortIdOf(currentLeaseId), meters };
}

/**
 * What the end of an ownership brings with it, by its owner or by an operator; nothing when it goes on, or when its claim had
 * no admission.
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
  // A worker gives the slots of what it completes back by itself, with others, before the grace ends; those of an owner that
  // does not are given back when it ends. All other endings, and an operator's completion, leave nobody who could.
  const offerAt = situation === 'completed' && !byOperator ? at + RETURN_GRACE_MS : at;
  return { type: 'admission_returned', admissionId, at, owner: uuidOf(memberOf(executionId)), meters, offerAt };
}
