/** Reads how runs ended, from the state of a run or from an entry of the log. */
import type { Event, ExecutionEvent } from '../../../model/events.js';
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
 * @throws RunNotFoundError, ResultUnavailableError; what the backend throws
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

/** An event that ends a run. */
export type EndEvent = Extract<ExecutionEvent, { type: `execution_${Ended['kind']}` }>;

const END_EVENTS: ReadonlySet<string> = new Set<EndEvent['type']>([
  'execution_completed',
  'execution_failed',
  'execution_cancelled',
  'execution_expired',
  'execution_skipped',
]);

export function tellsEnd(event: Event): event is EndEvent {
  return END_EVENTS.has(event.type);
}

/**
 * The end of a run from its event; undefined if the run was replayed since.
 * @throws RunNotFoundError, ResultUnavailableError; what the backend throws
 */
export async function endTold(backend: Backend, event: EndEvent): Promise<Ended | undefined> {
  const { executionId } = event;
  switch (event.type) {
    case 'execution_completed':
      if (event.resultBytes !== undefined) return loadEnd(backend, executionId);
      return { kind: 'completed', executionId, result: undefined, encoding: event.resultEncoding };
    case 'execution_failed':
      return { kind: 'failed', executionId, reason: event.failureReason, category: event.failureCategory };
    case 'execution_cancelled':
      return { kind: 'cancelled', executionId, reason: event.cancellationReason };
    case 'execution_expired':
      return { kind: 'expired', executionId, reason: event.expireReason };
    case 'execution_skipped':
      return { kind: 'skipped', executionId };
  }
}

function lost({ executionId, resultBytes = 0 }: ExecutionInfo, result: Uint8Array | undefined): ResultUnavailableError {
  const rest = result === undefined ? 'are gone' : `became ${result.byteLength}`;
  return new ResultUnavailableError(executionId, `its ${resultBytes} bytes ${rest}`);
}
