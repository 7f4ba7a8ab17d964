/** What is stored of a worker that lives: which pool it is of, what it can do, and when it was heard last. Spec 05 section 12. */
import type { EntityState } from '../core/entity.js';
import * as fact from '../core/facts.js';
import { subject } from '../core/subject.js';

export const WORKER = subject('worker', 'workerInstanceId');

/** Which pool the instance is of, since when it is registered, and for how long it counts as alive unheard, ms. */
const identity = { workerId: fact.text(), registeredAt: fact.number(), livenessTtlMs: fact.number() };

/** What it takes: work of these lanes that needs no more than this, and of these kinds. */
const offer = {
  lanes: fact.list(),
  capabilities: fact.list(),
  /** Any kind when there is no list. A kind can hold a comma. */
  kinds: fact.tree<readonly string[]>(),
  /** Executions that it runs at once at most. */
  slots: fact.optionalNumber(),
};

/** How it is with the worker, as it said when it was heard last. */
const load = {
  /** Executions in hand. */
  running: fact.counter(),
  /** It finishes what it has and takes nothing more. */
  draining: fact.flag(),
};

export const workerFacts = fact.factTable({ identity, offer, beat: { lastHeartbeatAt: fact.number(), ...load } });

/** The groups of facts that events carry. */
export const REGISTERED = { identity, offer } as const;
export const HEARD = { load } as const;

export type WorkerRecord = EntityState<typeof WORKER, typeof workerFacts>;
export type ReadonlyWorker = Readonly<WorkerRecord>;

/** When it counts as dead, unless it is heard before: from that millisecond on. */
export const expiryOf = ({ lastHeartbeatAt, livenessTtlMs }: ReadonlyWorker): number => lastHeartbeatAt + livenessTtlMs;

export const isAlive = (worker: ReadonlyWorker, now: number): boolean => now < expiryOf(worker);
