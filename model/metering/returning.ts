/**
 * What the end of an ownership does to admissions: whatever ends it, the slots that it held are given back. Said once, by
 * what the execution was before and is after, so that an ending to come needs no line here.
 */
import { isOfExecution, type Event } from '../events.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { shortIdOf, uuidOf } from '../short-id.js';
import { memberOf } from '../ids.js';
import type { View } from '../view.js';

/** A metered ownership: its execution, its admission, and what it is metered by. */
export interface MeteredOwnership {
  readonly executionId: string;
  readonly admissionId: string;
  readonly meters: readonly string[];
}

const ownershipOf = (execution: ReadonlyExecution): MeteredOwnership | undefined =>
  execution.situation === 'running' && execution.currentLeaseId !== undefined
    ? {
        executionId: execution.executionId,
        admissionId: shortIdOf(execution.currentLeaseId),
        meters: execution.meters,
      }
    : undefined;

/** The metered ownership that an event may end; nothing for work without meters. */
export function ownershipBefore(view: View, event: Event): MeteredOwnership | undefined {
  if (!isOfExecution(event)) return undefined;
  const execution = view.executions.get(event.executionId);
  return execution === undefined || execution.meters.length === 0 ? undefined : ownershipOf(execution);
}

/** What the end of an ownership brings with it; nothing when it goes on, or when its claim had no admission. */
export function returnedAfter(view: View, ownership: MeteredOwnership, at: number): Event | undefined {
  const { executionId, admissionId, meters } = ownership;
  if (view.executions.get(executionId)?.situation === 'running') return undefined;
  if (view.metering.admission(admissionId)?.admissionState !== 'bound') return undefined;
  return { type: 'admission_returned', admissionId, at, owner: uuidOf(memberOf(executionId)), meters };
}
