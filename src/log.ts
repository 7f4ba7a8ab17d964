/** Reading the log of a partition, page after page. */
import { EngineError } from '../model/errors.js';
import { isOfExecution, type LoggedEvent } from '../model/events.js';
import { LeaseHistoryReader, type LeaseHistoryEntry } from '../model/lease/history.js';
import { LIMITS } from '../model/limits.js';
import type { Backend } from './backend.js';
import { partitionOfExecution } from '../model/ids.js';

/** What reading a log needs of a backend. */
export type LogSource = Pick<Backend, 'readLog'>;

/**
 * Every log entry of a partition after a cursor, oldest first, up to the end as it is when it is reached. Cursors come
 * from `readLog`; without one, it begins at the first entry that there ever was.
 * @throws EngineError `cursor_too_old` when the log was trimmed past the cursor, `cursor_lost` when the log behind it
 * was lost or made anew: never a silent gap.
 */
export async function* readEvents(
  backend: LogSource,
  { partition, after }: { partition: string; after?: string },
): AsyncGenerator<LoggedEvent> {
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
 * Who owned an execution, from when to when, and why it ended. Renewals are included only when asked for. Without
 * `after`, a cursor that `readLog` answered, it begins where the log does: the history is whole if the creation of the
 * execution is still there.
 * @throws EngineError `cursor_too_old` when the log was trimmed past `after`, or so that the creation of the execution
 * is not in it; `cursor_lost` when the log behind `after` was lost or made anew.
 */
export async function* leaseHistory(
  backend: LogSource,
  { executionId, after, renewals = false }: { executionId: string; after?: string; renewals?: boolean },
): AsyncGenerator<LeaseHistoryEntry> {
  const partition = partitionOfExecution(executionId);
  const trimmedTo = after === undefined ? await earliestOf(backend, partition) : undefined;
  const from = after ?? trimmedTo;
  const reader = new LeaseHistoryReader();
  let whole = trimmedTo === undefined;
  for await (const entry of readEvents(backend, { partition, ...(from === undefined ? {} : { after: from }) })) {
    if (!isOfExecution(entry.event) || entry.event.executionId !== executionId) continue;
    whole ||= entry.event.type === 'execution_created';
    if (!whole) break;
    const said = reader.read(entry);
    if (said !== undefined && (renewals || said.type !== 'renewed')) yield said;
  }
  // Also when nothing of the execution is left: that it was never owned would be a guess.
  if (!whole)
    throw new EngineError('cursor_too_old', `The log was trimmed past the creation of ${executionId}.`, {
      detail: { earliest: trimmedTo ?? '' },
    });
}

/** The cursor from which a trimmed log can be read; nothing when it is whole. */
export async function earliestOf(backend: LogSource, partition: string): Promise<string | undefined> {
  try {
    await backend.readLog({ partition, limit: 1 });
    return undefined;
  } catch (error) {
    if (error instanceof EngineError && error.code === 'cursor_too_old') return error.detail['earliest'];
    throw error;
  }
}
