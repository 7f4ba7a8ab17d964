/** How runs ended, read from the store: of one run by its state, or from an entry of the log. */
import type { Event, ExecutionEvent } from '../../../model/events.js';
import type { ExecutionInfo } from '../../../model/execution/projections.js';
import type { PublicState } from '../../../model/execution/situation.js';
import type { Backend } from '../../backend/backend.js';
import type { News } from '../../engine/local-news.js';
import { ResultUnavailableError, RunNotFoundError } from '../../shared/errors.js';

/** How a run ended. */
export type Ended = Exclude<News, { kind: 'attempt_timeout' }>;

/** The end of a run that has ended so. @throws RunNotFoundError, ResultUnavailableError; what the backend throws */
export async function loadEnd(backend: Backend, executionId: string, kind: Ended['kind']): Promise<Ended> {
  const [info, result] = await Promise.all([
    backend.readExecutionInfo({ executionId }),
    kind === 'completed' ? backend.getExecutionResult({ executionId }) : undefined,
  ]);
  if (info === undefined) throw new RunNotFoundError(executionId);
  return endOf(info, kind, result);
}

/**
 * The end of a run that is said to have ended, in one step; nothing when it has not.
 * @throws RunNotFoundError, ResultUnavailableError; what the backend throws
 */
export async function loadToldEnd(backend: Backend, executionId: string): Promise<Ended | undefined> {
  const [info, result] = await Promise.all([
    backend.readExecutionInfo({ executionId }),
    backend.getExecutionResult({ executionId }),
  ]);
  if (info === undefined) throw new RunNotFoundError(executionId);
  return isEnd(info.publicState) ? endOf(info, info.publicState, result) : undefined;
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
      return completed(executionId, info.resultBytes, result, info.resultEncoding);
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

/** An entry of the log that tells the end of a run. */
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

/** The end that an entry of the log tells. @throws ResultUnavailableError; what the backend throws */
export async function endTold(backend: Backend, event: EndEvent): Promise<Ended> {
  const { executionId } = event;
  switch (event.type) {
    case 'execution_completed': {
      const { resultBytes, resultEncoding } = event;
      const result = resultBytes === undefined ? undefined : await backend.getExecutionResult({ executionId });
      return completed(executionId, resultBytes, result, resultEncoding);
    }
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

/** What the store has of a result must be what it says that the result was: half of it, or none, is no result. */
function completed(
  executionId: string,
  expectedBytes: number | undefined,
  result: Uint8Array | undefined,
  encoding: string | undefined,
): Ended {
  if ((expectedBytes ?? 0) === (result?.byteLength ?? 0))
    return { kind: 'completed', executionId, result: expectedBytes === undefined ? undefined : result, encoding };
  const rest = result === undefined ? 'are gone' : `became ${result.byteLength}`;
  throw new ResultUnavailableError(executionId, `its ${expectedBytes ?? 0} bytes ${rest}`);
}
