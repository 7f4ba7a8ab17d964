/** What actions on flows choose: a flow, its members, and the graph of a new one. */
import fc from 'fast-check';
import { LIMITS } from '../../model/limits.js';
import type { ReadonlyFlow } from '../../model/flow/facts.js';
import type { Command } from '../../model/machine.js';
import { KINDS, LANES, pick, seldom, type Pick } from './choices.js';
import { bytesOf, choose, chosenId, type World } from './world.js';

/** The n-th existing flow, or an unknown one. */
export type FlowPick = number | null;

export const flowPick: fc.Arbitrary<FlowPick> = fc.oneof(
  { weight: 14, arbitrary: fc.nat(3) },
  { weight: 1, arbitrary: fc.constant(null) },
);

export function flowOf(world: World, choice: FlowPick): ReadonlyFlow | undefined {
  const flows = [...world.tables.flow.values()];
  return choice === null || flows.length === 0 ? undefined : flows[choice % flows.length];
}

export const flowIdOf = (world: World, choice: FlowPick): string =>
  `${world.partition}:${flowOf(world, choice)?.flow ?? '00000000-0000-4000-b000-000000000000'}`;

export const POLICIES = [
  { kind: 'all_of' },
  { kind: 'any_of', onSatisfied: 'cancel_remaining' },
  { kind: 'any_of', onSatisfied: 'let_run' },
  { kind: 'quorum', k: 2, onSatisfied: 'cancel_remaining' },
  { kind: 'quorum', k: 2, onSatisfied: 'let_run' },
  { kind: 'quorum', k: 5, onSatisfied: 'cancel_remaining' },
  { kind: 'quorum', k: 5, onSatisfied: 'let_run' },
] as const;
export const policy = fc.nat(POLICIES.length - 1);

export interface Row {
  readonly lane: number;
  readonly kind: number;
  /** Which earlier members lead to it. */
  readonly from: readonly number[];
  readonly policy: number | null;
  readonly bytes: number;
  readonly delayMs: number | null;
  readonly deadlineMs: number | null;
  /** A retention of its own; absent in stories from before flows followed it. */
  readonly retentionMs?: number | null;
}

export const retentionMs = fc.constantFrom(0, 60_000, 600_000, -1, 90_000_000);

export const row: fc.Arbitrary<Row> = fc.record({
  lane: fc.constantFrom(0, 0, 1),
  kind: fc.constantFrom(0, 0, 0, 1),
  from: fc.uniqueArray(fc.nat(5), { maxLength: 3 }),
  policy: fc.option(policy),
  bytes: fc.oneof(
    { weight: 30, arbitrary: fc.constantFrom(0, 0, 1, 70) },
    // Stored before its call.
    { weight: 1, arbitrary: fc.constant(LIMITS.maxClaimedInputBytes + 1) },
  ),
  delayMs: seldom(fc.constantFrom(1, 500, 5_000), 6),
  deadlineMs: seldom(fc.constantFrom(800, 4_000), 10),
  retentionMs: seldom(retentionMs, 4),
});

/** Policies of members by their place: neighbours that are alike besides have different ones. */
const MEMBER_POLICIES = [
  undefined,
  { retryPolicy: { maxRetries: 1, backoff: { type: 'fixed' as const, delayMs: 50 } }, maxReclaimCount: 1 },
  undefined,
  undefined,
  { timeoutPolicy: { attemptTimeoutMs: 1_500 } },
];

const policyOf = (policy: (typeof MEMBER_POLICIES)[number], retentionMs: number | null | undefined) =>
  typeof retentionMs === 'number' ? { ...policy, streamPolicy: { retentionTtlMs: retentionMs } } : policy;

/** A graph of new members; edges lead from earlier ones, or from members of an existing flow. */
export function graphOf(world: World, rows: readonly Row[], others: readonly string[]) {
  const ids = rows.map(() => `${world.partition}:${world.uuid()}`);
  const edges = rows.flatMap(({ from }, at) =>
    from.flatMap((source) => {
      const before = [...others, ...ids.slice(0, at)];
      const upstream = before[before.length - 1 - (source % Math.max(1, before.length))];
      return upstream === undefined
        ? []
        : [{ edgeId: world.uuid(), upstreamExecutionId: upstream, downstreamExecutionId: ids[at] as string }];
    }),
  );
  const counts = new Map<string, number>();
  for (const { downstreamExecutionId: to } of edges) counts.set(to, (counts.get(to) ?? 0) + 1);
  return {
    members: rows.map(({ lane, kind, bytes, delayMs, deadlineMs }, at) => ({
      executionId: ids[at] as string,
      laneId: LANES[lane] as string,
      executionKind: KINDS[kind] as string,
      inputPayload: bytesOf(bytes),
      delayUntil: delayMs === null ? undefined : world.now + delayMs,
      executionDeadlineAt: deadlineMs === null ? undefined : world.now + deadlineMs,
      tags: (at % 3 === 2 ? { 'team.name': 'red' } : {}) as Record<string, string>,
      priority: at % 4 === 3 ? 5 : undefined,
      policy: policyOf(MEMBER_POLICIES[at % MEMBER_POLICIES.length], rows[at]?.retentionMs),
    })),
    edges: edges.map((edge, at) => (at % 3 === 1 ? { ...edge, dataPassingRef: 'result' } : edge)),
    groups: rows.flatMap(({ policy }, at) => {
      const wanted = policy === null ? undefined : POLICIES[policy];
      const count = counts.get(ids[at] as string) ?? 0;
      if (wanted === undefined || count === 0 || (wanted.kind === 'quorum' && wanted.k > count)) return [];
      return [{ downstreamExecutionId: ids[at] as string, policy: wanted }];
    }),
  };
}

/** A new flow with its graph. */
export const flowOfRows = (
  world: World,
  rows: readonly Row[],
  { building, closed }: { readonly building: true | null; readonly closed: true | null },
): Command => ({
  name: 'createFlow',
  args: {
    flowId: `${world.partition}:${world.uuid()}`,
    flowKind: 'graph',
    namespace: 'fuzz',
    building: building ?? false,
    closed: closed ?? false,
    graph: graphOf(world, rows, []),
  },
});

export const isMember = (world: World, id: string, flow: ReadonlyFlow | undefined): boolean =>
  flow !== undefined && world.tables.execution.get(id)?.flow === flow.flow;

/** A member of a flow, or any other execution. */
export function memberId(world: World, flow: ReadonlyFlow | undefined, choice: Pick): string {
  const members = world.executions.filter(({ executionId }) => isMember(world, executionId, flow));
  const found = members.length === 0 ? choose(world, choice) : members[choice.index % members.length];
  return choice.among === 'missing' ? chosenId(world, choice) : (found?.executionId ?? chosenId(world, choice));
}

export const anyMember = pick('any', 'any', 'any', 'any', 'any', 'any');
