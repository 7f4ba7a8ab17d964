/** The state of one partition: what its log, folded, amounts to. A table per kind of entity. */
import type { Applier } from './operation.js';
import type { Entity, Find, StateOfEntity } from './core/entity.js';
import { billEntity, budgetEntity, ledgerEntity, reservationEntity, usageKeyEntity } from './budget/entities.js';
import { keysOf } from './core/tables.js';
import { executionEntity } from './execution/entity.js';
import { idempotencyKeyEntity } from './execution/idempotency.js';
import { flowEntity, walkEntity } from './flow/entity.js';
import type { LoggedEvent } from './events.js';
import { NO_NOTICES, type Notices } from './partition/notices.js';
import { readerEntity } from './reader/entity.js';
import { signingKeyEntity } from './signing/entity.js';
import { laneEntity } from './lane/lane.js';
import type { StepTable } from './step/contents.js';
import { quotaPolicyEntity } from './quota/entity.js';
import { admissionEntity } from './metering/entity.js';
import { workerEntity } from './worker/entity.js';
import type { StreamTable } from './stream/contents.js';
import { streamEntity } from './stream/entity.js';
import type { PayloadTable } from './suspension/payloads.js';

/** Every kind of entity, by the wire literal of its kind. */
export const ENTITIES = {
  execution: executionEntity,
  lane: laneEntity,
  idempotency_key: idempotencyKeyEntity,
  reader: readerEntity,
  signing_key: signingKeyEntity,
  stream: streamEntity,
  admission: admissionEntity,
  worker: workerEntity,
  quota_policy: quotaPolicyEntity,
  flow: flowEntity,
  walk: walkEntity,
  budget: budgetEntity,
  reservation: reservationEntity,
  ledger: ledgerEntity,
  usage_key: usageKeyEntity,
  bill: billEntity,
} as const;

export type EntityKind = keyof typeof ENTITIES;

/** Every kind, in the order of the declarations. */
export const ENTITY_KINDS = keysOf(ENTITIES);

export type EntityOf<Kind extends EntityKind> = StateOfEntity<(typeof ENTITIES)[Kind]>;

export type Tables = { readonly [Kind in EntityKind]: Map<string, EntityOf<Kind>> };

/** The declaration of a kind, with its types widened for generic code. */
export function entityNamed(kind: EntityKind): Entity {
  return ENTITIES[kind] as unknown as Entity;
}

export interface PartitionState {
  readonly tables: Tables;
}

/** Entities of a kind that count at a time, see `Entity.isLive`. */
export function live(
  kind: EntityKind,
  { tables }: { readonly tables: { readonly [Kind in EntityKind]: ReadonlyMap<string, object> } },
  now: number,
): ReadonlyMap<string, object> {
  const declared = entityNamed(kind);
  if (declared.isLive === undefined) return tables[kind];
  const find: Find = (other, id) => tables[other as EntityKind].get(id);
  return new Map([...tables[kind]].filter(([, entity]) => declared.isLive?.(entity as never, now, find)));
}

/**
 * What every call knows of its partition (ruling 36). It is read and written once a call, and follows from the log,
 * but for `applier` and `notices`, which are courtesies and no state.
 */
export interface Header {
  /** Names this log: another one in its place has another. Empty while there is none. */
  generation: string;
  /** Position of the newest entry, 0 when nothing ever happened. */
  sequence: number;
  /** Time of the newest entry, 0 when nothing ever happened. */
  time: number;
  applier: Applier | undefined;
  notices: Notices;
}

/** Bytes of executions, by execution: events name them and do not carry them. */
export interface ByteStore {
  readonly input: Map<string, Uint8Array>;
  readonly result: Map<string, Uint8Array>;
  /** By signing key. */
  readonly secret: Map<string, Uint8Array>;
}

/** State, and what lives beside it: bytes, the log itself, the header. */
export interface Partition {
  readonly state: PartitionState;
  readonly bytes: ByteStore;
  /** Frames of streams, by stream. */
  readonly streams: StreamTable;
  /** What signals brought with them. */
  readonly payloads: PayloadTable;
  /** Until when the streams of an execution are watched, ms since the epoch: a courtesy, and no state. */
  readonly watches: Map<string, number>;
  /** Recorded steps, by execution. */
  readonly steps: StepTable;
  readonly log: LoggedEvent[];
  readonly header: Header;
}

export function emptyState(): PartitionState {
  return { tables: Object.fromEntries(ENTITY_KINDS.map((kind) => [kind, new Map()])) as unknown as Tables };
}

export function emptyHeader(): Header {
  return { generation: '', sequence: 0, time: 0, applier: undefined, notices: NO_NOTICES };
}

export function emptyPartition(): Partition {
  return {
    state: emptyState(),
    bytes: { input: new Map(), result: new Map(), secret: new Map() },
    streams: new Map(),
    payloads: new Map(),
    watches: new Map(),
    steps: new Map(),
    log: [],
    header: emptyHeader(),
  };
}
