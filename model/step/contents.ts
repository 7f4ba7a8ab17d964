/** The recorded steps of executions: beside the state, like payloads. No event carries their values. */
import type { Event } from '../events.js';
import { stepKeyOf, type StepRecord } from './facts.js';

/** The steps of one execution. */
export interface Steps {
  /** In the order in which they were recorded. */
  readonly records: readonly StepRecord[];
  /** Index into that order, by `stepKeyOf`. */
  readonly places: ReadonlyMap<string, number>;
}

/** Steps by execution; no entry for an execution without steps. */
export type StepTable = Map<string, Steps>;

/** What a command adds. */
export interface Recording {
  readonly executionId: string;
  readonly record: StepRecord;
}

interface Growing {
  readonly records: StepRecord[];
  readonly places: Map<string, number>;
}

/** Appends a step. */
export function addStep(table: StepTable, { executionId, record }: Recording): void {
  const steps = (table.get(executionId) ?? { records: [], places: new Map() }) as Growing;
  steps.places.set(stepKeyOf(record), steps.records.length);
  steps.records.push(record);
  table.set(executionId, steps);
}

/** The execution whose steps and signal payloads an event removes. */
export function losesCheckpoints(event: Event): string | undefined {
  switch (event.type) {
    case 'execution_replayed':
      return event.checkpointsDiscarded ? event.executionId : undefined;
    case 'execution_purged':
    case 'execution_dropped':
      return event.executionId;
    default:
      return undefined;
  }
}

/** Removes the steps that an event discards. */
export function dropSteps(table: StepTable, event: Event): void {
  if (table.size > 0) table.delete(losesCheckpoints(event) ?? '');
}
