/**
 * markWorkerDead: a worker is known to be gone before its time to live is over. Its leases are untouched: they lapse,
 * or a composition revokes them (ruling 43). Spec 05 section 12.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation } from '../operation.js';
import { partitionIn } from '../families.js';

export const markWorkerDead = operation({
  name: 'markWorkerDead',
  args: z.strictObject({
    namespace: field.namespace,
    workerInstanceId: field.workerInstanceId,
    /** The reason, for the log: at most 256 bytes, without control characters. */
    reason: field.deathReason.default(''),
    requestedBy: field.requester,
  }),
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('marked') }),
    z.object({ kind: z.literal('not_registered') }),
  ]),
  rejects: [],
  family: 'worker',
  partition: ({ namespace }) => partitionIn('worker', namespace),
  wire: { shared: [], each: ['workerInstanceId', 'reason', 'requestedBy'] },
  memory: 'frees',
  decide(view, { workerInstanceId, reason, requestedBy }, { now }) {
    if (view.workers.get(workerInstanceId) === undefined) return accept({ kind: 'not_registered' });
    return accept({ kind: 'marked' }, { type: 'worker_marked_dead', workerInstanceId, at: now, requestedBy, reason });
  },
});
