/** Edges and members of flows in memory, updated with every event, so that no read scans all executions. */
import { present } from '../../model/core/present.js';
import type { Event } from '../../model/events.js';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import type { Situation } from '../../model/execution/situation.js';
import { siblingId, type FlowView, type Outgoing } from '../../model/flow/view.js';
import { compareBytes } from '../../model/ids.js';
import type { PartitionState } from '../../model/state.js';

/** Members of a flow by rank, with gaps for purged ones. */
interface Members {
  readonly byRank: (ReadonlyExecution | undefined)[];
  readonly tally: Map<Situation, number>;
  /** The downstream execution of each edge, by edge id. */
  readonly edges: Map<string, string>;
}

const NO_TALLY: ReadonlyMap<Situation, number> = new Map();

export class FlowIndex {
  private readonly flows = new Map<string, Members>();
  /** Outgoing edges by upstream, ascending by edge id. */
  private readonly leading = new Map<string, Outgoing[]>();
  private situation: Situation | undefined;
  private flow: string | undefined;

  /** Records an execution before an event; undefined if it does not exist yet. */
  before(execution: ReadonlyExecution | undefined): void {
    this.situation = execution?.situation;
    this.flow = execution?.flow;
  }

  /** Updates the index for the execution after the event. @param removed whether the event removed it */
  after(execution: ReadonlyExecution, removed: boolean, event?: Event): void {
    if (execution.flow === undefined) return;
    const members = this.of(execution.flow);
    const before = this.flow === undefined ? undefined : this.situation;
    const after = removed ? undefined : execution.situation;
    if (before !== after) {
      if (before !== undefined) count(members.tally, before, -1);
      if (after !== undefined) count(members.tally, after, 1);
    }
    members.byRank[execution.rank] = removed ? undefined : execution;
    if (removed) this.forget(execution, members);
    else if (event?.type === 'dependencies_staged')
      for (const { edgeId, upstream } of event.edges) this.lead(execution, members, edgeId, upstream);
  }

  /** Adds the edges of a stored execution. */
  restore(execution: ReadonlyExecution): void {
    if (execution.flow === undefined) return;
    for (const [edgeId, { upstream }] of Object.entries(execution.dependencies ?? {}))
      this.lead(execution, this.of(execution.flow), edgeId, upstream);
  }

  /** Drops a removed flow. */
  drop(flow: string): void {
    this.flows.delete(flow);
  }

  view({ tables }: PartitionState): FlowView {
    return {
      get: (flow) => tables.flow.get(flow),
      walk: (walkId) => tables.walk.get(walkId),
      ids: (after, limit) =>
        [...tables.flow.keys()]
          .filter((id) => after === undefined || compareBytes(id, after) > 0)
          .sort(compareBytes)
          .slice(0, limit),
      members: (flow, from, limit, backwards) => this.members(flow, from, limit, backwards),
      places: (flow, from, limit) => this.members(flow, from, limit, false),
      tally: (flow) => this.flows.get(flow)?.tally ?? NO_TALLY,
      outgoing: (executionId, after, limit) => this.outgoing(executionId, after, limit),
      downstreamOf: (flow, edgeId) => this.flows.get(flow)?.edges.get(edgeId),
    };
  }

  private members(flow: string, from: number, limit: number, backwards: boolean): readonly ReadonlyExecution[] {
    const byRank = this.flows.get(flow)?.byRank ?? [];
    const found: ReadonlyExecution[] = [];
    const step = backwards ? -1 : 1;
    let rank = backwards ? Math.min(from, byRank.length) - 1 : from;
    for (; found.length < limit && rank >= 0 && rank < byRank.length; rank += step) {
      const member = byRank[rank];
      if (member !== undefined) found.push(member);
    }
    return found;
  }

  private outgoing(executionId: string, after: string, limit: number): readonly Outgoing[] {
    const edges = this.leading.get(executionId) ?? [];
    const from = placeBehind(edges, after);
    return edges.slice(from, from + limit);
  }

  private lead({ executionId }: ReadonlyExecution, { edges }: Members, edgeId: string, upstream: string): void {
    edges.set(edgeId, executionId);
    const from = siblingId(executionId, upstream);
    const leading = this.leading.get(from) ?? [];
    this.leading.set(from, leading);
    leading.splice(placeBehind(leading, edgeId), 0, { edgeId, downstream: executionId });
  }

  private forget({ executionId, dependencies = {} }: ReadonlyExecution, members: Members): void {
    this.leading.delete(executionId);
    for (const [edgeId, { upstream }] of Object.entries(dependencies)) {
      members.edges.delete(edgeId);
      const leading = this.leading.get(siblingId(executionId, upstream)) ?? [];
      const at = placeBehind(leading, edgeId) - 1;
      if (leading[at]?.edgeId === edgeId) leading.splice(at, 1);
    }
  }

  private of(flow: string): Members {
    let members = this.flows.get(flow);
    if (members === undefined) this.flows.set(flow, (members = { byRank: [], tally: new Map(), edges: new Map() }));
    return members;
  }
}

/** Index of the first edge with a greater id. */
function placeBehind(edges: readonly Outgoing[], edgeId: string): number {
  let [low, high] = [0, edges.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareBytes(present(edges[middle]).edgeId, edgeId) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function count(tally: Map<Situation, number>, situation: Situation, change: 1 | -1): void {
  const counted = (tally.get(situation) ?? 0) + change;
  if (counted === 0) tally.delete(situation);
  else tally.set(situation, counted);
}
