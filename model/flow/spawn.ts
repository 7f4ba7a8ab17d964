/**
 * spawnChildren: an owner creates children that its execution will wait for, under its fence and in one step: the
 * children, the flow that contains them, and an edge from each child. When a parent can no longer get the successes
 * that it needs, it continues and sees the results: it is not skipped. When a parent ends badly, its children end too.
 * A closed flow still accepts the children of its members, because only their parent waits for them. Rulings 29 and 48.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, acceptAll, operation, reject, type Rejected } from '../operation.js';
import { withWireForm } from '../core/wire-form.js';
import type { Event } from '../events.js';
import { familyForAny } from '../execution/create.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { partitionOfExecution, uuidOfExecution } from '../ids.js';
import { notEligible, WORK_REJECTIONS, fenceShape, workVerdict } from '../lease/fence.js';
import { LIMITS } from '../limits.js';
import { shortIdOf } from '../short-id.js';
import type { View } from '../view.js';
import { walkIdOf } from './tasks.js';
import type { ReadonlyFlow } from './facts.js';
import {
  dataPassingRef,
  groupPolicy,
  member,
  policyFacts,
  policyTexts,
  textsOfMembers,
  type GroupPolicyArgs,
} from './graph.js';
import { growthOf, MEMBER_REJECTIONS, membersRefusal, stagingOf } from './members.js';
import { keepingOf } from './retention.js';
import { siblingId } from './view.js';

const child = member.extend({
  /** The edge by which the parent waits for it. */
  edgeId: field.uuid,
  dataPassingRef: dataPassingRef.optional(),
});
type Child = z.output<typeof child>;

const children = withWireForm(
  z
    .array(child)
    .min(1)
    .max(LIMITS.maxMembersPerCall)
    .refine((rows) => new Set(rows.map(({ executionId }) => executionId)).size === rows.length, {
      error: 'must not name an execution twice',
    })
    .refine((rows) => new Set(rows.map(({ edgeId }) => edgeId)).size === rows.length, {
      error: 'must not name an edge twice',
    }),
  {
    texts: ['...'],
    encode(value, nameOf) {
      const rows = value as readonly Child[];
      const edgeOf = (row: Child): string[] => [`${shortIdOf(row.edgeId)}\t${row.dataPassingRef ?? ''}`];
      return [String(rows.length), ...textsOfMembers(rows, nameOf, edgeOf)];
    },
  },
);

const args = z
  .strictObject({
    executionId: field.executionId,
    fence: field.fence.optional(),
    attemptIndex: field.attemptIndex.optional(),
    source: field.source,
    /** The flow that is created if the parent is in none. */
    flowId: field.flowId,
    policy: withWireForm(groupPolicy.default({ kind: 'all_of' }), {
      texts: ['policy'],
      encode: (value) => [policyTexts(value as GroupPolicyArgs)],
    }),
    /**
     * Whether these children are a group of their own although the execution still waits for others. Its group is then
     * about these; earlier children go on, and a suspension can wait for all of them (`awaitedChildren`).
     */
    asNewGroup: z.boolean().default(false),
    children,
  })
  .refine(
    ({ executionId, flowId, children }) =>
      [flowId, ...children.map((row) => row.executionId)].every(
        (id) => partitionOfExecution(id) === partitionOfExecution(executionId),
      ),
    { error: 'must be in the partition of the parent', path: ['children'] },
  )
  .refine(({ policy, children }) => policy.kind !== 'quorum' || policy.k <= children.length, {
    error: 'needs more children than there are',
    path: ['policy'],
  });
type Args = z.output<typeof args>;

/** The kind of a flow that is created for the children of an execution without a flow. */
const CHILDREN = 'children';

const REJECTIONS = [
  'execution_not_found',
  ...WORK_REJECTIONS,
  'flow_already_terminal',
  'edge_group_policy_fixed',
  'execution_not_eligible',
  ...MEMBER_REJECTIONS,
  'dependency_already_exists',
] as const;

