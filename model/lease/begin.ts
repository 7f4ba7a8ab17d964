/**
 * beginAttempt: the handler of an attempt starts that was claimed ahead, or whose claim did not bring its whole input,
 * and with it the attempt's timeout (ruling 25). It travels with other calls, so it costs no round trip. Safe to repeat.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, reject } from '../operation.js';
import { partitionOfExecution } from '../ids.js';
import { LIMITS } from '../limits.js';
import { WORK_REJECTIONS, fenceShape, workVerdict } from './fence.js';

export const beginAttempt = operation({
  name: 'beginAttempt',
  args: z.strictObject({ executionId: field.executionId, fence: field.fence.optional() }),
  outcome: z.object({
    kind: z.literal('begun'),
    /** Absent when the attempt has no timeout. */
    attemptTimeoutAt: field.timestampMs.optional(),
  }),
  rejects: ['execution_not_found', ...WORK_REJECTIONS],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: { shared: [], each: ['executionId', 'fence'] },
  memory: 'frees',
  decide(view, args, { now }) {
    const execution = view.executions.get(args.executionId);
    if (execution === undefined) return reject('execution_not_found');
    const refusal = fenceShape(args) ?? workVerdict(execution, args, now);
    if (refusal !== undefined) return refusal;
    const { attemptTimeoutAt: running, attemptTimeoutRemainingMs: remainingMs } = execution;
    if (remainingMs === undefined) return accept({ kind: 'begun', attemptTimeoutAt: running });
    const attemptTimeoutAt = Math.min(now + remainingMs, LIMITS.maxInteger);
    return accept(
      { kind: 'begun', attemptTimeoutAt },
      { type: 'attempt_begun', executionId: args.executionId, at: now, attemptTimeoutAt },
    );
  },
});
