/** The state of one partition: what its log, folded, amounts to. A table per kind of entity. */
import type { Applier } from './core/operation.js';
import { executionEntity } from './execution/entity.js';
import type { Execution } from './execution/facts.js';
import { idempotencyKeyEntity, type IdempotencyEntry } from './execution/idempotency.js';
import type { LoggedEvent } from './events.js';
import { laneEntity, type Lane } from './schedule/lane.js';

/** Every kind of entity, by the wire literal of its kind. */
export const ENTITIES = {
  execution: executionEntity,
  lane: laneEntity,
  idempotency_key: idempotencyKeyEntity,
} as const;

export type EntityKind = keyof typeof ENTITIES;

export interface Tables {
  readonly execution: Map<string, Execution>;
  readonly lane: Map<string, Lane>;
  readonly idempotency_key: Map<string, IdempotencyEntry>;
}

export interface PartitionState {
  readonly tables: Tables;
}

/**
 * What every call knows of its partition (ruling 36). It is read and written once a call, and follows from the log,
 * but for `applier`, which is a courtesy among loops and no state.
 */
export interface Header {
  /** Names this log: another one in its place has another. Empty while there is none. */
  generation: string;
  /** Position of the newest entry, 0 when nothing ever happened. */
  sequence: number;
  /** Time of the newest entry, 0 when nothing ever happened. */
  time: number;
  applier: Applier | undefined;
}

/** Bytes of executions, by execution: events name them and do not carry them. */
export interface ByteStore {
  readonly input: Map<string, Uint8Array>;
  readonly result: Map<string, Uint8Array>;
}

/** State, and what lives beside it: bytes, the log itself, the header. */
export interface Partition {
  readonly state: PartitionState;
  readonly bytes: ByteStore;
  readonly log: LoggedEvent[];
  readonly header: Header;
}

export function emptyState(): PartitionState {
  return { tables: { execution: new Map(), lane: new Map(), idempotency_key: new Map() } };
}

export function emptyHeader(): Header {
  return { generation: '', sequence: 0, time: 0, applier: undefined };
}

export function emptyPartition(): Partition {
  return {
    state: emptyState(),
    bytes: { input: new Map(), result: new Map() },
    log: [],
    header: emptyHeader(),
  };
}
