/**
 * registerWorker: a worker announces itself and what it takes. It informs people and schedulers: claims need no
 * registration. Repeating it updates the facts; another pool cannot take the name of a live instance. Spec 05 section
 * 12.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, reject } from '../operation.js';
import { partitionIn } from '../families.js';
import { withWireForm } from '../core/wire-form.js';
import { DEFAULTS, LIMITS } from '../limits.js';
import { isAlive } from './facts.js';

/** As stored: a kind can contain the separator of other lists. */
const kinds = withWireForm(field.kinds.optional(), {
  texts: ['kinds'],
  encode: (value) => [value === undefined ? '' : JSON.stringify(value)],
});

export const registerWorker = operation({
  name: 'registerWorker',
  args: z.strictObject({
    namespace: field.namespace,
    /** One process; never reused after a restart. */
    workerInstanceId: field.workerInstanceId,
    /** Its pool. */
    workerId: field.workerId,
    /** How long it counts as alive without a heartbeat, ms. */
    livenessTtlMs: field.integer(LIMITS.minLivenessTtlMs, LIMITS.maxLivenessTtlMs).default(DEFAULTS.livenessTtlMs),
    /** Lanes that it takes work from. */
    lanes: field.lanes,
    capabilities: field.capabilities.default([]),
    /** Kinds that it can run; any when absent. */
    kinds,
    /** Executions that it runs at once, at most. */
    slots: field.count.optional(),
  }),
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('registered'), expiresAt: field.timestampMs }),
    /** It was registered and alive. */
    z.object({ kind: z.literal('refreshed'), expiresAt: field.timestampMs }),
  ]),
  rejects: ['invalid_input', 'too_many_workers'],
  family: 'worker',
  partition: ({ namespace }) => partitionIn('worker', namespace),
  wire: {
    shared: [],
    each: ['workerInstanceId', 'workerId', 'livenessTtlMs', { offer: ['lanes', 'capabilities', 'kinds', 'slots'] }],
  },
  memory: 'adds',
  decide(view, { workerInstanceId, workerId, livenessTtlMs, lanes, capabilities, kinds, slots }, { now }) {
    const known = view.workers.get(workerInstanceId);
    const lives = known !== undefined && isAlive(known, now);
    if (lives && known.workerId !== workerId)
      return reject('invalid_input', { field: 'workerId', reason: 'instance_id_reassigned' });
    if (known === undefined && view.workers.count >= LIMITS.maxWorkers)
      return reject('too_many_workers', { maxWorkers: String(LIMITS.maxWorkers) });
    return accept(
      { kind: lives ? 'refreshed' : 'registered', expiresAt: now + livenessTtlMs },
      {
        type: 'worker_registered',
        workerInstanceId,
        at: now,
        workerId,
        registeredAt: lives ? known.registeredAt : now,
        livenessTtlMs,
        lanes,
        capabilities,
        kinds,
        slots,
      },
    );
  },
});
