/** readWaits: all suspensions, waitpoints and signals that a handler needs when it runs again, in one read. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, query } from '../operation.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { compareBytes, partitionOfExecution } from '../ids.js';
import { summaryOf, waitpointSummary, type SuspensionSummary, type WaitpointSummary } from './reads.js';

export interface WaitsRead {
  /** The last suspension; undefined when there was none. */
  readonly suspension: SuspensionSummary | undefined;
  /** Every waitpoint of the execution, ordered by creation, then id. */
  readonly waitpoints: readonly WaitpointSummary[];
}

/** Empty for an execution that never waited, or does not exist. */
export function waitsOf(execution: ReadonlyExecution | undefined): WaitsRead {
  const waitpoints = Object.entries(execution?.waiting?.waitpoints ?? {})
    .map(([waitpointId, waitpoint]) => waitpointSummary(waitpointId, waitpoint))
    .sort((a, b) => a.createdAt - b.createdAt || compareBytes(a.waitpointId, b.waitpointId));
  return { suspension: summaryOf(execution), waitpoints };
}

export const readWaits = query({
  name: 'readWaits',
  args: z.strictObject({ executionId: field.executionId }),
  rejects: [],
  partition: ({ executionId }) => partitionOfExecution(executionId),
  read: (view, { executionId }) => accept<WaitsRead>(waitsOf(view.executions.get(executionId))),
});
