/**
 * Due work by kind of entity. The loop that applies due work (`apply-due.ts`) is generic: a kind with timers declares
 * `timerOf` in its entity, and its due work here. The Lua twins are `ff.due.<kind>`.
 */
import { dueOfBill, dueOfBudget, dueOfLedger, dueOfReservation } from '../budget/due.js';
import { keysOf } from '../core/tables.js';
import type { Event } from '../events.js';
import type { EntityKind, EntityOf } from '../state.js';
import type { View } from '../view.js';
import { dueOfQuotaPolicy, owedOfQuotaPolicy } from '../quota/due.js';
import { dueOfAdmission, owedOfAdmission } from '../metering/due.js';
import { dueOfWorker } from '../worker/entity.js';
import { dueOfExecution } from './due-execution.js';

/** What due work may read. */
export interface DueContext {
  readonly now: number;
  /** Random factor for policies with jitter; absent when the caller drew none. */
  readonly jitter: number | undefined;
  readonly retentionMs: number;
  readonly view: View;
}

type WhatIsDue<Kind extends EntityKind> = (entity: Readonly<EntityOf<Kind>>, context: DueContext) => readonly Event[];

/** For every kind that can have timers. */
const DUE = {
  execution: dueOfExecution,
  admission: dueOfAdmission,
  worker: dueOfWorker,
  quota_policy: dueOfQuotaPolicy,
  flow: () => [],
  walk: () => [],
  budget: dueOfBudget,
  reservation: dueOfReservation,
  ledger: dueOfLedger,
  bill: dueOfBill,
} satisfies {
  [Kind in EntityKind]?: WhatIsDue<Kind>;
};

/** Kinds that can have timers. */
export type TimedKind = keyof typeof DUE;
export const TIMED_KINDS = keysOf(DUE);

/** A due entity. */
export type DueEntity = {
  [Kind in TimedKind]: { readonly kind: Kind; readonly entity: Readonly<EntityOf<Kind>> };
}[TimedKind];

/** A delivery that a due entity owes to other partitions. */
export interface Delivery {
  readonly kind: EntityKind;
  readonly id: string;
  /** The content of the delivery, as the kind defines it. */
  readonly text: string;
}

/** What a due entity owes to other partitions, before its due work is applied. */
export function deliveriesOf({ kind, entity }: DueEntity, now: number): Delivery[] {
  if (kind === 'admission') return owedOfAdmission(entity).map((text) => ({ kind, id: entity.admissionId, text }));
  if (kind !== 'quota_policy') return [];
  return owedOfQuotaPolicy(entity, now).map((text) => ({ kind, id: entity.quotaPolicyId, text }));
}

/** Applies the due work of an entity. */
export function eventsOf({ kind, entity }: DueEntity, context: DueContext): readonly Event[] {
  return (DUE[kind] as WhatIsDue<TimedKind>)(entity, context);
}
