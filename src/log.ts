/** Reading the log of a partition, page after page. */
import type { LoggedEvent } from '../model/events.js';
import { LeaseHistoryReader, type LeaseHistoryEntry } from '../model/lease/history.js';
import { LIMITS } from '../model/limits.js';
import type { Backend } from './backend.js';
import { partitionOfExecution } from '../model/ids.js';

/**
 * Every log entry of a partition after a position, oldest first, up to the end as it is when it is reached.
 * @throws EngineError `cursor_too_old` when the log was trimmed past the position: never a silent gap.
 */
export async function* readEvents(backend: Backend, { partition, after = 0 }: { partition: string; after?: number }): AsyncGenerator<LoggedEvent> {
  let position = after;
  for (;;) {
    const { events, end } = await backend.readLog({ partition, after: position, limit: LIMITS.maxPageSize });
    yield* events;
    position = events.at(-1)?.sequence ?? position;
    if (position >= end || events.length === 0) return;
  }
}

/**
 * Who owned an execution, from when to when, and why it ended. Renewals are included only when asked for.
 * @throws EngineError `cursor_too_old` when the log was trimmed past `after`.
 */
export async function* leaseHistory(
  backend: Backend,
  { executionId, after = 0, renewals = false }: { executionId: string; after?: number; renewals?: boolean },
): AsyncGenerator<LeaseHistoryEntry> {
  const reader = new LeaseHistoryReader();
  for await (const entry of readEvents(backend, { partition: partitionOfExecution(executionId), after })) {
    if (entry.event.executionId !== executionId) continue;
    const said = reader.read(entry);
    if (said !== undefined && (renewals || said.type !== 'renewed')) yield said;
  }
}
