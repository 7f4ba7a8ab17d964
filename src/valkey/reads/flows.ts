/** Converts stored flows to views for the reads of the model. */
import { compareBytes, executionIdIn, memberOf, partitionOfExecution } from '../../../model/ids.js';
import { facetCodec } from '../../../model/core/codec.js';
import { EngineError } from '../../../model/errors.js';
import type { ReadonlyExecution } from '../../../model/execution/facts.js';
import type { Situation } from '../../../model/execution/situation.js';
import { dependencyFacts, membershipFacet, type ReadonlyFlow } from '../../../model/flow/facts.js';
import type { MemberPlace, Outgoing } from '../../../model/flow/view.js';
import type { ParsedArgsOf } from '../../../model/machine.js';
import { shortIdOf, uuidOf } from '../../../model/short-id.js';
import type { View } from '../../../model/view.js';
import { viewOf, type Fetch } from './fetch.js';
import { decodeEntity, decodeRecord, unlessDamaged } from '../records/record.js';
import { listOf, numberOf, pairsOf, repliesOf, textOf, type WireReply } from '../wire/reply.js';
import { decodeTally } from '../records/tally.js';

interface Stored {
  readonly flow: ReadonlyFlow | undefined;
  readonly tally: ReadonlyMap<Situation, number>;
}

const uuidIn = (row: WireReply): string => uuidOf(textOf(repliesOf(row, 1)[0]));

function flowFrom(row: WireReply): Stored | undefined {
  const [, core, details, counts] = repliesOf(row, 4);
  // One of its keys has the wrong type.
  if ([core, details, counts].includes(null)) return undefined;
  const uuid = uuidIn(row);
  const flow = decodeEntity('flow', uuid, { core: pairsOf(core), details: pairsOf(details) });
  return { flow, tally: decodeTally(uuid, pairsOf(counts)).situations };
}

const viewOfFlows = (flows: ReadonlyMap<string, Stored | undefined>): Partial<View['flows']> => ({
  get: (uuid) => flows.get(uuid)?.flow,
  tally: (uuid) => flows.get(uuid)?.tally ?? new Map(),
  ids: () => [...flows.keys()].sort(compareBytes),
});

/** A view of the flows of a list. Those that are damaged have an id and nothing else. */
export const listedFlows = (rows: readonly WireReply[]): Partial<View['flows']> =>
  viewOfFlows(new Map(rows.map((row) => [uuidIn(row), unlessDamaged(() => flowFrom(row))])));

export const describeFlow: Fetch<{ flowId: string }> = {
  request: ({ flowId }) => ['read_flow', memberOf(flowId)],
  view: (reply) => viewOf({ flows: viewOfFlows(new Map([[uuidIn(reply), flowFrom(reply)]])) }),
};

export const listFlows: Fetch<ParsedArgsOf<'listFlows'>> = {
  request: ({ cursor, limit }) => ['list_flows', cursor === undefined ? '' : memberOf(cursor), String(limit + 1)],
  view: (reply) => viewOf({ flows: listedFlows(listOf(reply)) }),
};

export const listFlowMembers: Fetch<ParsedArgsOf<'listFlowMembers'>> = {
  request: ({ flowId, cursor, limit }) => ['list_flow_members', memberOf(flowId), String(cursor), String(limit + 1)],
  view(reply, { flowId }) {
    const places: MemberPlace[] = [];
    const members = new Map<string, ReadonlyExecution>();
    for (const row of listOf(reply)) {
      const [id, rank, core, details] = repliesOf(row, 4);
      const executionId = executionIdIn(partitionOfExecution(flowId), textOf(id));
      places.push({ executionId, rank: numberOf(rank) });
      // One of its keys has the wrong type.
      if (core === null || details === null) continue;
      const record = { core: pairsOf(core), details: pairsOf(details) };
      const member = unlessDamaged(() => decodeRecord(executionId, record));
      if (member !== undefined) members.set(executionId, member);
    }
    return viewOf({ executions: { get: (id) => members.get(id) }, flows: { places: () => places } });
  },
};

const EDGE = facetCodec(dependencyFacts);
const MEMBERSHIP = facetCodec(membershipFacet);

/** What an edge tells of its downstream execution. @throws EngineError `corruption` */
function downstreamIn(edgeId: string, membership: WireReply, text: WireReply) {
  if (membership === null || text === null) throw new EngineError('corruption', `edge ${edgeId}: is unreadable.`);
  return { ...MEMBERSHIP.decode(textOf(membership)), dependency: EDGE.decode(textOf(text)) };
}

/**
 * Edges with their downstream executions, of which only the membership and dependencies are known.
 *
 * @param read reads an edge; when it answers nothing, the edge has no downstream execution
 */
function edgesFrom(
  partition: string,
  rows: readonly WireReply[],
  read = <Edge>(edge: () => Edge): Edge | undefined => edge(),
) {
  const executions = new Map<string, Partial<ReadonlyExecution>>();
  const edges = rows.map((row): Outgoing => {
    const [edge, downstream, membership, text] = repliesOf(row, 4);
    const edgeId = uuidOf(textOf(edge));
    if (downstream === null) return { edgeId, downstream: '', isGone: true };
    const executionId = executionIdIn(partition, textOf(downstream));
    const found = read(() => downstreamIn(edgeId, membership, text));
    if (found !== undefined) {
      const { dependency, ...facts } = found;
      const dependencies = { ...executions.get(executionId)?.dependencies, [edgeId]: dependency };
      executions.set(executionId, { executionId, ...facts, dependencies });
    }
    return { edgeId, downstream: executionId };
  });
  const get = (id: string): ReadonlyExecution | undefined => executions.get(id) as ReadonlyExecution | undefined;
  return { edges, get };
}

export const describeEdge: Fetch<{ flowId: string; edgeId: string }> = {
  request: ({ flowId, edgeId }) => ['read_edge', memberOf(flowId), shortIdOf(edgeId)],
  view(reply, { flowId }) {
    const { edges, get } = edgesFrom(partitionOfExecution(flowId), listOf(reply).length === 0 ? [] : [reply]);
    return viewOf({ executions: { get }, flows: { downstreamOf: () => edges[0]?.downstream } });
  },
};

export const listEdges: Fetch<ParsedArgsOf<'listEdges'>> = {
  request: ({ executionId, direction, cursor, limit }) => [
    'list_edges',
    memberOf(executionId),
    direction,
    cursor === undefined ? '' : shortIdOf(cursor),
    String(limit + 1),
  ],
  view(reply, { executionId, direction }) {
    const read = direction === 'outgoing' ? unlessDamaged : undefined;
    const { edges, get } = edgesFrom(partitionOfExecution(executionId), listOf(reply), read);
    return viewOf({ executions: { get }, flows: { outgoing: () => edges } });
  },
};
