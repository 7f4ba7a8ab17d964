/** Reading the log of a partition, page after page. */
import { EngineError } from '../../model/errors.js';
import { isOfExecution, type LogEntry } from '../../model/events.js';
import { LeaseHistoryReader, type LeaseHistoryEntry } from '../../model/lease/history.js';
import { LIMITS } from '../../model/limits.js';
import type { Backend } from '../backend/backend.js';
import { needBackend, needObject, needText } from '../backend/settings.js';
import { partitionOfExecution } from '../../model/ids.js';
import { earliestPlace, placeBefore, type LogPlace, type LogSource } from './log-search.js';

/** The parts of a backend that the history of an execution needs. */
export type HistorySource = LogSource & Partial<Pick<Backend, 'describeExecution'>>;

/**
 * Every log entry of a partition after a cursor, oldest first, until the end is reached. Cursors come from `readLog`;
 * without one, reading starts at the very first entry.
 * @throws EngineError `cursor_too_old` if the log was trimmed past the cursor, `cursor_lost` if the log after it was
 *   lost or created again; there is never a silent gap
 */
export async function* readEvents(
  backend: LogSource,
  options: { partition: string; after?: string },
): AsyncGenerator<LogEntry> {
  needLog('readEvents()', backend, options);
  const { partition, after } = options;
  let cursor = after;
  for (;;) {
    const from = cursor === undefined ? {} : { after: cursor };
    const { events, next, atEnd } = await backend.readLog({ partition, ...from, limit: LIMITS.maxPageSize });
    yield* events;
    if (atEnd || events.length === 0) return;
    cursor = next;
  }
}

/**
 * The owners of an execution, with begin, end and the reason of the end. Renewals are optional. `after` is a cursor of
 * `readLog`; without it, the history starts with the log, which must still contain the creation of the execution.
 * @throws EngineError `cursor_too_old` if the log was trimmed past `after`, or past the creation of the execution;
 *   `cursor_lost` if the log after `after` was lost or created again
 */
export async function* leaseHistory(
  backend: HistorySource,
  options: { executionId: string; after?: string; renewals?: boolean },
): AsyncGenerator<LeaseHistoryEntry> {
  needLog('leaseHistory()', backend, options);
  const { executionId, after, renewals = false } = options;
  needText('leaseHistory()', 'executionId', executionId);
  const partition = partitionOfExecution(executionId);
  // The creation is the first event of an execution. The search misses it if the clock was set back.
  for (const { after: from, isEarliest } of await beginnings(backend, executionId, after)) {
    const reader = new LeaseHistoryReader();
    let whole = after !== undefined || (isEarliest && from === undefined);
    for await (const entry of readEvents(backend, { partition, ...(from === undefined ? {} : { after: from }) })) {
      if (!isOfExecution(entry.event) || entry.event.executionId !== executionId) continue;
      whole ||= entry.event.type === 'execution_created';
      if (!whole) break;
      const leaseEntry = reader.read(entry);
      if (leaseEntry !== undefined && (renewals || leaseEntry.type !== 'renewed')) yield leaseEntry;
    }
    if (whole) return;
  }
  // Also without any entry of the execution: the log cannot show that it was never owned.
  const { after: earliest = '' } = await earliestPlace(backend, partition);
  throw new EngineError('cursor_too_old', `The log was trimmed past the creation of ${executionId}.`, {
    detail: { earliest },
  });
}

/** Where the history of an execution can begin, the likeliest place first. */
async function beginnings(
  backend: HistorySource,
  executionId: string,
  after: string | undefined,
): Promise<readonly LogPlace[]> {
  if (after !== undefined) return [{ after, isEarliest: false }];
  const partition = partitionOfExecution(executionId);
  const earliest = await earliestPlace(backend, partition);
  const createdAt = (await backend.describeExecution?.({ executionId }))?.createdAt;
  if (createdAt === undefined) return [earliest];
  const place = await placeBefore(backend, partition, createdAt);
  return place.isEarliest ? [earliest] : [place, earliest];
}

function needLog(of: string, backend: unknown, options: unknown): void {
  needBackend(of, backend, 'readLog');
  needObject(of, 'options', options);
}
