/** The recorded steps of executions. They stand beside the state, like payloads; no event carries their values. */
import type { Event } from '../events.js';
import { stepKeyOf, type StepRecord } from './facts.js';

/** The steps of one execution. */
export interface Steps {
  /** In the order in which they were recorded. */
  readonly records: readonly StepRecord[];
  /** Places in that order, by `stepKeyOf`. */
  readonly places: ReadonlyMap<string, number>;
}

/** Steps by execution; nothing of one that has none. */
export type StepTable = Map<string, Steps>;

/** What a command adds beside the state. */
export interface Recording {
  readonly executionId: string;
  readonly record: StepRecord;
}

interface Growing {
  readonly records: StepRecord[];
  readonly places: Map<string, number>;
}

/** Adds a step behind those that there are. */
export function addStep(table: StepTable, { executionId, record }: Recording): void {
  const steps = (table.get(executionId) ?? { records: [], places: new Map() }) as Growing;
  steps.places.set(stepKeyOf(record), steps.records.length);
  steps.records.push(record);
  table.set(executionId, steps);
}

/** The recorded step of a key. */
export function stepIn(steps: Steps | undefined, key: string): StepRecord | undefined {
  const place = steps?.places.get(key);
  return place === undefined ? undefined : steps?.records[place];
}

/** The execution whose steps, and payloads of signals, an event takes with it. */
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

/** Drops the steps that an event takes with it. */
export function dropSteps(table: StepTable, event: Event): void {
  if (table.size > 0) table.delete(losesCheckpoints(event) ?? '');
}
