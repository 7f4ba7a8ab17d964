/** Workers as entities: events and recipes. A dead worker has no record. */
import { changes, entity, makes, removes } from '../core/entity.js';
import { event } from '../core/event.js';
import * as fact from '../core/facts.js';
import type { Event, EventNamed } from '../events.js';
import { expiryOf, HEARD, REGISTERED, WORKER, workerFacts, type WorkerRecord } from './facts.js';

export const workerEvents = {
  /** It registered: for the first time, or again. `registeredAt` is kept while it lives. */
  worker_registered: event('worker_registered', 'wr', WORKER, REGISTERED),
  worker_heard: event('worker_heard', 'wh', WORKER, HEARD),
  /** It shut down, or an operator marked it dead. */
  worker_marked_dead: event('worker_marked_dead', 'wd', WORKER, {
    request: { requestedBy: fact.words() },
    long: { reason: fact.words() },
  }),
  /** It sent no heartbeat in time. */
  worker_lapsed: event('worker_lapsed', 'wl', WORKER, {}),
} as const;

const registered = (event: EventNamed<'worker_registered'>): WorkerRecord => ({
  workerInstanceId: event.workerInstanceId,
  workerId: event.workerId,
  registeredAt: event.registeredAt,
  livenessTtlMs: event.livenessTtlMs,
  lanes: event.lanes,
  capabilities: event.capabilities,
  kinds: event.kinds,
  slots: event.slots,
  lastHeartbeatAt: event.at,
  running: 0,
  draining: false,
});

export const workerEntity = entity({
  subject: WORKER,
  family: 'worker',
  facts: workerFacts,
  recipes: {
    worker_registered: makes(registered, 'replace'),
    worker_heard: changes((worker: WorkerRecord, { at, running, draining }: EventNamed<'worker_heard'>) => {
      worker.lastHeartbeatAt = at;
      worker.running = running;
      worker.draining = draining;
    }),
    worker_marked_dead: removes,
    worker_lapsed: removes,
  },
  timerOf: expiryOf,
});

/** Ends a worker without a heartbeat. */
export const dueOfWorker = (
  { workerInstanceId }: WorkerRecord,
  { now }: { readonly now: number },
): readonly Event[] => [{ type: 'worker_lapsed', workerInstanceId, at: now }];
