/** Reads of one partition: its executions, its lanes, what is due, its log. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, query, reject } from '../core/operation.js';
import type { LoggedEvent } from '../events.js';
import { DEFAULTS, LIMITS } from '../limits.js';
import { dueCommand, nextTimer, purgeCommand, type DueCommand } from '../schedule/timers.js';

const partition = (args: { partition: string }): string => args.partition;

export interface ListExecutionsPage {
  readonly executions: readonly string[];
  /** Present iff more ids follow. */
  readonly nextCursor: string | undefined;
}

export const listExecutions = query({
  name: 'listExecutions',
  args: z.object({ partition: field.partitionKey, cursor: field.executionId.optional(), limit: field.pageSize }),
  rejects: [],
  partition,
  /** Ids ascending, strictly after the cursor. */
  read(view, { cursor, limit }) {
    if (limit === 0) return accept<ListExecutionsPage>({ executions: [], nextCursor: undefined });
    const ids = view.executionIds(cursor, limit + 1);
    const executions = ids.slice(0, limit);
    return accept<ListExecutionsPage>({ executions, nextCursor: ids.length > limit ? executions.at(-1) : undefined });
  },
});

export const listPartitionLanes = query({
  name: 'listPartitionLanes',
  args: z.object({ partition: field.partitionKey }),
  rejects: [],
  partition,
  /** Lanes that ever had work in this partition, ascending. */
  read(view) {
    return accept<readonly string[]>(view.lanes());
  },
});

export interface DueWork {
  /** Commands that are due, in the order in which they became due; purges last. */
  readonly commands: readonly DueCommand[];
  /** The earliest time at which anything is due, ms since the epoch. */
  readonly nextDueAt: number | undefined;
}

export const listDue = query({
  name: 'listDue',
  args: z.object({
    partition: field.partitionKey,
    limit: field.integer(1, LIMITS.maxPageSize).default(DEFAULTS.pageSize),
  }),
  rejects: [],
  partition,
  read(view, { limit }, { now }) {
    const commands: DueCommand[] = [];
    for (const execution of view.due(now, limit)) {
      const timer = nextTimer(execution);
      if (timer !== undefined) commands.push(dueCommand(execution.executionId, timer.kind));
    }
    if (commands.length < limit) commands.push(...view.purgeable(now, limit - commands.length).map(purgeCommand));
    return accept<DueWork>({ commands, nextDueAt: view.nextDueAt() });
  },
});

export interface LogPage {
  readonly events: readonly LoggedEvent[];
  /** Position of the newest entry of the log, 0 when nothing ever happened. */
  readonly end: number;
}

export const readLog = query({
  name: 'readLog',
  args: z.object({
    partition: field.partitionKey,
    /** Position already seen; 0 starts at the beginning. */
    after: field.count.default(0),
    limit: field.integer(1, LIMITS.maxPageSize).default(DEFAULTS.pageSize),
  }),
  rejects: ['cursor_too_old'],
  partition,
  read(view, { after, limit }) {
    const events = view.log(after, limit);
    const end = view.logEnd();
    const oldest = events[0]?.sequence ?? end + 1;
    if (after < end && oldest !== after + 1) return reject('cursor_too_old', { earliest: String(oldest - 1) });
    return accept<LogPage>({ events, end });
  },
});
