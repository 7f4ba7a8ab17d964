/** What decisions and reads see of steps. */
import { LIMITS } from '../limits.js';
import type { Partition } from '../state.js';
import type { Steps } from './contents.js';
import type { StepRecord } from './facts.js';

export interface PageArgs {
  readonly from: number;
  readonly limit: number;
  readonly values: boolean;
}

export interface StepView {
  /** The recorded steps of an execution; undefined without any. */
  of(executionId: string): Steps | undefined;
  /** A range of steps in order, and their total number. */
  page(executionId: string, page: PageArgs): { readonly steps: readonly StepRecord[]; readonly stepCount: number };
}

/** The view by definition. */
export function stepsByDefinition({ steps }: Partition): StepView {
  return {
    of: (executionId) => steps.get(executionId),
    page(executionId, { from, limit, values }) {
      const all = steps.get(executionId)?.records ?? [];
      const asked = all.slice(from, from + limit);
      return {
        steps: values
          ? asked.slice(0, endOfPage(asked)).map((step) => ({ ...step, value: copyOf(step.value) }))
          : asked.map((step) => ({ ...step, value: undefined })),
        stepCount: all.length,
      };
    },
  };
}

/** A copy: a handler that changes its bytes must not affect the next attempt. */
const copyOf = (value: Uint8Array | undefined): Uint8Array | undefined => value && Buffer.from(value);

/** Number of steps with values that fit into a page; at least one. */
function endOfPage(steps: readonly StepRecord[]): number {
  let bytes = 0;
  const end = steps.findIndex(({ valueBytes = 0 }, place) => {
    bytes += valueBytes;
    return place > 0 && bytes > LIMITS.maxStepBytesPerRead;
  });
  return end === -1 ? steps.length : end;
}
