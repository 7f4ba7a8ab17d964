/** Results of other members of a flow, for an input that refers to them. */
import type { Backend } from '../../backend/backend.js';
import type { Clock } from '../../engine/clock.js';
import { isWhole, readResult } from '../../engine/read-result.js';
import { decode } from '../../shared/codec.js';
import { maxHoldMs } from './ahead.js';
import type { Attempt } from '../attempt/attempt.js';
import { untilAnswered } from '../checkpoints/calls.js';
import { InputOverdue } from '../handler/handler.js';
import { delay, NonRetryableError } from '../handler/outcome.js';

/** Edges per page. */
const PAGE = 100;
/** Delay before an attempt looks again at an upstream that runs again, ms. */
const LOOK_AGAIN_MS = 1_000;
const ENDED: ReadonlySet<string> = new Set(['completed', 'failed', 'cancelled', 'expired', 'skipped']);

export interface ResultsOptions {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly leaseTtlMs: number;
  /** Called when a read met a fault, and is repeated or given up. */
  readonly onError: (error: unknown) => void;
}

/**
 * The results of the upstreams of an attempt's execution, by label. Some came with the claim; the rest are read.
 * @throws TaskAbort at once when the attempt is aborted; InputOverdue when faults met all reads for a third of the
 *   lease (at most 5 s): another worker may reach what this one does not; EngineError the errors of the calls
 */
export function resultsFor(attempt: Attempt, options: ResultsOptions): Promise<ReadonlyMap<string, unknown>> {
  const { upstreamResults = [], moreUpstreamResults = true } = attempt.claimed;
  const results = new Map<string, unknown>();
  for (const { dataPassingRef, result: bytes, resultEncoding: encoding } of upstreamResults)
    results.set(dataPassingRef, decode({ bytes, encoding }));
  if (!moreUpstreamResults) return Promise.resolve(results);
  attempt.awaitsResults = true;
  return new Promise<ReadonlyMap<string, unknown>>((resolve, reject) => {
    attempt.whenAborted(reject);
    readRest(attempt, options, results).then(resolve, reject);
  }).finally(() => (attempt.awaitsResults = false));
}

async function readRest(
  attempt: Attempt,
  { backend, clock, leaseTtlMs, onError }: ResultsOptions,
  results: Map<string, unknown>,
): Promise<ReadonlyMap<string, unknown>> {
  const { executionId, upstreamResults = [] } = attempt.claimed;
  let answeredAt = clock.now();
  const onFault = (error: unknown): number => {
    attempt.throwIfAborted();
    onError(error);
    const leftMs = answeredAt + maxHoldMs(leaseTtlMs) - clock.now();
    if (leftMs <= 0) throw new InputOverdue();
    return leftMs;
  };
  const asked = async <T>(call: () => Promise<T>): Promise<T> => {
    const answer = await untilAnswered(attempt, clock, call, onFault);
    answeredAt = clock.now();
    attempt.throwIfAborted();
    return answer;
  };
  const brought = new Set(upstreamResults.map(({ edgeId }) => edgeId));
  let cursor: string | undefined;
  do {
    const page = await asked(() => backend.listEdges({ executionId, direction: 'incoming', cursor, limit: PAGE }));
    await Promise.all(
      page.edges.map(async (edge) => {
        const isGiven = edge.edgeState === 'satisfied' && !edge.late && !brought.has(edge.edgeId);
        if (isGiven && edge.dataPassingRef !== undefined)
          results.set(edge.dataPassingRef, await resultOf(edge.upstreamExecutionId, backend, asked));
      }),
    );
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return results;
}

/**
 * The result of an execution that completed once.
 * @throws Delay while it runs again because an operator replayed it; NonRetryableError if it did not complete then, or
 *   its bytes were lost; EngineError the errors of the calls
 */
export async function resultOf(
  executionId: string,
  backend: Backend,
  asked: <T>(call: () => Promise<T>) => Promise<T>,
): Promise<unknown> {
  const { info, result } = await asked(() => readResult(backend, executionId));
  const state = info?.publicState;
  if (state !== undefined && !ENDED.has(state)) throw delay(LOOK_AGAIN_MS);
  if (state !== 'completed')
    throw unavailable(`The result of ${executionId} is gone: it was replayed, and ended ${state ?? 'unknown'}.`);
  if (!isWhole(result, info?.resultBytes))
    throw unavailable(`The result of ${executionId} is gone: its bytes were lost.`);
  return decode({ bytes: result, encoding: info?.resultEncoding });
}

const unavailable = (message: string): NonRetryableError =>
  new NonRetryableError(message, { category: 'result_unavailable' });
