/**
 * releaseLease: a worker that shuts down hands unfinished work back. The attempt is interrupted and no retry is spent;
 * another worker can claim it at once and resumes the same attempt. Capped, so that draining workers cannot pass an
 * execution on for ever. Spec 11 section B5 and open question 4; not in the reference.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, reject } from '../operation.js';
import { attemptTimeRemaining } from '../execution/parking.js';
import { echoed } from '../core/wire-form.js';
import { partitionOfExecution } from '../ids.js';
import { DEFAULTS } from '../limits.js';
import { FENCE_REJECTIONS, fenceShape, hasReturned, ownershipVerdict, wasLastOwner } from './fence.js';

export const releaseLease = operation({
  name: 'releaseLease',
  args: z.strictObject({
    executionId: field.executionId,
    fence: field.fence.optional(),
    attemptIndex: field.attemptIndex.optional(),
  }),
  outcome: z.object({
    kind: z.literal('released'),
    executionId: echoed(field.executionId),
    publicState: z.literal('waiting'),
  }),
  rejects: ['execution_not_found', ...FENCE_REJECTIONS, 'max_releases_exceeded'],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: { shared: ['attemptIndex'], each: ['executionId', 'fence'] },
  memory: 'frees',
  decide(view, args, { now }) {
    const { executionId } = args;
    const execution = view.executions.get(executionId);
    if (execution === undefined) return reject('execution_not_found');
    const malformed = fenceShape(args);
    if (malformed !== undefined) return malformed;
    const outcome = { kind: 'released', executionId, publicState: 'waiting' } as const;
    if (hasReturned(execution) && wasLastOwner(execution, args.fence)) return accept(outcome);
    const refusal = ownershipVerdict(execution, args, now);
    if (refusal !== undefined) return refusal;
    if (execution.leaseReleaseCount >= (execution.policy?.maxReleaseCount ?? DEFAULTS.maxReleaseCount))
      return reject('max_releases_exceeded');
    return accept(outcome, {
      type: 'lease_released',
      executionId,
      at: now,
      attemptTimeoutRemainingMs: attemptTimeRemaining(execution, now),
    });
  },
});
