/** The input of a flow member that contains results of other members: complete once these have completed. */
import { EngineError } from '../../../model/errors.js';
import type { ExecutionInfo } from '../../../model/execution/projections.js';
import type { AnswerOf } from '../../../model/machine.js';
import type { Backend } from '../../backend/backend.js';
import { isWhole, readResult } from '../../engine/read-result.js';
import { decode, JSON_ENCODING } from '../../shared/codec.js';
import { fill, templateOf } from '../../shared/template.js';

type Edge = AnswerOf<'listEdges'>['edges'][number];

/** Edges in one page, and results that are read concurrently. */
const PAGE = 16;

/**
 * The input with the results filled in; undefined while one of them is missing, because the group is undecided or an
 * upstream was replayed.
 * @throws EngineError `corruption` if the input is unreadable or the bytes of a result are lost; what calls throw
 */
export async function memberInput(
  backend: Backend,
  { executionId, group }: ExecutionInfo,
  bytes: Uint8Array | undefined,
): Promise<unknown> {
  const template = templateOf(decode({ bytes, encoding: JSON_ENCODING }));
  // Groups of later rounds are of the children that the member has spawned.
  if (group !== undefined && group.round === 0 && group.groupState !== 'satisfied') return undefined;
  const results = new Map<string, unknown>();
  let cursor: string | undefined;
  do {
    const page: AnswerOf<'listEdges'> = await backend.listEdges({
      executionId,
      direction: 'incoming',
      cursor,
      limit: PAGE,
    });
    const read = await Promise.all(page.edges.filter(givesResult).map((edge) => given(backend, edge)));
    for (const each of read) {
      if (each === undefined) return undefined;
      results.set(each.label, each.result);
    }
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return fill(template, results);
}

/** The result that an edge carries; undefined if its upstream was replayed and has not completed again. */
async function given(
  backend: Backend,
  { upstreamExecutionId: executionId, dataPassingRef: label }: GivingEdge,
): Promise<{ readonly label: string; readonly result: unknown } | undefined> {
  const { info, result } = await readResult(backend, executionId);
  if (info?.publicState !== 'completed') return undefined;
  if (!isWhole(result, info.resultBytes))
    throw new EngineError('corruption', `payload: the bytes of the result of ${executionId} in it are lost.`);
  return { label, result: decode({ bytes: result, encoding: info.resultEncoding }) };
}

type GivingEdge = Edge & { readonly dataPassingRef: string };

const givesResult = (edge: Edge): edge is GivingEdge =>
  edge.edgeState === 'satisfied' && !edge.late && edge.dataPassingRef !== undefined;
