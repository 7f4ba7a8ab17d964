/**
 * Results of upstreams that are sent with the claim of an execution, up to a bound; the worker reads the rest. The Lua
 * twin is `lua/flow/given.lua`. Ruling 48.
 */
import type { ReadonlyExecution } from '../execution/facts.js';
import { LIMITS } from '../limits.js';
import type { ClaimedExecution } from '../schedule/claimed.js';
import type { View } from '../view.js';
import { siblingId } from './view.js';

export type Given = Pick<ClaimedExecution, 'upstreamResults' | 'moreUpstreamResults'>;
type UpstreamResult = NonNullable<Given['upstreamResults']>[number];

/** How much a claim can still carry: of upstreams' results, and of what earlier owners left. */
export interface Room {
  bytes: number;
  edges: number;
  earlierBytes: number;
  earlierParts: number;
}

export const roomOfClaim = (): Room => ({
  bytes: LIMITS.maxResultBytesPerClaim,
  edges: LIMITS.maxResultEdgesPerClaim,
  earlierBytes: LIMITS.maxCarriedBytesPerClaim,
  earlierParts: LIMITS.maxCarriedPerClaim,
});

const NOTHING: Given = {};

/** The results that upstreams pass to an execution, by edge id. Takes the bytes that it uses from `room`. */
export function givenTo(view: View, execution: ReadonlyExecution, room: Room): Given {
  if (execution.groupState === 'none') return NOTHING;
  const edges = Object.entries(execution.dependencies ?? {});
  if (edges.length > room.edges) return { upstreamResults: [], moreUpstreamResults: true };
  room.edges -= edges.length;
  const upstreamResults: UpstreamResult[] = [];
  let moreUpstreamResults = false;
  for (const [edgeId, { edgeState, isLate, dataPassingRef, upstream: uuid }] of edges.sort(([a], [b]) =>
    a < b ? -1 : 1,
  )) {
    if (edgeState !== 'satisfied' || isLate || dataPassingRef === '') continue;
    const upstream = view.executions.get(siblingId(execution.executionId, uuid));
    // An upstream that was replayed has no result at present; the worker waits for it.
    if (upstream?.situation !== 'completed' || (upstream.resultBytes ?? 0) > room.bytes) {
      moreUpstreamResults = true;
      continue;
    }
    const { executionId, resultBytes, resultEncoding } = upstream;
    room.bytes -= resultBytes ?? 0;
    const result = resultBytes === undefined ? undefined : view.executions.result(executionId);
    upstreamResults.push({ edgeId, dataPassingRef, resultEncoding, result });
  }
  return { upstreamResults, moreUpstreamResults };
}
