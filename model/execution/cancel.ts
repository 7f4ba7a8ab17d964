/** cancelExecution: an operator, or the last owner, ends an execution for good. Spec 04 section 4.3. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, reject } from '../operation.js';
import { echoed } from '../core/wire-form.js';
import { partitionOfExecution } from '../ids.js';
import { fenceShape, holdsLease, notActive, wasLastOwner, type FullFence } from '../lease/fence.js';
import { purgeAtOf } from '../schedule/retention.js';
import { namingOf } from './facts.js';
import { isActive, isTerminal } from './situation.js';

export const cancelExecution = operation({
  name: 'cancelExecution',
  args: z.strictObject({
    executionId: field.executionId,
    reason: field.reason,
    source: field.cancelSource,
    leaseId: field.uuid.optional(),
    leaseEpoch: field.leaseEpoch.optional(),
    attemptId: field.uuid.optional(),
  }),
  outcome: z.object({
    kind: z.literal('cancelled'),
    executionId: echoed(field.executionId),
    publicState: z.literal('cancelled'),
  }),
  rejects: [
    'execution_not_found',
    'partial_fence_triple',
    'fence_required',
    'execution_not_active',
    'lease_revoked',
    'stale_lease',
  ],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: { shared: ['source'], each: ['executionId', { fence: ['leaseEpoch', 'leaseId', 'attemptId'] }, 'reason'] },
  memory: 'frees',
  decide(view, args, { now, settings }) {
    const execution = view.executions.get(args.executionId);
    if (execution === undefined) return reject('execution_not_found');
    // The engine's own cascades have an operator's authority; the log keeps their name.
    const operator = args.source !== 'lease_holder';
    const malformed = operator ? undefined : fenceShape({ fence: args, source: 'lease_holder' });
    if (malformed !== undefined) return malformed;
    const outcome = { kind: 'cancelled', executionId: args.executionId, publicState: 'cancelled' } as const;
    const lastOwner = wasLastOwner(execution, args);
    if (isTerminal(execution.situation)) {
      return execution.situation === 'cancelled' && lastOwner ? accept(outcome) : notActive(execution);
    }
    if (!operator) {
      if (execution.situation === 'lease_revoked') return reject('lease_revoked');
      // A lapsed lease does not matter as long as nobody has taken over: giving up is the fast way out.
      const owner = isActive(execution) ? holdsLease(execution, args as FullFence) : lastOwner;
      if (!owner) return reject('stale_lease');
    }
    return accept(outcome, {
      type: 'execution_cancelled',
      executionId: args.executionId,
      at: now,
      cancellationReason: args.reason,
      cancelledBy: args.source,
      ...namingOf(execution),
      purgeAt: purgeAtOf(execution, now, settings.retentionMs),
    });
  },
});
