/** Reading the log of a partition, page after page. */
import { EngineError } from '../model/errors.js';
import type { LoggedEvent } from '../model/events.js';
import { LeaseHistoryReader, type LeaseHistoryEntry } from '../model/lease/history.js';
import { LIMITS } from '../model/limits.js';
import type { Backend } from './backend.js';
import { partitionOfExecution } from '../model/ids.js';

/**
 * Every log entry of a partition after a position, oldest first, up to the end as it is when it is reached.
 * @throws EngineError `cursor_too_old` when the log was trimmed past the position: never a silent gap.
 */
export async function* readEvents(
  backend: Backend,
  { partition, after = 0 }: { partition: string; after?: number },
): AsyncGenerator<LoggedEvent> {
  let position = after;
  for (;;) {
    const { events, end } = await backend.readLog({ partition, after: position, limit: LIMITS.maxPageSize });
    yield* events;
    position = events.at(-1)?.sequence ?? position;
    if (position >= end || events.length === 0) return;
  }
}

/**
 * Who owned an execution, from when to when, and why it ended. Renewals are included only when asked for. Without
 * `after`, it begins where the log does: the history is whole if the creation of the execution is still there.
 * @throws EngineError `cursor_too_old` when the log was trimmed past `after`, or past the creation of the execution.
 */
export async function* leaseHistory(
  backend: Backend,
  { executionId, after, renewals = false }: { executionId: string; after?: number; renewals?: boolean },
): AsyncGenerator<LeaseHistoryEntry> {
  const partition = partitionOfExecution(executionId);
  const begin = after ?? (await logStart(backend, partition));
  const reader = new LeaseHistoryReader();
  let whole = after !== undefined;
  for await (const entry of readEvents(backend, { partition, after: begin })) {
    if (entry.event.executionId !== executionId) continue;
    whole ||= entry.event.type === 'execution_created';
    if (!whole)
      throw new EngineError('cursor_too_old', `The log was trimmed past the creation of ${executionId}.`, {
        detail: { earliest: String(begin) },
      });
    const said = reader.read(entry);
    if (said !== undefined && (renewals || said.type !== 'renewed')) yield said;
  }
}

/** The position from which the log of a partition can be read. */
async function logStart(backend: Backend, partition: string): Promise<number> {
  try {
    await backend.readLog({ partition, after: 0, limit: 1 });
    return 0;
  } catch (error) {
    if (error instanceof EngineError && error.code === 'cursor_too_old') return Number(error.detail['earliest']);
    throw error;
  }
}
