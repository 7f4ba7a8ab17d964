/**
 * closeWaitpoint: an owner closes a waitpoint that no suspension has used. Later signals to it are refused. Safe to
 * repeat. Spec 06 section 10, ruling 21.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, reject } from '../operation.js';
import { partitionOfExecution } from '../ids.js';
import { FENCE_REJECTIONS, fenceShape, ownershipVerdict } from '../lease/fence.js';

export const closeWaitpoint = operation({
  name: 'closeWaitpoint',
  args: z.strictObject({
    executionId: field.executionId,
    fence: field.fence.optional(),
    attemptIndex: field.attemptIndex.optional(),
    waitpointId: field.plainUuid,
    reason: field.signalText.default('proactive_close'),
  }),
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('closed') }),
    z.object({ kind: z.literal('already_satisfied'), reason: z.enum(['already_closed']) }),
  ]),
  rejects: ['execution_not_found', ...FENCE_REJECTIONS, 'waitpoint_not_found', 'waitpoint_not_pending'],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: { shared: [], each: ['executionId', 'fence', 'attemptIndex', 'waitpointId', 'reason'] },
  memory: 'frees',
  decide(view, args, { now }) {
    const { executionId, waitpointId } = args;
    const execution = view.executions.get(executionId);
    if (execution === undefined) return reject('execution_not_found');
    const malformed = fenceShape(args);
    if (malformed !== undefined) return malformed;
    const waitpoint = execution.waiting?.waitpoints[waitpointId];
    if (waitpoint === undefined) return reject('waitpoint_not_found');
    if (waitpoint.closedAt !== undefined) return accept({ kind: 'already_satisfied', reason: 'already_closed' });
    if (waitpoint.waitpointState !== 'pending') return reject('waitpoint_not_pending');
    const refusal = ownershipVerdict(execution, args, now);
    if (refusal !== undefined) return refusal;
    return accept(
      { kind: 'closed' },
      { type: 'pending_waitpoint_closed', ...{ executionId, at: now, waitpointId }, closeReason: args.reason },
    );
  },
});
