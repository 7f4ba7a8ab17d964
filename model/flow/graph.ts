/** A part of a graph in one call: members, the edges to them, and their group policies. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { present } from '../core/present.js';
import { wireFormOf, withWireForm, type WireForm } from '../core/wire-form.js';
import { executionPolicy } from '../execution/policy.js';
import { memberOf, partitionOfExecution, uuidOfExecution } from '../ids.js';
import { LIMITS } from '../limits.js';
import { GROUP_POLICIES, ON_SATISFIED } from './facts.js';
import { stagedEdges, type StagedEdge } from './staged-edges.js';

const NO_PAYLOAD = new Uint8Array(0);

const onSatisfied = z.enum(['cancel_remaining', 'let_run']).default('cancel_remaining');

/** How many successes of its upstreams an execution needs, and the treatment of the others (spec 08 section 5). */
export const groupPolicy = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('all_of') }),
  z.strictObject({ kind: z.literal('any_of'), onSatisfied }),
  z.strictObject({ kind: z.literal('quorum'), k: field.integer(1, LIMITS.maxGroupEdges), onSatisfied }),
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
    Object.keys(letters)[0] === word ? '' : present(letters[word]);
  // The letter of the policy is always written, as in events.
  return [
    GROUP_POLICIES[facts.groupPolicy],
    letter(ON_SATISFIED, facts.onSatisfied),
    facts.quorumK === 0 ? '' : String(facts.quorumK),
  ].join('\t');
}

export const member = z.strictObject({
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

const edge = z.strictObject({
  edgeId: field.uuid,
  upstreamExecutionId: field.executionId,
  downstreamExecutionId: field.executionId,
  dataPassingRef: dataPassingRef.optional(),
});
export type EdgeArgs = z.output<typeof edge>;

const group = z.strictObject({ downstreamExecutionId: field.executionId, policy: groupPolicy });

const shape = z.strictObject({
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

const POLICY_FORM = present(wireFormOf(executionPolicy));

/** The texts that similar members share: those of a creation. */
function sharedTextsOf(row: MemberArgs): readonly string[] {
  return [
    `${row.laneId}\t${row.executionKind}`,
    joined(digits(row.priority), row.payloadEncoding ?? '', digits(row.executionDeadlineAt), digits(row.delayUntil)),
    ...(POLICY_FORM.encode(row.policy) as string[]),
    Object.keys(row.tags).length === 0 ? '' : JSON.stringify(row.tags),
  ];
}

type NameOf = Parameters<WireForm['encode']>[1];

/** The id of a member and its input; or its id and the name of its input, separated by a tab, and the length. */
function textsOfInput(row: MemberArgs, nameOf: NameOf): readonly (string | Uint8Array)[] {
  const name = nameOf?.(row);
  const id = memberOf(row.executionId);
  return name === undefined ? [id, row.inputPayload] : [`${id}\t${name}`, String(row.inputPayload.byteLength)];
}

/**
 * The texts of members. They come in runs of members that differ in nothing but their ids and inputs: the length of the
 * run, what its members share, then the id, the input and the further texts of each.
 */
export function textsOfMembers<Row extends MemberArgs>(
  rows: readonly Row[],
  nameOf: NameOf,
  furtherOf: (row: Row) => readonly string[] = () => [],
): (string | Uint8Array)[] {
  const runs: { readonly shared: readonly string[]; readonly name: string; readonly rows: Row[] }[] = [];
  for (const row of rows) {
    const shared = sharedTextsOf(row);
    const name = shared.join('\n');
    const last = runs.at(-1);
    if (last?.name === name) last.rows.push(row);
    else runs.push({ shared, name, rows: [row] });
  }
  return runs.flatMap((run) => [
    String(run.rows.length),
    ...run.shared,
    ...run.rows.flatMap((row) => [...textsOfInput(row, nameOf), ...furtherOf(row)]),
  ]);
}

/** The edges to each member to which some lead, in the order of the members. */
export function edgesByDownstream({
  members,
  edges,
}: Pick<Graph, 'members' | 'edges'>): ReadonlyMap<string, readonly EdgeArgs[]> {
  const all = new Map<string, EdgeArgs[]>(members.map(({ executionId }) => [executionId, []]));
  for (const edge of edges) all.get(edge.downstreamExecutionId)?.push(edge);
  return new Map([...all].filter(([, own]) => own.length > 0));
}

/** An edge in the form of events. */
export const stagedEdgeOf = ({
  edgeId,
  upstreamExecutionId,
  dataPassingRef: ref = '',
}: Pick<EdgeArgs, 'edgeId' | 'upstreamExecutionId' | 'dataPassingRef'>): StagedEdge => ({
  edgeId,
  upstream: uuidOfExecution(upstreamExecutionId),
  dataPassingRef: ref,
});

/**
 * The wire form of a graph: the number of members, their texts, and for each member to which edges lead its id with its
 * policy, if it has one, and the text of the edges.
 */
export const graph = withWireForm(
  shape
    .superRefine((value, context) => {
      const fault = faultOf(value);
      if (fault !== undefined) context.addIssue({ code: 'custom', path: fault[0], message: fault[1] });
    })
    .default(EMPTY),
  {
    texts: ['...'],
    encode(value, nameOf) {
      const { members, edges, groups } = value as Graph;
      const policies = new Map(groups.map(({ downstreamExecutionId, policy }) => [downstreamExecutionId, policy]));
      return [
        String(members.length),
        ...textsOfMembers(members, nameOf),
        ...[...edgesByDownstream({ members, edges })].flatMap(([downstream, own]) => {
          const policy = policies.get(downstream);
          return [
            policy === undefined ? memberOf(downstream) : `${memberOf(downstream)}\t${policyTexts(policy)}`,
            stagedEdges.encode(own.map(stagedEdgeOf)),
          ];
        }),
      ];
    },
  },
);
