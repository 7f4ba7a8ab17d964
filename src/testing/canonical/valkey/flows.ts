/** Indexes of flows on a server: their correct content follows from the records. */
import { COUNTED_FLOW } from '../../../../lua/layout.js';
import { present } from '../../../../model/core/present.js';
import { keysOf } from '../../../../model/core/tables.js';
import type { ReadonlyExecution } from '../../../../model/execution/facts.js';
import { memberOf } from '../../../../model/ids.js';
import type { Flow } from '../../../../model/flow/facts.js';
import { countSituations } from '../../../../model/flow/view.js';
import { shortIdOf } from '../../../../model/short-id.js';
import type { Tally } from '../../../../model/schedule/counts.js';

/** The indexes of flows, by their names without the prefix. */
export class FlowIndexes {
  flows: readonly string[] = [];
  /** Flow -> rank and member. */
  readonly members = new Map<string, readonly [member: string, rank: number][]>();
  /** Flow -> edge and downstream. */
  readonly edges = new Map<string, Readonly<Record<string, string>>>();
  /** Upstream -> edge and downstream as one text. */
  private readonly leading = new Map<string, readonly string[]>();

  /** Further entries of what leads out of an execution: it has one alone, or a set of several. */
  lead(upstream: string, entries: readonly string[]): void {
    this.leading.set(upstream, [...(this.leading.get(upstream) ?? []), ...entries]);
  }

  /** Entries that do not follow from the records. Entries for purged executions are ignored. */
  strays(executions: readonly ReadonlyExecution[], flows: readonly Flow[], tallies: Map<string, Tally>): string[] {
    const said = {
      flows: this.flows,
      members: sorted([...this.members].flatMap(([flow, rows]) => rows.map(([id, rank]) => `${flow} ${rank} ${id}`))),
      edges: [] as string[],
      leading: [] as string[],
      tallies: [] as string[],
    };
    const known = new Set(executions.map(({ executionId }) => memberOf(executionId)));
    for (const [flow, edges] of this.edges) {
      for (const [edge, to] of Object.entries(edges)) if (known.has(to)) said.edges.push(`${flow} ${edge} ${to}`);
    }
    for (const [from, edges] of this.leading) {
      if (!known.has(from)) said.leading.push(`nobody: ${from}`);
      for (const edge of edges) if (known.has(edge.slice(SHORT))) said.leading.push(`${from} ${edge}`);
    }
    for (const [lane, { situations }] of tallies) {
      if (!lane.startsWith(COUNTED_FLOW)) continue;
      tallies.delete(lane);
      said.tallies.push(tallyText(lane.slice(COUNTED_FLOW.length), situations));
    }
    const inFlows = executions.filter(({ flow }) => flow !== undefined);
    const edges = inFlows.flatMap(({ executionId, flow, dependencies = {} }) =>
      Object.entries(dependencies).map(([edgeId, { upstream }]) => ({
        flow: shortIdOf(present(flow)),
        edge: shortIdOf(edgeId),
        upstream: shortIdOf(upstream),
        downstream: memberOf(executionId),
      })),
    );
    const due = {
      flows: sorted(flows.map(({ flow }) => shortIdOf(flow))),
      members: inFlows.map(
        ({ executionId, flow, rank }) => `${shortIdOf(present(flow))} ${rank} ${memberOf(executionId)}`,
      ),
      edges: edges.map(({ flow, edge, downstream }) => `${flow} ${edge} ${downstream}`),
      leading: edges
        .filter(({ upstream }) => known.has(upstream))
        .map(({ edge, upstream, downstream }) => `${upstream} ${edge}${downstream}`),
      tallies: flows.map(({ flow }) =>
        tallyText(shortIdOf(flow), countSituations(inFlows.filter((execution) => execution.flow === flow))),
      ),
    };
    return keysOf(due).flatMap((name) => {
      const [a, b] = [sorted(said[name]), sorted(due[name])].map((list) => list.filter((text) => text !== ''));
      return JSON.stringify(a) === JSON.stringify(b)
        ? []
        : [`${name} of flows: ${JSON.stringify(a)} instead of ${JSON.stringify(b)}`];
    });
  }
}

const SHORT = 22;
const sorted = (texts: readonly string[]): string[] => [...texts].sort();

function tallyText(flow: string, situations: ReadonlyMap<string, number>): string {
  const counts = [...situations].filter(([, count]) => count !== 0).sort();
  return counts.length === 0 ? '' : `${flow} ${JSON.stringify(counts)}`;
}
