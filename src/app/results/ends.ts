/** Reads how runs ended. */
import type { ExecutionEvent, ReadEvent } from '../../../model/events.js';
import type { ExecutionInfo } from '../../../model/execution/projections.js';
import type { PublicState } from '../../../model/execution/situation.js';
import type { Backend } from '../../backend/backend.js';
import type { News } from '../../engine/local-news.js';
import { isWhole, readResult } from '../../engine/read-result.js';
import { ResultUnavailableError, RunNotFoundError } from '../../shared/errors.js';

/** How a run ended. */
export type Ended = Exclude<News, { kind: 'attempt_timeout' }>;

/**
 * The end of a run; undefined if it has not ended, or was replayed.
 * @throws RunNotFoundError, ResultUnavailableError; every error of the backend
 */
export async function loadEnd(backend: Backend, executionId: string): Promise<Ended | undefined> {
  const read = await readResult(backend, executionId);
  if (read.info === undefined) throw new RunNotFoundError(executionId);
  return isEnd(read.info.publicState) ? endOf(read.info, read.info.publicState, read.result) : undefined;
}

export function isEnd(state: PublicState): state is Ended['kind'] {
  return (
    state === 'completed' || state === 'failed' || state === 'cancelled' || state === 'expired' || state === 'skipped'
  );
}

const REASONS = ['attempt_timeout', 'execution_deadline', 'suspension_timeout:expire'] as const;

function endOf(info: ExecutionInfo, kind: Ended['kind'], result: Uint8Array | undefined): Ended {
  const { executionId } = info;
  switch (kind) {
    case 'completed':
      if (!isWhole(result, info.resultBytes)) throw lost(info, result);
      return {
        kind,
        executionId,
        result: info.resultBytes === undefined ? undefined : result,
        encoding: info.resultEncoding,
      };
    case 'failed':
      return { kind, executionId, reason: info.failureReason ?? '', category: info.failureCategory ?? '' };
    case 'cancelled':
      return { kind, executionId, reason: info.cancellationReason ?? '' };
    case 'expired':
      return {
        kind,
        executionId,
        reason: REASONS.find((reason) => reason === info.failureReason) ?? 'execution_deadline',
      };
    case 'skipped':
      return { kind, executionId };
  }
}

const END_EVENTS: ReadonlySet<string> = new Set<`execution_${Ended['kind']}`>([
  'execution_completed',
  'execution_failed',
  'execution_cancelled',
  'execution_expired',
  'execution_skipped',
]);

/** Whether an event tells that a run has ended. The run can have been replayed since: `loadEnd` says how it stands. */
export function tellsEnd(event: ReadEvent): event is ExecutionEvent {
  return END_EVENTS.has(event.type);
}

function lost({ executionId, resultBytes = 0 }: ExecutionInfo, result: Uint8Array | undefined): ResultUnavailableError {
  const rest = result === undefined ? 'are gone' : `became ${result.byteLength}`;
  return new ResultUnavailableError(executionId, `its ${resultBytes} bytes ${rest}`);
}
