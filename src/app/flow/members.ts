/** The rows of a flow that is to be created: members, edges and groups, made of its graph, in calls of bounded size. */
import { present } from '../../../model/core/present.js';
import { LIMITS } from '../../../model/limits.js';
import type { ArgsOf } from '../../../model/machine.js';
import { JSON_ENCODING } from '../../shared/codec.js';
import { InvalidInputError } from '../../shared/errors.js';
import { labelsOf, TEMPLATE_ENCODING } from '../../shared/template.js';
import { memberRow, type MemberPlace, type RequestedMember } from '../tasks/member-row.js';
import { metersOfRun } from '../metering/meters.js';
import { encodeInput, encodeTemplate, requestedRun } from '../runs/requested-run.js';
import { checkRunOptions } from '../tasks/task-checks.js';
import type { Graph, GraphNode } from './graph.js';
import type { FlowIds } from './ids.js';

type GraphArgs = NonNullable<ArgsOf<'createFlow'>['graph']>;
type Row<Name extends keyof GraphArgs> = NonNullable<GraphArgs[Name]>[number];

/** The rows that one call carries. */
export interface Part {
  readonly members: Row<'members'>[];
  readonly edges: Row<'edges'>[];
  readonly groups: Row<'groups'>[];
}

export interface PlacedFlow extends MemberPlace {
  readonly ids: FlowIds;
}

/** Most bytes of inputs that one call carries. */
const MAX_BYTES = 4 * 1024 * 1024;

/**
 * Most members in a call that creates a part of a flow; such a call occupies the server for a few milliseconds. A
 * creation that broke off is continued with the same parts, so a change of this number must handle parts of the old
 * size.
 */
const MAX_PART_MEMBERS = 48;

const emptyPart = (): Part => ({ members: [], edges: [], groups: [] });

/** The requested members, with checked and serialised inputs. @throws InvalidInputError, InvalidDefinitionError */
export async function requestedMembers({ nodes }: Graph): Promise<RequestedMember[]> {
  return Promise.all(
    nodes.map(async ({ task, template, options }) => {
      if (template.holes.length === 0) return requestedRun(task, template.value, options);
      checkRunOptions(task.name, options);
      // The worker applies the schema, when the results are in the input. The meters must be known now: their functions
      // get `null` in place of the results.
      const { bytes } = encodeTemplate(task.name, template);
      const meters = metersOfRun(task, template.value);
      return { task, options, meters, input: { bytes, encoding: TEMPLATE_ENCODING } };
    }),
  );
}

/**
 * The parts of a flow, in the order of their creation; a single part if one call can carry the flow. A member is in the
 * same part as its incoming edges.
 */
export function partsOf(graph: Graph, requested: readonly RequestedMember[], placed: PlacedFlow): Part[] {
  const whole = partsOfAtMost(LIMITS.maxMembersPerCall, graph, requested, placed);
  return whole.length === 1 ? whole : partsOfAtMost(MAX_PART_MEMBERS, graph, requested, placed);
}

function partsOfAtMost(
  maxMembers: number,
  graph: Graph,
  requested: readonly RequestedMember[],
  placed: PlacedFlow,
): Part[] {
  const parts: Part[] = [];
  let part = emptyPart();
  let bytes = 0;
  for (const [index, node] of graph.nodes.entries()) {
    const member = present(requested[index]);
    const size = member.input.bytes?.byteLength ?? 0;
    const isFull =
      part.members.length === maxMembers ||
      part.edges.length + node.upstreams.length > LIMITS.maxEdgesPerCall ||
      bytes + size > MAX_BYTES;
    if (isFull && part.members.length > 0) {
      parts.push(part);
      part = emptyPart();
      bytes = 0;
    }
    bytes += size;
    const executionId = placed.ids.member(index);
    part.members.push({ executionId, ...memberRow(member, placed) });
    part.edges.push(...edgeRows(node, index, placed.ids));
    if (node.policy.kind !== 'all_of') part.groups.push({ downstreamExecutionId: executionId, policy: node.policy });
  }
  return [...parts, part];
}

function edgeRows({ template, upstreams }: GraphNode, index: number, ids: FlowIds): Row<'edges'>[] {
  if (upstreams.length === 0) return [];
  const labels = new Set(labelsOf(template));
  return upstreams.map((upstream) => ({
    edgeId: ids.edge(upstream, index),
    upstreamExecutionId: ids.member(upstream),
    downstreamExecutionId: ids.member(index),
    // The name by which the worker finds the result. An edge that only orders two nodes has none.
    ...(labels.has(String(upstream)) ? { dataPassingRef: String(upstream) } : {}),
  }));
}

/** The input of a flow as JSON; `null` without an input. @throws InvalidInputError for an input that is not JSON */
export function inputJson(flow: string, input: unknown): string {
  if (input === undefined) return 'null';
  const { bytes, encoding } = encodeInput(flow, input, true);
  if (bytes === undefined || encoding !== JSON_ENCODING)
    throw new InvalidInputError(flow, 'it must be a JSON value', 'Pass bytes to the tasks, not to the flow.', {
      flow: true,
    });
  return Buffer.from(bytes).toString();
}
