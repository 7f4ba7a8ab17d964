/** The rows of a flow that is to be created: members, edges and groups, made of its graph, in calls of bounded size. */
import { executionIdOf } from '../../../model/ids.js';
import { LIMITS } from '../../../model/limits.js';
import type { ArgsOf } from '../../../model/machine.js';
import { durationMs } from '../../shared/duration.js';
import { JSON_ENCODING, type Encoded } from '../../shared/codec.js';
import { InvalidInputError } from '../../shared/errors.js';
import { labelsOf, TEMPLATE_ENCODING } from '../../shared/template.js';
import { meteredPolicy, metersOfRun, type RunMeters } from '../meters.js';
import { requestedRun, encodeInput } from '../requested-run.js';
import { checkRunOptions } from '../task-checks.js';
import type { Graph, GraphNode } from './graph.js';
import { edgeUuid, memberUuid } from './ids.js';

type GraphArgs = NonNullable<ArgsOf<'createFlow'>['graph']>;
type Row<Name extends keyof GraphArgs> = NonNullable<GraphArgs[Name]>[number];

/** What one call carries. */
export interface Part {
  readonly members: Row<'members'>[];
  readonly edges: Row<'edges'>[];
  readonly groups: Row<'groups'>[];
}

/** What goes into a node. */
export interface NodeInput {
  readonly input: Encoded;
  readonly meters: RunMeters;
}

export interface PlacedFlow {
  readonly namespace: string;
  readonly uuid: string;
  readonly partition: number;
  /** The time of the store, ms since the epoch, if a node has a delay. */
  readonly now: number;
}

/** Most bytes of inputs that one call carries. */
const MAX_BYTES = 4 * 1024 * 1024;

const emptyPart = (): Part => ({ members: [], edges: [], groups: [] });

/** The execution id of a node. */
export const memberId = ({ uuid, partition }: Pick<PlacedFlow, 'uuid' | 'partition'>, node: number): string =>
  executionIdOf(partition, memberUuid(uuid, node));

/** The inputs of all nodes, checked and written. @throws InvalidInputError, InvalidDefinitionError */
export async function inputsOf({ nodes }: Graph): Promise<NodeInput[]> {
  return Promise.all(
    nodes.map(async ({ task, template, options }) => {
      if (template.holes.length === 0) return requestedRun(task, template.value, options);
      checkRunOptions(task.name, options);
      // Its schema is applied where the results are in it: at the worker.
      const { bytes } = encodeInput(task.name, template);
      // Whose limits it has must be known now: there is null in the places of the results.
      return { input: { bytes, encoding: TEMPLATE_ENCODING }, meters: metersOfRun(task, template.value) };
    }),
  );
}

/** The parts of a flow, in the order in which they have to be created. A member comes with all that leads to it. */
export function partsOf(graph: Graph, inputs: readonly NodeInput[], placed: PlacedFlow): Part[] {
  const parts: Part[] = [];
  let part = emptyPart();
  let bytes = 0;
  for (const [index, node] of graph.nodes.entries()) {
    const input = inputs[index] as NodeInput;
    const size = input.input.bytes?.byteLength ?? 0;
    const isFull =
      part.members.length === LIMITS.maxMembersPerCall ||
      part.edges.length + node.upstreams.length > LIMITS.maxEdgesPerCall ||
      bytes + size > MAX_BYTES;
    if (isFull && part.members.length > 0) {
      parts.push(part);
      part = emptyPart();
      bytes = 0;
    }
    bytes += size;
    const executionId = memberId(placed, index);
    part.members.push({ executionId, ...memberRow(node, input, placed) });
    part.edges.push(...edgeRows(node, index, placed));
    if (node.policy.kind !== 'all_of') part.groups.push({ downstreamExecutionId: executionId, policy: node.policy });
  }
  return [...parts, part];
}

function memberRow({ task, options }: GraphNode, { input, meters }: NodeInput, { now, namespace }: PlacedFlow) {
  const { bytes, encoding } = input;
  const priority = options.priority ?? task.priority;
  const policy = meteredPolicy(task.policy, namespace, meters);
  return {
    laneId: task.laneId,
    executionKind: task.name,
    ...(bytes === undefined ? {} : { inputPayload: bytes, payloadEncoding: encoding }),
    ...(priority === undefined ? {} : { priority }),
    ...(options.delay === undefined ? {} : { delayUntil: now + durationMs(options.delay) }),
    ...(options.tags === undefined ? {} : { tags: { ...options.tags } }),
    ...(policy === undefined ? {} : { policy }),
  };
}

function edgeRows({ template, upstreams }: GraphNode, index: number, placed: PlacedFlow): Row<'edges'>[] {
  const labels = new Set(labelsOf(template));
  return upstreams.map((upstream) => ({
    edgeId: edgeUuid(placed.uuid, upstream, index),
    upstreamExecutionId: memberId(placed, upstream),
    downstreamExecutionId: memberId(placed, index),
    // The name under which the worker looks for the result; an order alone has none.
    ...(labels.has(String(upstream)) ? { dataPassingRef: String(upstream) } : {}),
  }));
}

/** The input of a flow as JSON; none is null. @throws InvalidInputError for what is no JSON */
export function inputJson(where: string, input: unknown): string {
  if (input === undefined) return 'null';
  const { bytes, encoding } = encodeInput(where, input);
  if (bytes === undefined || encoding !== JSON_ENCODING)
    throw new InvalidInputError(where, 'it must be a JSON value', 'Pass bytes to the tasks, not to the flow.');
  return Buffer.from(bytes).toString();
}
