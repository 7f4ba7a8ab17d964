/**
 * Reads of flows: describeFlow, describeEdge, listEdges, listFlows, listFlowMembers, resolveExecutionFlowId,
 * evaluateFlowEligibility. Spec 08 sections 3.7 and 11.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, query } from '../operation.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { isRunnable, isTerminal, stateVector, type PublicState } from '../execution/situation.js';
import { partitionIndexOf, partitionOfExecution, executionIdOf, uuidOfExecution } from '../ids.js';
import { LIMITS } from '../limits.js';
import type { View } from '../view.js';
import type { CancellationPolicy, EdgeState, ReadonlyFlow } from './facts.js';
import { groupSnapshotOf, type EdgeGroupSnapshot } from './group.js';
import {
  hasBuildDeadline,
  memberCountsOf,
  PUBLIC_FLOW_STATES,
  publicStateOf,
  type MemberCounts,
  type PublicFlowState,
} from './state.js';
import { siblingId, type Outgoing } from './view.js';

/** A flow as callers see it. Times are ms since the epoch. */
export interface FlowSnapshot {
  readonly flowId: string;
  readonly flowKind: string;
  readonly namespace: string;
  /** Derived from the members; `cancelled` once the flow was cancelled, whatever the state of its members. */
  readonly publicFlowState: PublicFlowState;
  readonly building: boolean;
  /** The flow is cancelled at this time unless it is sealed before; present while it is building. */
  readonly buildDeadlineAt: number | undefined;
  readonly closed: boolean;
  readonly graphRevision: number;
  readonly nodeCount: number;
  readonly edgeCount: number;
  /** Exact numbers of members by public state; purged members are not counted. */
  readonly members: MemberCounts;
  readonly createdAt: number;
  readonly lastMutationAt: number;
  readonly cancelledAt: number | undefined;
  readonly cancelReason: string | undefined;
  readonly cancellationPolicy: CancellationPolicy | undefined;
  /** When its members are purged; absent while some have not ended, and when they are kept for good. */
  readonly purgeAt: number | undefined;
  readonly tags: Readonly<Record<string, string>>;
}

function snapshotOf(view: View, flowId: string, flow: ReadonlyFlow): FlowSnapshot {
  const members = memberCountsOf(view.flows.tally(flow.flow));
  const isCancelled = flow.flowState === 'cancelled';
  return {
    flowId,
    flowKind: flow.flowKind,
    namespace: flow.namespace,
    publicFlowState: publicStateOf(flow, members),
    building: flow.isBuilding,
    buildDeadlineAt: hasBuildDeadline(flow) ? flow.buildDeadlineAt : undefined,
    closed: flow.isClosed,
    graphRevision: flow.graphRevision,
    nodeCount: flow.nodeCount,
    edgeCount: flow.edgeCount,
    members,
    createdAt: flow.createdAt,
    lastMutationAt: flow.lastMutationAt,
    cancelledAt: flow.cancelledAt,
    cancelReason: isCancelled ? flow.cancelReason : undefined,
    cancellationPolicy: isCancelled ? flow.cancellationPolicy : undefined,
    purgeAt: flow.purgeAt,
    tags: flow.tags,
  };
}

const partitionOfFlow = ({ flowId }: { flowId: string }): string => partitionOfExecution(flowId);

export const describeFlow = query({
  name: 'describeFlow',
  args: z.strictObject({ flowId: field.flowId }),
  rejects: [],
  partition: partitionOfFlow,
  /** Undefined when there is no such flow. */
  read(view, { flowId }) {
    const flow = view.flows.get(uuidOfExecution(flowId));
    return accept<FlowSnapshot | undefined>(flow && snapshotOf(view, flowId, flow));
  },
});

/** An edge as callers see it. */
export interface EdgeSnapshot {
  readonly edgeId: string;
  readonly flowId: string;
  readonly upstreamExecutionId: string;
  readonly downstreamExecutionId: string;
  readonly dependencyKind: 'success_only';
  /** A constant of the contract; how many upstreams suffice is the policy of the group. */
  readonly satisfactionCondition: 'all_required';
  readonly dataPassingRef: string | undefined;
  readonly edgeState: EdgeState;
  /** 0: a dependency from outside; from 1: the number of the group of spawned children. */
  readonly round: number;
  readonly createdAt: number;
  /** A constant of the contract. */
  readonly createdBy: 'engine';
  readonly resolvedAt: number | undefined;
  /**
   * It was resolved after its group was decided, and did not take part in the decision. Never true for a success in an
   * impossible group, which counts if the downstream is replayed, and for an edge that was resolved after its parent
   * began a newer group of children: the handler of the parent decides the older ones.
   */
  readonly late: boolean;
  /**
   * The number of the child's last recorded end among those of all children of the parent, from 1; absent before it
   * ended, and if it is not of a child.
   */
  readonly endOrder: number | undefined;
}

