/** Converts stored flows to views for the reads of the model. */
import { compareBytes, executionIdIn, memberOf, partitionOfExecution } from '../../model/ids.js';
import { facetCodec } from '../../model/core/codec.js';
import { EngineError } from '../../model/errors.js';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import type { Situation } from '../../model/execution/situation.js';
import { dependencyFacts, membershipFacet, type ReadonlyFlow } from '../../model/flow/facts.js';
import type { ParsedArgsOf } from '../../model/machine.js';
import { shortIdOf, uuidOf } from '../../model/short-id.js';
import type { View } from '../../model/view.js';
import { viewOf, type Fetch } from './fetch.js';
import { decodeEntity, decodeRecord } from './record.js';
import { listOf, pairsOf, repliesOf, textOf, type WireReply } from './reply.js';
import { decodeTally } from './tally.js';

interface Stored {
  readonly flow: ReadonlyFlow | undefined;
  readonly tally: ReadonlyMap<Situation, number>;
}

function flowFrom(reply: WireReply): readonly [uuid: string, stored: Stored] {
  const [id, core, details, counts] = repliesOf(reply, 4);
  const uuid = uuidOf(textOf(id));
  const flow = decodeEntity('flow', uuid, { core: pairsOf(core), details: pairsOf(details) });
  return [uuid, { flow, tally: decodeTally(uuid, pairsOf(counts)).situations }];
}

/** A view of flows, from rows of the library. */
export function flowsFrom(replies: readonly WireReply[]): Partial<View['flows']> {
  const flows = new Map(replies.map(flowFrom));
  return {
    get: (uuid) => flows.get(uuid)?.flow,
    tally: (uuid) => flows.get(uuid)?.tally ?? new Map(),
    ids: () => [...flows.keys()].sort(compareBytes),
  };
}

export const describeFlow: Fetch<{ flowId: string }> = {
  request: ({ flowId }) => ['read_flow', memberOf(flowId)],
  view: (reply) => viewOf({ flows: flowsFrom([reply]) }),
};

export const listFlows: Fetch<ParsedArgsOf<'listFlows'>> = {
  request: ({ cursor, limit }) => ['list_flows', cursor === undefined ? '' : memberOf(cursor), String(limit + 1)],
  view: (reply) => viewOf({ flows: flowsFrom(listOf(reply)) }),
};

export const listFlowMembers: Fetch<ParsedArgsOf<'listFlowMembers'>> = {
  request: ({ flowId, cursor, limit }) => ['list_flow_members', memberOf(flowId), String(cursor), String(limit + 1)],
  view(reply, { flowId }) {
    const members = listOf(reply).map((row) => {
      const [id, core, details] = repliesOf(row, 3);
      const executionId = executionIdIn(partitionOfExecution(flowId), textOf(id));
      const member = decodeRecord(executionId, { core: pairsOf(core), details: pairsOf(details) });
      if (member === undefined) throw new EngineError('corruption', `${executionId}: the record is missing.`);
      return member;
    });
    return viewOf({ flows: { members: () => members } });
  },
};

const EDGE = facetCodec(dependencyFacts);
const MEMBERSHIP = facetCodec(membershipFacet);

/** Edges with their downstream executions, of which only the membership and dependencies are known. */
function edgesFrom(partition: string, rows: readonly WireReply[]) {
  const executions = new Map<string, Partial<ReadonlyExecution>>();
  const edges = rows.map((row) => {
    const [edge, downstream, membership, text] = repliesOf(row, 4);
    const [edgeId, executionId] = [uuidOf(textOf(edge)), executionIdIn(partition, textOf(downstream))];
    const dependencies = { ...executions.get(executionId)?.dependencies, [edgeId]: EDGE.decode(textOf(text)) };
    executions.set(executionId, { executionId, ...MEMBERSHIP.decode(textOf(membership)), dependencies });
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
  view(reply, { executionId }) {
    const { edges, get } = edgesFrom(partitionOfExecution(executionId), listOf(reply));
    return viewOf({ executions: { get }, flows: { outgoing: () => edges } });
  },
};
