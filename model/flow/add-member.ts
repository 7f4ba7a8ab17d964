/** addExecutionToFlow: an existing execution joins a flow permanently. Spec 08 section 3.2. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, acceptAll, operation, reject } from '../operation.js';
import { echoed } from '../core/wire-form.js';
import { partitionOfExecution, uuidOfExecution } from '../ids.js';
import { isRunnable, isTerminal } from '../execution/situation.js';
import { notEligible } from '../lease/fence.js';
import { LIMITS } from '../limits.js';
import { reopening } from './members.js';
import { keepingOf } from './retention.js';
import { siblingId } from './view.js';

export const addExecutionToFlow = operation({
  name: 'addExecutionToFlow',
  args: z
    .strictObject({ flowId: field.flowId, executionId: field.executionId })
    .refine(({ flowId, executionId }) => partitionOfExecution(flowId) === partitionOfExecution(executionId), {
      error: 'must be in the partition of the flow',
      path: ['executionId'],
    }),
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('added'), executionId: echoed(field.executionId), newNodeCount: field.count }),
    z.object({ kind: z.literal('already_member'), executionId: echoed(field.executionId), nodeCount: field.count }),
  ]),
  rejects: [
    'flow_not_found',
    'flow_already_terminal',
    'execution_not_found',
    'execution_already_in_flow',
    'flow_closed',
    'invalid_input',
    'flow_limit_exceeded',
    'execution_not_eligible',
  ],
  ofSize: ['flow_limit_exceeded'],
  partition: ({ flowId }) => partitionOfExecution(flowId),
  wire: { shared: [], each: ['flowId', 'executionId'] },
  memory: 'adds',
  decide(view, { flowId, executionId }, { now }) {
    const flow = uuidOfExecution(flowId);
    const known = view.flows.get(flow);
    if (known === undefined) return reject('flow_not_found');
    if (known.flowState === 'cancelled' || known.isPurging) return reject('flow_already_terminal');
    const execution = view.executions.get(executionId);
    if (execution === undefined) return reject('execution_not_found');
    const { nodeCount } = known;
    if (execution.flow === flow) return accept({ kind: 'already_member', executionId, nodeCount });
    if (execution.flow !== undefined)
      return reject('execution_already_in_flow', { flowId: siblingId(executionId, execution.flow) });
    if (known.isClosed) return reject('flow_closed');
    if (execution.namespace !== known.namespace) return reject('invalid_input', { field: 'namespace' });
    if (nodeCount >= LIMITS.maxFlowMembers) return reject('flow_limit_exceeded', { limit: 'maxFlowMembers' });
    // A terminal execution has a purge time of its own, so it cannot join. One that is owned or suspended would be
    // claimable when it is given back, although the flow is not sealed.
    if (isTerminal(execution.situation) || (known.isBuilding && !isRunnable(execution.situation)))
      return notEligible(execution);
    const added = {
      type: 'flow_member_added',
      executionId,
      at: now,
      flow,
      rank: nodeCount,
      awaitsSeal: known.isBuilding,
      ...keepingOf(execution),
    } as const;
    return acceptAll({ kind: 'added', executionId, newNodeCount: nodeCount + 1 }, [...reopening(known, now), added]);
  },
});
