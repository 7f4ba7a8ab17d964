/** A part of a graph in one call: members, the edges to them, and their group policies. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { wireFormOf, withWireForm, type WireForm } from '../core/wire-form.js';
import { executionPolicy } from '../execution/policy.js';
import { memberOf, partitionOfExecution } from '../ids.js';
import { LIMITS } from '../limits.js';
import { shortIdOf } from '../short-id.js';
import { GROUP_POLICIES, ON_SATISFIED } from './facts.js';

const NO_PAYLOAD = new Uint8Array(0);

const onSatisfied = z.enum(['cancel_remaining', 'let_run']).default('cancel_remaining');

/** How many successes of its upstreams an execution needs, and the treatment of the others (spec 08 section 5). */
export const groupPolicy = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('all_of') }),
  z.object({ kind: z.literal('any_of'), onSatisfied }),
  z.object({ kind: z.literal('quorum'), k: field.integer(1, LIMITS.maxGroupEdges), onSatisfied }),
]);
export type GroupPolicyArgs = z.output<typeof groupPolicy>;

/** A policy in the form of events and facts. */
export function policyFacts(policy: GroupPolicyArgs) {
  return {
    groupPolicy: policy.kind,
    onSatisfied: policy.kind === 'all_of' ? ('none' as const) : policy.onSatisfied,
    quorumK: policy.kind === 'quorum' ? policy.k : 0,
  };
}

/** The texts of a policy in a call: its letters, and k. */
export function policyTexts(policy: GroupPolicyArgs): string {
  const facts = policyFacts(policy);
  const letter = (letters: Readonly<Record<string, string>>, word: string): string =>
    Object.keys(letters)[0] === word ? '' : (letters[word] as string);
  // The letter of the policy is always written, as in events.
  return [
    GROUP_POLICIES[facts.groupPolicy],
    letter(ON_SATISFIED, facts.onSatisfied),
    facts.quorumK === 0 ? '' : String(facts.quorumK),
  ].join('\t');
}

export const member = z.object({
  executionId: field.executionId,
  laneId: field.laneId,
  executionKind: field.executionKind,
  inputPayload: field.bytes.default(NO_PAYLOAD),
  payloadEncoding: field.encoding.optional(),
  /** Clamped into 0..9000. Default: the priority of the policy. */
  priority: field.priority.optional(),
  /** A time in the past means now. */
  delayUntil: field.timestampMs.optional(),
  /** Absolute; may be in the past. */
  executionDeadlineAt: field.timestampMs.optional(),
  tags: field.tags.default({}),
  policy: executionPolicy.optional(),
});
export type MemberArgs = z.output<typeof member>;

/** A label for the data that an upstream passes to its downstream. */
export const dataPassingRef = field.label(LIMITS.maxDataPassingRefBytes);

const edge = z.object({
  edgeId: field.uuid,
  upstreamExecutionId: field.executionId,
  downstreamExecutionId: field.executionId,
  dataPassingRef: dataPassingRef.optional(),
});
export type EdgeArgs = z.output<typeof edge>;

const group = z.object({ downstreamExecutionId: field.executionId, policy: groupPolicy });

const shape = z.object({
  /** In topological order: an edge leads to a later member. */
  members: z.array(member).max(LIMITS.maxMembersPerCall).default([]),
  /** Each edge leads to one of these members, from an earlier one or from an existing member of the flow. */
  edges: z.array(edge).max(LIMITS.maxEdgesPerCall).default([]),
  /** Policies of members in this call that do not need all of their upstreams. */
  groups: z.array(group).max(LIMITS.maxMembersPerCall).default([]),
});
export type Graph = z.output<typeof shape>;

/** The first fault of a graph that does not depend on the flow: its path and a message. */
function faultOf({ members, edges, groups }: Graph): readonly [path: (string | number)[], message: string] | undefined {
  const places = new Map(members.map(({ executionId }, place) => [executionId, place]));
  if (places.size < members.length) return [['members'], 'must not name an execution twice'];
  const [first] = members;
  const partition = first === undefined ? undefined : partitionOfExecution(first.executionId);
  for (const [at, { executionId }] of members.entries()) {
    if (partitionOfExecution(executionId) !== partition) return [['members', at], 'must be in one partition'];
  }
  const counts = new Map<string, number>();
  const ids = new Set<string>();
  for (const [at, { edgeId, upstreamExecutionId, downstreamExecutionId }] of edges.entries()) {
    const place = places.get(downstreamExecutionId);
    if (place === undefined) return [['edges', at], 'must lead to a member of this call'];
    if ((places.get(upstreamExecutionId) ?? -1) >= place) return [['edges', at], 'must come from an earlier member'];
    if (partitionOfExecution(upstreamExecutionId) !== partition) return [['edges', at], 'must be in one partition'];
    if (ids.size === ids.add(edgeId).size) return [['edges', at], 'must not have the id of another edge'];
    counts.set(downstreamExecutionId, (counts.get(downstreamExecutionId) ?? 0) + 1);
  }
  const grouped = new Set<string>();
  for (const [at, { downstreamExecutionId, policy }] of groups.entries()) {
    const count = counts.get(downstreamExecutionId) ?? 0;
    if (count === 0) return [['groups', at], 'must be of a member of this call to which edges lead'];
    if (policy.kind === 'quorum' && policy.k > count) return [['groups', at], 'needs more upstreams than there are'];
    if (grouped.size === grouped.add(downstreamExecutionId).size) return [['groups', at], 'must come once'];
  }
  return undefined;
}

const EMPTY: Graph = { members: [], edges: [], groups: [] };

const digits = (value: number | undefined): string => (value === undefined ? '' : String(value));
const joined = (...texts: readonly string[]): string => (texts.every((text) => text === '') ? '' : texts.join('\t'));

const POLICY_FORM = wireFormOf(executionPolicy) as WireForm;

/** The texts of a member: those of a creation without the texts that all members share. */
export function textsOfMember(row: MemberArgs): (string | Uint8Array)[] {
  const { tags, inputPayload } = row;
  return [
    memberOf(row.executionId),
    `${row.laneId}\t${row.executionKind}`,
    joined(digits(row.priority), row.payloadEncoding ?? '', digits(row.executionDeadlineAt), digits(row.delayUntil)),
    ...POLICY_FORM.encode(row.policy),
    Object.keys(tags).length === 0 ? '' : JSON.stringify(tags),
    inputPayload,
  ];
}

const textOfEdge = ({ edgeId, upstreamExecutionId, downstreamExecutionId, dataPassingRef = '' }: EdgeArgs): string =>
  [shortIdOf(edgeId), memberOf(upstreamExecutionId), memberOf(downstreamExecutionId), dataPassingRef].join('\t');

/** The wire form of a graph: the numbers of members, edges and groups, then their texts. */
export const graph = withWireForm(
  shape
    .superRefine((value, context) => {
      const fault = faultOf(value);
      if (fault !== undefined) context.addIssue({ code: 'custom', path: fault[0], message: fault[1] });
    })
    .default(EMPTY),
  {
    texts: ['...'],
    encode(value) {
      const { members, edges, groups } = value as Graph;
      return [
        String(members.length),
        String(edges.length),
        ...members.flatMap(textsOfMember),
        ...edges.map(textOfEdge),
        ...groups.map(
          ({ downstreamExecutionId, policy }) => `${memberOf(downstreamExecutionId)}\t${policyTexts(policy)}`,
        ),
      ];
    },
  },
);
