/**
 * watchLog and watchEnds: a caller asks to be notified about a partition; notices can be lost. Neither writes an event:
 * the marks are in the header, see `notices.ts`. Spec 13 section A5.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation } from '../operation.js';
import { LIMITS } from '../limits.js';
import { encodeCursor, isCursor } from './cursor.js';

export const watchLog = operation({
  name: 'watchLog',
  family: 'any',
  args: z.strictObject({
    partition: field.anyPartitionKey,
    /** The end of the log as the reader knows it: `end` of a page. */
    after: z.string().refine(isCursor, { error: 'must be a cursor that a read answered' }),
  }),
  outcome: z.discriminatedUnion('kind', [
    /** The next entry will be announced. */
    z.object({ kind: z.literal('watching') }),
    /** The log has entries that the reader has not seen. */
    z.object({ kind: z.literal('behind') }),
  ]),
  rejects: [],
  partition: (args) => args.partition,
  wire: { shared: [], each: ['after'] },
  memory: 'frees',
  decide(view, { after }) {
    const { header } = view.log;
    if (after !== encodeCursor(header)) return accept({ kind: 'behind' });
    return { ...accept({ kind: 'watching' }), notices: { ...header.notices, appends: true } };
  },
});

export const watchEnds = operation({
  name: 'watchEnds',
  args: z.strictObject({
    partition: field.partitionKey,
    /** How long ends of executions are announced, ms. */
    ttlMs: field.integer(1, LIMITS.maxWatchTtlMs),
  }),
  outcome: z.object({ kind: z.literal('watching') }),
  rejects: [],
  partition: (args) => args.partition,
  wire: { shared: [], each: ['ttlMs'] },
  memory: 'frees',
  decide(view, { ttlMs }, { now }) {
    const { notices } = view.log.header;
    const endsUntil = Math.max(notices.endsUntil ?? 0, now + ttlMs);
    return { ...accept({ kind: 'watching' }), notices: { ...notices, endsUntil } };
  },
});
