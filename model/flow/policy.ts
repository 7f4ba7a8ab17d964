/**
 * setEdgeGroupPolicy: sets how many upstreams an execution needs; not possible after its first edge. Spec 08 section
 * 3.4.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, reject } from '../operation.js';
import { withWireForm } from '../core/wire-form.js';
import { isRunnable } from '../execution/situation.js';
import { partitionOfExecution, uuidOfExecution } from '../ids.js';
import { notEligible } from '../lease/fence.js';
import { groupPolicy, policyFacts, policyTexts, type GroupPolicyArgs } from './graph.js';

export const setEdgeGroupPolicy = operation({
  name: 'setEdgeGroupPolicy',
  args: z
    .strictObject({
      flowId: field.flowId,
      downstreamExecutionId: field.executionId,
      policy: withWireForm(groupPolicy, {
        texts: ['policy'],
        encode: (value) => [policyTexts(value as GroupPolicyArgs)],
      }),
    })
    .refine(
      ({ flowId, downstreamExecutionId }) =>
        partitionOfExecution(flowId) === partitionOfExecution(downstreamExecutionId),
      { error: 'must be in the partition of the flow', path: ['downstreamExecutionId'] },
    ),
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('set') }),
    z.object({ kind: z.literal('already_set') }),
  ]),
  rejects: [
    'flow_not_found',
    'flow_already_terminal',
    'execution_not_in_flow',
    'edge_group_policy_fixed',
    'flow_closed',
    'execution_not_eligible',
  ],
  partition: ({ flowId }) => partitionOfExecution(flowId),
  wire: { shared: [], each: ['flowId', 'downstreamExecutionId', 'policy'] },
  memory: 'adds',
  decide(view, { flowId, downstreamExecutionId: executionId, policy }, { now }) {
    const flow = uuidOfExecution(flowId);
    const known = view.flows.get(flow);
    if (known === undefined) return reject('flow_not_found');
    if (known.flowState === 'cancelled' || known.isPurging) return reject('flow_already_terminal');
    const execution = view.executions.get(executionId);
    if (execution?.flow !== flow) return reject('execution_not_in_flow', { executionId });
    const facts = policyFacts(policy);
    if (
      execution.groupState !== 'none' &&
      execution.groupPolicy === facts.groupPolicy &&
      execution.onSatisfied === facts.onSatisfied &&
      execution.quorumK === facts.quorumK
    )
      return accept({ kind: 'already_set' });
    if (execution.dependencyCount > 0) return reject('edge_group_policy_fixed');
    if (known.isClosed) return reject('flow_closed');
    if (!isRunnable(execution.situation)) return notEligible(execution);
    return accept({ kind: 'set' }, { type: 'edge_group_policy_set', executionId, at: now, flow, ...facts });
  },
});
