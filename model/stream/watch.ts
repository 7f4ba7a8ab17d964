/**
 * watchStream: a caller asks for notices about the streams of an execution. For a limited time, appends and ends of
 * attempts are announced; notices can be lost. It writes no event: the mark is beside the state, and an append to an
 * unwatched stream announces nothing. Spec 07 section 5.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, reject } from '../operation.js';
import { partitionOfExecution } from '../ids.js';
import { LIMITS } from '../limits.js';

export const watchStream = operation({
  name: 'watchStream',
  args: z.strictObject({
    executionId: field.executionId,
    /** How long frames and ends of attempts are announced, ms. */
    ttlMs: field.integer(1, LIMITS.maxWatchTtlMs),
  }),
  outcome: z.object({ kind: z.literal('watching') }),
  rejects: ['execution_not_found'],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: { shared: [], each: ['executionId', 'ttlMs'] },
  memory: 'adds',
  decide(view, { executionId, ttlMs }, { now }) {
    if (view.executions.get(executionId) === undefined) return reject('execution_not_found');
    const { notices } = view.log.header;
    const until = Math.max(view.streams.watchedUntil(executionId) ?? 0, now + ttlMs);
    const streamsUntil = Math.max(notices.streamsUntil ?? 0, until);
    return { ...accept({ kind: 'watching' }), notices: { ...notices, streamsUntil }, watch: { executionId, until } };
  },
});
