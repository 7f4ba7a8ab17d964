/** Reads of one partition: its executions, its lanes, its log. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, query, reject } from '../operation.js';
import type { LogEntry } from '../events.js';
import { DEFAULTS, LIMITS } from '../limits.js';
import { decodeCursor, encodeCursor, isCursor, isOfGeneration, isOfTime, NOW } from './cursor.js';

const partition = (args: { partition: string }): string => args.partition;

export interface ListExecutionsPage {
  readonly executions: readonly string[];
  /** Present iff more ids follow. */
  readonly nextCursor: string | undefined;
}

export const listExecutions = query({
  name: 'listExecutions',
  args: z.strictObject({ partition: field.partitionKey, cursor: field.executionId.optional(), limit: field.pageSize }),
  rejects: [],
  partition,
  /** Ids ascending, strictly after the cursor. */
  read(view, { cursor, limit }) {
    if (limit === 0) return accept<ListExecutionsPage>({ executions: [], nextCursor: undefined });
    const ids = view.executions.ids(cursor, limit + 1);
    const executions = ids.slice(0, limit);
    return accept<ListExecutionsPage>({ executions, nextCursor: ids.length > limit ? executions.at(-1) : undefined });
  },
});

export interface ListLanesPage {
  readonly lanes: readonly string[];
  /** Present iff more lanes follow: the `cursor` of the next page. */
  readonly nextCursor: string | undefined;
}

export const listPartitionLanes = query({
  name: 'listPartitionLanes',
  args: z.strictObject({ partition: field.partitionKey, cursor: field.laneId.optional(), limit: field.pageSize }),
  rejects: [],
  partition,
  /** Lanes that had work in this partition, ascending, strictly after the cursor. */
  read(view, { cursor, limit }) {
    if (limit === 0) return accept<ListLanesPage>({ lanes: [], nextCursor: undefined });
    const known = view.schedule.lanes(cursor, limit + 1);
    const lanes = known.slice(0, limit);
    return accept<ListLanesPage>({ lanes, nextCursor: known.length > limit ? lanes.at(-1) : undefined });
  },
});

export interface LogPage {
  readonly events: readonly LogEntry[];
  /** Where the next page begins. */
  readonly next: string;
  /** Position of the newest entry of the log. */
  readonly end: string;
  /** Whether the page reaches the end of the log. */
  readonly atEnd: boolean;
}

export const readLog = query({
  name: 'readLog',
  family: 'any',
  args: z.strictObject({
    partition: field.anyPartitionKey,
    /** A cursor from a page, or `now` for the current end; absent: the first entry that was ever written. */
    after: z
      .string()
      .refine((text) => text === NOW || isCursor(text), { error: 'must be a cursor that a read answered, or "now"' })
      .optional(),
    limit: field.integer(1, LIMITS.maxPageSize).default(DEFAULTS.pageSize),
  }),
  rejects: ['cursor_too_old', 'cursor_lost'],
  partition,
  read(view, { after, limit }) {
    const { generation, sequence: last, time } = view.log.header;
    const end = encodeCursor({ generation, sequence: last, time });
    if (after === NOW) return accept<LogPage>({ events: [], next: end, end, atEnd: true });
    const cursor = after === undefined ? undefined : decodeCursor(after);
    const known = cursor?.sequence ?? 0;
    // Reads the entry of the cursor too, to check that it is the one that the reader saw.
    const page = view.log.read(Math.max(0, known - 1), limit + 1);
    const [first] = page;
    const cursorOf = ({ sequence, event }: LogEntry) => encodeCursor({ generation, sequence, time: event.at });
    if (cursor !== undefined && !isOfGeneration(cursor, generation)) return reject('cursor_lost');
    if (known > last) return reject('cursor_lost');
    const later = known === 0 ? page.slice(0, limit) : page.filter(({ sequence }) => sequence > known).slice(0, limit);
    // A page ends before a gap in the log; the next page is refused, so readers are told.
    const gap = later.findIndex(({ sequence }, i) => i > 0 && sequence !== (later[i - 1]?.sequence ?? 0) + 1);
    const events = gap < 0 ? later : later.slice(0, gap);
    const oldest = events[0]?.sequence ?? last + 1;
    if (oldest !== known + 1) {
      const earliest = encodeCursor({ generation, sequence: oldest - 1, time: 0 });
      return reject('cursor_too_old', { earliest });
    }
    const isSeen = first !== undefined && first.sequence === known;
    if (cursor !== undefined && isSeen && !isOfTime(cursor, first.event.at)) return reject('cursor_lost');
    const newest = events.at(-1);
    return accept<LogPage>({
      events,
      next: newest === undefined ? (after ?? encodeCursor({ generation, sequence: 0, time: 0 })) : cursorOf(newest),
      end,
      atEnd: (newest?.sequence ?? known) === last,
    });
  },
});
