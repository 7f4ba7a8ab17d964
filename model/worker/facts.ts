/** What is stored of a live worker: its pool, its capabilities, and its last heartbeat. Spec 05 section 12. */
import type { EntityState } from '../core/entity.js';
import * as fact from '../core/facts.js';
import { subject } from '../core/subject.js';

export const WORKER = subject('worker', 'workerInstanceId');

/** The pool of the instance, its registration time, and how long it counts as alive without a heartbeat, ms. */
const identity = { workerId: fact.text(), registeredAt: fact.number(), livenessTtlMs: fact.number() };

/** What it takes: work of these lanes and kinds that needs no other capabilities. */
const offer = {
  lanes: fact.list(),
  capabilities: fact.list(),
  /** Absent: any kind. A kind can contain a comma. */
  kinds: fact.tree<readonly string[]>(),
  /** Executions that it runs at once, at most. */
  slots: fact.optionalNumber(),
};

/** Its status at the last heartbeat. */
const load = {
  /** Executions that it holds. */
  running: fact.counter(),
  /** It is draining: it finishes its work and takes no more. */
  draining: fact.flag(),
};

export const workerFacts = fact.factTable({ identity, offer, beat: { lastHeartbeatAt: fact.number(), ...load } });

/** The groups of facts that events carry. */
export const REGISTERED = { identity, offer } as const;
export const HEARD = { load } as const;

export type WorkerRecord = EntityState<typeof WORKER, typeof workerFacts>;
export type ReadonlyWorker = Readonly<WorkerRecord>;

/** The millisecond from which it counts as dead without another heartbeat. */
export const expiryOf = ({ lastHeartbeatAt, livenessTtlMs }: ReadonlyWorker): number => lastHeartbeatAt + livenessTtlMs;

export const isAlive = (worker: ReadonlyWorker, now: number): boolean => now < expiryOf(worker);