function edgeOf(view: View, edgeId: string, downstreamId: string): EdgeSnapshot | undefined {
  const downstream = view.executions.get(downstreamId);
  const edge = downstream?.dependencies?.[edgeId];
  if (downstream?.flow === undefined || edge === undefined) return undefined;
  return {
    edgeId,
    flowId: siblingId(downstreamId, downstream.flow),
    upstreamExecutionId: siblingId(downstreamId, edge.upstream),
    downstreamExecutionId: downstreamId,
    dependencyKind: 'success_only',
    satisfactionCondition: 'all_required',
    dataPassingRef: edge.dataPassingRef || undefined,
    edgeState: edge.edgeState,
    round: edge.edgeRound,
    createdAt: edge.stagedAt,
    createdBy: 'engine',
    resolvedAt: edge.resolvedAt,
    late: edge.isLate,
    endOrder: edge.endOrder || undefined,
  };
}

export const describeEdge = query({
  name: 'describeEdge',
  args: z.strictObject({ flowId: field.flowId, edgeId: field.plainUuid }),
  rejects: [],
  partition: partitionOfFlow,
  /** Undefined when the flow has no such edge. */
  read(view, { flowId, edgeId }) {
    const downstream = view.flows.downstreamOf(uuidOfExecution(flowId), edgeId);
    return accept<EdgeSnapshot | undefined>(downstream === undefined ? undefined : edgeOf(view, edgeId, downstream));
  },
});

/** A page of edges, by id. While a flow is purged, a page can have fewer rows, or none, and not be the last. */
export interface EdgePage {
  readonly edges: readonly EdgeSnapshot[];
  /**
   * Ids of the outgoing edges on the page that are unreadable, because the execution to which they lead is damaged. An
   * unreadable incoming edge is damage of the execution itself: the call answers `corruption`.
   */
  readonly damaged: readonly string[];
  /** The `cursor` of the next page; absent on the last page. */
  readonly nextCursor: string | undefined;
}

const rowLimit = field.integer(1, LIMITS.maxListPage).default(100);

export const listEdges = query({
  name: 'listEdges',
  args: z.strictObject({
    executionId: field.executionId,
    /** Outgoing or incoming edges of the execution. */
    direction: z.enum(['outgoing', 'incoming']),
    cursor: field.plainUuid.optional(),
    limit: rowLimit,
  }),
  rejects: [],
  partition: ({ executionId }) => partitionOfExecution(executionId),
  read(view, { executionId, direction, cursor = '', limit }) {
    const found: readonly Outgoing[] =
      direction === 'outgoing'
        ? view.flows.outgoing(executionId, cursor, limit + 1)
        : Object.keys(view.executions.get(executionId)?.dependencies ?? {})
            .filter((edgeId) => edgeId > cursor)
            .sort()
            .slice(0, limit + 1)
            .map((edgeId) => ({ edgeId, downstream: executionId }));
    const page = found.slice(0, limit);
    const [edges, damaged] = [[] as EdgeSnapshot[], [] as string[]];
    for (const { edgeId, downstream } of page.filter(({ isGone }) => isGone !== true)) {
      const edge = edgeOf(view, edgeId, downstream);
      if (edge === undefined) damaged.push(edgeId);
      else edges.push(edge);
    }
    return accept<EdgePage>({
      edges,
      damaged,
      nextCursor: found.length > limit || page.at(-1)?.isGone === true ? page.at(-1)?.edgeId : undefined,
    });
  },
});

export interface FlowPage {
  readonly flows: readonly FlowSnapshot[];
  /** Ids of the flows on the page whose records are unreadable, whatever state the call asks for. */
  readonly damaged: readonly string[];
  /** The `cursor` of the next page; absent on the last page. */
  readonly nextCursor: string | undefined;
}

