/** readSteps: the recorded steps of an execution, page by page, in the order in which they were recorded. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, query } from '../operation.js';
import { partitionOfExecution } from '../ids.js';
import { LIMITS } from '../limits.js';
import type { StepRecord } from './facts.js';

export interface StepsPage {
  readonly steps: readonly StepRecord[];
  /** Number of recorded steps. */
  readonly stepCount: number;
  /** Where the next page begins; absent when no step follows. */
  readonly next: number | undefined;
}

export const readSteps = query({
  name: 'readSteps',
  args: z.strictObject({
    executionId: field.executionId,
    /** Index of the first step of the page, from 0. */
    from: field.count.default(0),
    limit: field.integer(1, LIMITS.maxStepsPerRead).default(LIMITS.maxStepsPerRead),
    /** Whether values are included. A page with values has at least one step and otherwise at most 256 KiB. */
    values: z.boolean().default(true),
  }),
  rejects: [],
  partition: ({ executionId }) => partitionOfExecution(executionId),
  /** Undefined for an execution that has no steps or does not exist. */
  read(view, { executionId, ...page }) {
    const { steps, stepCount } = view.steps.page(executionId, page);
    const end = page.from + steps.length;
    return accept<StepsPage>({ steps, stepCount, next: steps.length > 0 && end < stepCount ? end : undefined });
  },
});
