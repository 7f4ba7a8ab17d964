/** Finds places in the log of a partition by time, so that a reader of one execution need not read what is older. */
import { EngineError } from '../../model/errors.js';
import type { LogEntry } from '../../model/events.js';
import { LIMITS } from '../../model/limits.js';
import { decodeCursor, encodeCursor, NOW } from '../../model/partition/cursor.js';
import type { Backend } from '../backend/backend.js';

/** The part of a backend that reads logs. */
export type LogSource = Pick<Backend, 'readLog'>;

/** A place in a log. */
export interface LogPlace {
  /** Undefined before the first entry of a complete log. */
  readonly after: string | undefined;
  /** Whether nothing that is kept is older. */
  readonly isEarliest: boolean;
}

/** The place before the oldest entry that is kept. */
export async function earliestPlace(log: LogSource, partition: string): Promise<LogPlace> {
  try {
    await log.readLog({ partition, limit: 1 });
    return { after: undefined, isEarliest: true };
  } catch (error) {
    return { after: earliestIn(error), isEarliest: true };
  }
}

/**
 * The place before the first entry of this time (ms since the epoch) or a later one, found by halving the log: about
 * seventeen reads of one entry. Entries are in the order of their times, unless the clock of the server was set back:
 * then the place can be behind the entry. A log of one page is not searched.
 */
export async function placeBefore(log: LogSource, partition: string, time: number): Promise<LogPlace> {
  const earliest = await earliestPlace(log, partition);
  const { end } = await log.readLog({ partition, after: NOW, limit: 1 });
  const { generation, sequence } = decodeCursor(end);
  const oldest = earliest.after === undefined ? 0 : decodeCursor(earliest.after).sequence;
  if (sequence - oldest <= LIMITS.maxPageSize) return earliest;
  const cursorAt = (position: number): string => encodeCursor({ generation, sequence: position, time: 0 });
  // Entries up to `low` are older or gone; those behind `high` are not older.
  let [low, high] = [oldest, sequence];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const entry = await entryBehind(log, partition, cursorAt(middle));
    if (entry === undefined || entry.event.at < time) low = middle + 1;
    else high = middle;
  }
  return low === oldest ? earliest : { after: cursorAt(low), isEarliest: false };
}

/** The entry behind a cursor; undefined if it was trimmed meanwhile. */
async function entryBehind(log: LogSource, partition: string, after: string): Promise<LogEntry | undefined> {
  try {
    const { events } = await log.readLog({ partition, after, limit: 1 });
    return events[0];
  } catch (error) {
    earliestIn(error);
    return undefined;
  }
}

/** The cursor that the refusal of a trimmed log names. @throws every other error */
function earliestIn(error: unknown): string | undefined {
  if (error instanceof EngineError && error.code === 'cursor_too_old') return error.detail['earliest'];
  throw error;
}