export const listFlows = query({
  name: 'listFlows',
  args: z.strictObject({
    partition: field.partitionKey,
    /** Lists flows after this one. */
    cursor: field.flowId.optional(),
    limit: field.integer(0, LIMITS.maxListPage).default(100),
    /** Only flows in this state. A page can then have fewer rows, or none, and not be the last. */
    status: z.enum(PUBLIC_FLOW_STATES).optional(),
  }),
  rejects: [],
  partition: ({ partition }) => partition,
  read(view, { partition, cursor, limit, status }) {
    const after = cursor === undefined ? undefined : uuidOfExecution(cursor);
    const ids = view.flows.ids(after, limit + 1);
    const idOf = (flow: string): string => executionIdOf(partitionIndexOf(partition), flow);
    const [rows, damaged] = [[] as FlowSnapshot[], [] as string[]];
    for (const id of ids.slice(0, limit)) {
      const flow = view.flows.get(id);
      if (flow === undefined) damaged.push(idOf(id));
      else rows.push(snapshotOf(view, idOf(id), flow));
    }
    const last = ids[limit - 1];
    return accept<FlowPage>({
      flows: status === undefined ? rows : rows.filter(({ publicFlowState }) => publicFlowState === status),
      damaged,
      nextCursor: ids.length > limit && last !== undefined ? idOf(last) : undefined,
    });
  },
});

export interface FlowMember {
  readonly executionId: string;
  /** Its position in the order of joining. */
  readonly rank: number;
  readonly laneId: string;
  readonly executionKind: string;
  readonly publicState: PublicState;
  /** Only for cancelled members. */
  readonly cancellationReason: string | undefined;
  /** Absent when it has no dependencies. */
  readonly group: EdgeGroupSnapshot | undefined;
}

export interface MemberPage {
  readonly members: readonly FlowMember[];
  /** Ids of the members on the page whose records are unreadable; a call that names one answers `corruption`. */
  readonly damaged: readonly string[];
  /** The `cursor` of the next page; absent on the last page. */
  readonly nextCursor: number | undefined;
}

export const listFlowMembers = query({
  name: 'listFlowMembers',
  args: z.strictObject({
    flowId: field.flowId,
    /** Lists members from this rank on. */
    cursor: field.count.default(0),
    limit: rowLimit,
  }),
  rejects: [],
  partition: partitionOfFlow,
  read(view, { flowId, cursor, limit }) {
    const found = view.flows.places(uuidOfExecution(flowId), cursor, limit + 1);
    const [members, damaged] = [[] as FlowMember[], [] as string[]];
    for (const { executionId } of found.slice(0, limit)) {
      const member = view.executions.get(executionId);
      if (member === undefined) damaged.push(executionId);
      else members.push(memberOf(member));
    }
    return accept<MemberPage>({ members, damaged, nextCursor: found[limit]?.rank });
  },
});

const memberOf = (it: ReadonlyExecution): FlowMember => ({
  executionId: it.executionId,
  rank: it.rank,
  laneId: it.laneId,
  executionKind: it.executionKind,
  publicState: stateVector(it).publicState,
  cancellationReason: it.cancelledBy === undefined ? undefined : it.cancellationReason,
  group: groupSnapshotOf(it),
});

export const resolveExecutionFlowId = query({
  name: 'resolveExecutionFlowId',
  args: z.strictObject({ executionId: field.executionId }),
  rejects: [],
  partition: ({ executionId }) => partitionOfExecution(executionId),
  /** Undefined when the execution is in no flow, or does not exist. */
  read(view, { executionId }) {
    const flow = view.executions.get(executionId)?.flow;
    return accept<string | undefined>(flow === undefined ? undefined : siblingId(executionId, flow));
  },
});

/** Whether the dependencies of an execution let it run. The step that makes them impossible also skips it. */
export type FlowEligibility =
  | 'not_found'
  | 'not_runnable'
  | 'owned'
  | 'terminal'
  | 'eligible'
  | 'blocked_by_dependencies';

export const evaluateFlowEligibility = query({
  name: 'evaluateFlowEligibility',
  args: z.strictObject({ executionId: field.executionId }),
  rejects: [],
  partition: ({ executionId }) => partitionOfExecution(executionId),
  read(view, { executionId }) {
    const execution = view.executions.get(executionId);
    return accept<FlowEligibility>(execution === undefined ? 'not_found' : eligibilityOf(execution));
  },
});

function eligibilityOf(execution: ReadonlyExecution): FlowEligibility {
  const { situation } = execution;
  if (isTerminal(situation)) return 'terminal';
  if (!isRunnable(situation)) return situation === 'suspended' ? 'not_runnable' : 'owned';
  return situation === 'blocked_dependencies' ? 'blocked_by_dependencies' : 'eligible';
}
