/**
 * heartbeatWorker: a worker reports that it is alive. A worker that lapsed or was marked dead must register again. Spec
 * 05 section 12.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation } from '../operation.js';
import { partitionIn } from '../families.js';
import { isAlive } from './facts.js';

export const heartbeatWorker = operation({
  name: 'heartbeatWorker',
  args: z.strictObject({
    namespace: field.namespace,
    workerInstanceId: field.workerInstanceId,
    /** Executions that it holds. */
    running: field.count.default(0),
    /** Whether it is draining. */
    draining: z.boolean().default(false),
  }),
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('refreshed'), expiresAt: field.timestampMs }),
    z.object({ kind: z.literal('not_registered') }),
  ]),
  rejects: [],
  family: 'worker',
  partition: ({ namespace }) => partitionIn('worker', namespace),
  wire: { shared: [], each: ['workerInstanceId', { load: ['running', 'draining'] }] },
  memory: 'frees',
  decide(view, { workerInstanceId, running, draining }, { now }) {
    const known = view.workers.get(workerInstanceId);
    if (known === undefined || !isAlive(known, now)) return accept({ kind: 'not_registered' });
    return accept(
      { kind: 'refreshed', expiresAt: now + known.livenessTtlMs },
      { type: 'worker_heard', workerInstanceId, at: now, running, draining },
    );
  },
});
