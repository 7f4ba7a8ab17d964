/** What reads see of the log of a partition, and the same by definition. */
import type { LoggedEvent } from '../events.js';
import type { Header, Partition } from '../state.js';

export interface LogView {
  readonly header: Readonly<Header>;
  /** Entries after a position, oldest first, at most `limit`; the first is later than `after + 1` behind a trim. */
  read(after: number, limit: number): readonly LoggedEvent[];
}

export function logByDefinition({ log, header }: Partition): LogView {
  return { header, read: (after, limit) => log.filter(({ sequence }) => sequence > after).slice(0, limit) };
}
