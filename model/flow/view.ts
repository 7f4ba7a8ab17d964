/** The view of flows for decisions and reads, and its definition. */
import { compareBytes, executionIdOf, partitionIndexOf, uuidOfExecution } from '../ids.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { isTerminal, type Situation } from '../execution/situation.js';
import type { Partition } from '../state.js';
import type { ReadonlyFlow, Walk } from './facts.js';

/** An edge as seen from its upstream. */
export interface Outgoing {
  readonly edgeId: string;
  readonly downstream: string;
  /** Its downstream was purged: the edge only tells where the list continues. */
  readonly isGone?: true;
}

/** A member and its position in the order of joining. */
export type MemberPlace = Pick<ReadonlyExecution, 'executionId' | 'rank'>;

export interface FlowView {
  /** By UUID. */
  get(flow: string): ReadonlyFlow | undefined;
  walk(walkId: string): Readonly<Walk> | undefined;
  /** UUIDs of flows after one, ascending; at most `limit`. */
  ids(after: string | undefined, limit: number): readonly string[];
  /** Members in the order of joining, from a rank on, at most `limit`; `backwards`: those before the rank. */
  members(flow: string, from: number, limit: number, backwards: boolean): readonly ReadonlyExecution[];
  /** Places of members from a rank on, at most `limit`, also of those whose records are unreadable. */
  places(flow: string, from: number, limit: number): readonly MemberPlace[];
  /** Number of members in each situation; purged members are not counted. */
  tally(flow: string): ReadonlyMap<Situation, number>;
  /** Outgoing edges of an execution after an edge, ordered by id; at most `limit`. */
  outgoing(executionId: string, after: string, limit: number): readonly Outgoing[];
  /** The downstream of an edge; both by UUID. */
  downstreamOf(flow: string, edgeId: string): string | undefined;
}

/** The id of an execution in the partition of another one. */
export const siblingId = (executionId: string, uuid: string): string =>
  executionIdOf(partitionIndexOf(executionId), uuid);

/** Number of members that have not ended. */
export function liveCountOf(tally: ReadonlyMap<Situation, number>): number {
  let live = 0;
  for (const [situation, count] of tally) if (!isTerminal(situation)) live += count;
  return live;
}

/** Number of executions in each situation. */
export function countSituations(executions: readonly ReadonlyExecution[]): Map<Situation, number> {
  const tally = new Map<Situation, number>();
  for (const { situation } of executions) tally.set(situation, (tally.get(situation) ?? 0) + 1);
  return tally;
}

/** The view by definition: every list is a filter and a sort. */
export function flowsByDefinition({ state: { tables } }: Partition): FlowView {
  const all = (): ReadonlyExecution[] => [...tables.execution.values()];
  const membersOf = (flow: string): ReadonlyExecution[] =>
    all()
      .filter((execution) => execution.flow === flow)
      .sort((a, b) => a.rank - b.rank);
  return {
    get: (flow) => tables.flow.get(flow),
    walk: (walkId) => tables.walk.get(walkId),
    ids: (after, limit) =>
      [...tables.flow.keys()]
        .filter((id) => after === undefined || compareBytes(id, after) > 0)
        .sort(compareBytes)
        .slice(0, limit),
    members: (flow, from, limit, backwards) =>
      backwards
        ? membersOf(flow)
            .filter(({ rank }) => rank < from)
            .reverse()
            .slice(0, limit)
        : membersOf(flow)
            .filter(({ rank }) => rank >= from)
            .slice(0, limit),
    places: (flow, from, limit) =>
      membersOf(flow)
        .filter(({ rank }) => rank >= from)
        .slice(0, limit),
    tally: (flow) => countSituations(membersOf(flow)),
    outgoing(executionId, after, limit) {
      const uuid = uuidOfExecution(executionId);
      return all()
        .flatMap(({ executionId: downstream, dependencies = {} }) =>
          Object.entries(dependencies)
            .filter(([, { upstream }]) => upstream === uuid)
            .map(([edgeId]) => ({ edgeId, downstream })),
        )
        .filter(({ edgeId }) => compareBytes(edgeId, after) > 0)
        .sort((a, b) => compareBytes(a.edgeId, b.edgeId))
        .slice(0, limit);
    },
    downstreamOf: (flow, edgeId) =>
      all().find((execution) => execution.flow === flow && execution.dependencies?.[edgeId] !== undefined)?.executionId,
  };
}
