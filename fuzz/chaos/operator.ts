/** An operator who interferes with running work at random: cancels it, or revokes its lease. */
import { isOfExecution } from '../../model/events.js';
import { decodeCursor, encodeCursor } from '../../model/partition/cursor.js';
import type { Backend } from '../../src/backend/backend.js';

/** How far back executions to interfere with are searched for. */
const RECENT_EVENTS = 20;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Interferes until the process ends. */
export async function operate(
  backend: Backend,
  partitions: readonly string[],
  operationsPerSecond: number,
): Promise<void> {
  for (;;) {
    await pause(1_000 / operationsPerSecond);
    const partition = partitions[Math.floor(Math.random() * partitions.length)] as string;
    try {
      // The newest log entries are about executions that are most likely still running.
      const { end } = await backend.readLog({ partition, limit: 1 });
      const { generation, sequence } = decodeCursor(end);
      const { events } = await backend.readLog({
        partition,
        after: encodeCursor({ generation, sequence: Math.max(0, sequence - RECENT_EVENTS), time: 0 }),
        limit: RECENT_EVENTS,
      });
      const event = events[Math.floor(Math.random() * events.length)]?.event;
      if (event === undefined || !isOfExecution(event)) continue;
      const { executionId } = event;
      if (Math.random() < 0.7)
        await backend.cancelExecution({ executionId, source: 'operator_override', reason: 'by an operator' });
      else await backend.revokeLease({ executionId, reason: 'by an operator' });
    } catch {
      // The audit judges refusals and faults from the record.
    }
  }
}
