/**
 * cancelFlowHeader: cancels a flow and, depending on its policy, all members that have not ended, or those that are not
 * running. The first members end in this call, in reverse order of joining; the others are left to `applyDue`, and no
 * claim starts them meanwhile. Spec 08 section 9, rulings 29 and 43.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, reject } from '../operation.js';
import { echoed } from '../core/wire-form.js';
import { partitionOfExecution, uuidOfExecution } from '../ids.js';
import { cancellingOf, evaluationOf, type Task } from './tasks.js';
import { CANCELLATION_POLICIES, type CancellationPolicy, type ReadonlyFlow } from './facts.js';
import { liveCountOf } from './view.js';

export const cancelFlowHeader = operation({
  name: 'cancelFlowHeader',
  args: z.strictObject({
    flowId: field.flowId,
    reason: field.reason.default(''),
    cancellationPolicy: field.wordOf(CANCELLATION_POLICIES).default('cancel_all'),
  }),
  outcome: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('cancelled'),
      cancellationPolicy: echoed(field.wordOf(CANCELLATION_POLICIES)),
      memberCount: field.count,
    }),
    /**
     * It was cancelled before, with the policy and for the reason in this outcome; without a policy, it had ended: all
     * its members had, and it is closed or being purged.
     */
    z.object({
      kind: z.literal('already_terminal'),
      storedCancellationPolicy: field.wordOf(CANCELLATION_POLICIES).optional(),
      storedCancelReason: z.string(),
      memberCount: field.count,
    }),
  ]),
  rejects: ['flow_not_found'],
  partition: ({ flowId }) => partitionOfExecution(flowId),
  wire: { shared: [], each: ['flowId', 'reason', 'cancellationPolicy'] },
  memory: 'frees',
  decide(view, { flowId, reason, cancellationPolicy }, { now }) {
    const flow = uuidOfExecution(flowId);
    const known = view.flows.get(flow);
    if (known === undefined) return reject('flow_not_found');
    const memberCount = known.nodeCount;
    if (known.flowState === 'cancelled')
      return accept({
        kind: 'already_terminal',
        storedCancellationPolicy: known.cancellationPolicy,
        storedCancelReason: known.cancelReason,
        memberCount,
      });
    if (known.isPurging || (known.isClosed && !known.isBuilding && liveCountOf(view.flows.tally(flow)) === 0))
      return accept({ kind: 'already_terminal', storedCancelReason: '', memberCount });
    const cancelled = { type: 'flow_cancelled', flow, at: now, cancellationPolicy, cancelReason: reason } as const;
    return {
      ...accept({ kind: 'cancelled', cancellationPolicy, memberCount }, cancelled),
      aftermath: { flow, tasks: tasksOf(known, flowId, cancellationPolicy) },
    };
  },
});

/** What is left to do for the members: they end, or a group with too few edges becomes impossible. */
function tasksOf({ flow, isBuilding, isClosed }: ReadonlyFlow, flowId: string, policy: CancellationPolicy): Task[] {
  if (policy !== 'flow_only') return [cancellingOf(flow, flowId)];
  return isBuilding || isClosed ? [] : [evaluationOf(flowId)];
}
