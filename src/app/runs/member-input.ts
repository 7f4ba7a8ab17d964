/** The input of a member of a flow in which results of others belong: known once those are there. */
import type { ExecutionInfo } from '../../../model/execution/projections.js';
import type { AnswerOf } from '../../../model/machine.js';
import type { Backend } from '../../backend.js';
import { decode, JSON_ENCODING } from '../../shared/codec.js';
import { fill, templateOf } from '../../shared/template.js';

type Edge = AnswerOf<'listEdges'>['edges'][number];

/** Edges of one page. */
const PAGE = 100;

/**
 * The input with the results in it; nothing while one of them is not there: its group is undecided, or what gives it runs again.
 * @throws EngineError `corruption` when it cannot be read, and what calls throw
 */
export async function memberInput(
  backend: Backend,
  { executionId, group }: ExecutionInfo,
  bytes: Uint8Array | undefined,
): Promise<unknown> {
  const template = templateOf(decode({ bytes, encoding: JSON_ENCODING }));
  // Behind the first round are the children that it has spawned since it began.
  if (group !== undefined && group.round === 0 && group.groupState !== 'satisfied') return undefined;
  const results = new Map<string, unknown>();
  for await (const { upstreamExecutionId, dataPassingRef } of givingEdges(backend, executionId)) {
    const [info, result] = await Promise.all([
      backend.readExecutionInfo({ executionId: upstreamExecutionId }),
      backend.getExecutionResult({ executionId: upstreamExecutionId }),
    ]);
    if (info?.publicState !== 'completed') return undefined;
    results.set(dataPassingRef, decode({ bytes: result, encoding: info.resultEncoding }));
  }
  return fill(template, results);
}

/** Edges whose results it is given. */
async function* givingEdges(backend: Backend, executionId: string) {
  let cursor: string | undefined;
  do {
    const page: AnswerOf<'listEdges'> = await backend.listEdges({
      ...{ executionId, direction: 'incoming', cursor, limit: PAGE },
    });
    yield* page.edges.filter(givesResult);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
}

const givesResult = (edge: Edge): edge is Edge & { readonly dataPassingRef: string } =>
  edge.edgeState === 'satisfied' && !edge.late && edge.dataPassingRef !== undefined;
