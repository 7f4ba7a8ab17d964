/** The results of other members of a flow, for an attempt in whose input they belong. */
import type { Backend } from '../backend.js';
import type { Clock } from '../engine/clock.js';
import { withRetries } from '../engine/retry.js';
import { decode } from '../shared/codec.js';
import type { Attempt } from './attempt.js';

/** How long results are asked for of a store that cannot be reached, ms. */
const PATIENCE_MS = 10_000;
/** Edges of one page. */
const PAGE = 100;

/** What its upstreams gave to the execution of an attempt, by label. @throws EngineError what calls throw */
export async function resultsFor(
  { executionId }: Pick<Attempt, 'executionId'>,
  backend: Backend,
  clock: Clock,
): Promise<ReadonlyMap<string, unknown>> {
  const results = new Map<string, unknown>();
  let cursor: string | undefined;
  do {
    const page = await withRetries(clock, PATIENCE_MS, () =>
      backend.listEdges({ executionId, direction: 'incoming', cursor, limit: PAGE }),
    );
    await Promise.all(
      page.edges.map(async (edge) => {
        if (edge.edgeState === 'satisfied' && !edge.late && edge.dataPassingRef !== undefined)
          results.set(edge.dataPassingRef, await resultOf(edge.upstreamExecutionId, backend, clock));
      }),
    );
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return results;
}

/** The result of an execution that completed. @throws EngineError what calls throw */
export async function resultOf(executionId: string, backend: Backend, clock: Clock): Promise<unknown> {
  const [bytes, info] = await withRetries(clock, PATIENCE_MS, () =>
    Promise.all([backend.getExecutionResult({ executionId }), backend.readExecutionInfo({ executionId })]),
  );
  return decode({ bytes, encoding: info?.resultEncoding });
}
