/** What reads see of the log of a partition, and its definition. */
import type { LogEntry } from '../events.js';
import type { Reader } from '../reader/entity.js';
import type { Header, Partition } from '../state.js';

export interface LogView {
  readonly header: Readonly<Header>;
  readonly readers: ReadonlyMap<string, Readonly<Reader>>;
  /**
   * Entries after a position, oldest first, at most `limit`; the first is later than `after + 1` if the log was
   * trimmed.
   */
  read(after: number, limit: number): readonly LogEntry[];
}

export function logByDefinition({ state, log, header }: Partition): LogView {
  return {
    header,
    readers: state.tables.reader,
    read: (after, limit) => log.filter(({ sequence }) => sequence > after).slice(0, limit),
  };
}