export const spawnChildren = operation({
  name: 'spawnChildren',
  args,
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('spawned'), flowId: field.flowId }),
    /** The first of the children exists, which implies that all do. */
    z.object({ kind: z.literal('already_spawned'), flowId: field.flowId }),
  ]),
  rejects: REJECTIONS,
  ofSize: ['flow_limit_exceeded'],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: {
    shared: ['source', 'attemptIndex'],
    each: ['executionId', 'fence', 'flowId', 'policy', 'asNewGroup', 'children'],
  },
  newMembers: ({ children }) => children,
  needs: ({ children }) => familyForAny(children),
  units: ({ children }) => children.length + 1,
  memory: 'adds',
  decide(view, args, { now }) {
    const execution = view.executions.get(args.executionId);
    if (execution === undefined) return reject('execution_not_found');
    const malformed = fenceShape(args);
    if (malformed !== undefined) return malformed;
    const refusal = workVerdict(execution, args, now);
    if (refusal !== undefined) return refusal;
    const known = execution.flow === undefined ? undefined : view.flows.get(execution.flow);
    const flowId = known === undefined ? args.flowId : siblingId(args.executionId, known.flow);
    const [first] = args.children;
    if (known !== undefined && view.executions.get(first?.executionId ?? '')?.flow === known.flow)
      return accept({ kind: 'already_spawned', flowId });
    const flow = known ?? newFlow(view, args, execution);
    if (flow === undefined) return reject('invalid_input', { field: 'flowId' });
    const wrong = spawnRefusal(view, flow, execution, args);
    if (wrong !== undefined) return wrong;
    const grown = growthOf(view, flow, graphOf(args), creatorOf(execution), now);
    return {
      ...acceptAll({ kind: 'spawned', flowId }, [
        ...(known === undefined ? beginning(flow.flow, execution, now) : []),
        ...grown.events,
        ...edgesOf(flow.flow, execution, args, now),
      ]),
      inputs: grown.inputs,
    };
  },
});

/** The children as a graph; the edges from them to their parent are added separately. */
const graphOf = ({ children }: Args) => ({ members: children, edges: [], groups: [] });

const creatorOf = ({ creatorIdentity }: ReadonlyExecution): string => creatorIdentity;

type Growing = Pick<
  ReadonlyFlow,
  'flow' | 'namespace' | 'isBuilding' | 'isClosed' | 'flowState' | 'nodeCount' | 'edgeCount'
>;

/** A new flow with the parent as its first member; undefined when the id belongs to another flow. */
function newFlow(view: View, { flowId }: Args, { namespace }: ReadonlyExecution): Growing | undefined {
  const flow = uuidOfExecution(flowId);
  if (view.flows.get(flow) !== undefined) return undefined;
  return { flow, namespace, isBuilding: false, isClosed: false, flowState: 'open', nodeCount: 1, edgeCount: 0 };
}

/** Whether the children join the set that the parent already waits for. */
const isSameRound = (
  { groupState, isParent, dependencyCount }: ReadonlyExecution,
  { asNewGroup }: Pick<Args, 'asNewGroup'>,
): boolean => !asNewGroup && groupState === 'pending' && isParent && dependencyCount > 0;

function spawnRefusal(
  view: View,
  flow: Growing,
  execution: ReadonlyExecution,
  args: Args,
): Rejected<(typeof REJECTIONS)[number]> | undefined {
  if (flow.flowState === 'cancelled') return reject('flow_already_terminal');
  const facts = policyFacts(args.policy);
  const isSame =
    execution.groupPolicy === facts.groupPolicy &&
    execution.onSatisfied === facts.onSatisfied &&
    execution.quorumK === facts.quorumK;
  if (isSameRound(execution, args) && !isSame) return reject('edge_group_policy_fixed');
  const about = execution.executionId;
  if (view.flows.walk(walkIdOf({ kind: 'siblings', flow: flow.flow, about, cursor: '' })) !== undefined)
    return notEligible(execution);
  const refusal = membersRefusal(view, flow, args.children, args.children.length);
  if (refusal !== undefined) return refusal;
  const isKnown = args.children.some(({ edgeId }) => view.flows.downstreamOf(flow.flow, edgeId) !== undefined);
  return isKnown ? reject('dependency_already_exists') : undefined;
}

/** Events that create the flow and make the parent its first member. */
function beginning(flow: string, execution: ReadonlyExecution, at: number): Event[] {
  const { executionId, namespace } = execution;
  const given = {
    flowKind: CHILDREN,
    namespace,
    isBuilding: false,
    isClosed: false,
    buildDeadlineAt: undefined,
    keptUntil: undefined,
    tags: {},
  };
  return [
    { type: 'flow_created', flow, at, ...given },
    { type: 'flow_member_added', executionId, at, flow, rank: 0, awaitsSeal: false, ...keepingOf(execution) },
  ];
}

/** The edges to the parent, and its group policy. */
function edgesOf(flow: string, execution: ReadonlyExecution, args: Args, at: number): Event[] {
  const { children, policy } = args;
  const { executionId, groupRound } = execution;
  const isSame = isSameRound(execution, args);
  const edgeRound = isSame ? groupRound : groupRound + 1;
  return [
    ...(isSame ? [] : [{ type: 'edge_group_policy_set' as const, executionId, at, flow, ...policyFacts(policy) }]),
    stagingOf({
      executionId,
      edges: children.map((row) => ({ ...row, upstreamExecutionId: row.executionId })),
      ...{ flow, at, isBackward: true, isChild: true, edgeRound },
    }),
  ];
}
