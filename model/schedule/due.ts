/**
 * What happens to an entity whose time has come, by its kind. The loop that applies due work (`apply-due.ts`) knows no
 * kinds: a kind that has timers declares `timerOf` in its entity, and what is due here. The Lua twins are `ff.due.<kind>`.
 */
import { dueOfBill, dueOfBudget, dueOfLedger, dueOfReservation } from '../budget/due.js';
import type { Event } from '../events.js';
import type { EntityKind, EntityOf } from '../state.js';
import type { View } from '../view.js';
import { dueOfQuotaPolicy, owedOfQuotaPolicy } from '../quota/due.js';
import { dueOfAdmission, owedOfAdmission } from '../metering/due.js';
import { dueOfWorker } from '../worker/entity.js';
import { dueOfExecution } from './due-execution.js';

/** What a due entity may look at. */
export interface DueContext {
  readonly now: number;
  /** Factor for policies with jitter; absent when the caller drew none. */
  readonly jitter: number | undefined;
  readonly retentionMs: number;
  readonly view: View;
}

type WhatIsDue<Kind extends EntityKind> = (entity: Readonly<EntityOf<Kind>>, context: DueContext) => readonly Event[];

/** By kind: those that can have timers. */
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

/** Kinds of which one alone is looked at in a pass, for what it does can change what else is due: see `flow/due.ts`. */
const ALONE: ReadonlySet<string> = new Set<keyof typeof DUE>(['flow', 'walk']);

/** Of due entities in order, those of one pass. */
export function ofOnePass(due: readonly DueEntity[]): readonly DueEntity[] {
  const first = due.findIndex(({ kind }) => ALONE.has(kind));
  if (first === -1) return due;
  return due.slice(0, Math.max(1, first));
}

/** Kinds that can have timers. */
export type TimedKind = keyof typeof DUE;
export const TIMED_KINDS = Object.keys(DUE) as TimedKind[];

/** An entity whose time has come. */
export type DueEntity = {
  [Kind in TimedKind]: { readonly kind: Kind; readonly entity: Readonly<EntityOf<Kind>> };
}[TimedKind];

/** What an entity whose time has come owes to other partitions. */
export interface Delivery {
  readonly kind: EntityKind;
  readonly id: string;
  /** What is owed, in the words of the kind. */
  readonly text: string;
}

/** What a due entity owes to other partitions, judged before what is due happens. */
export function deliveriesOf({ kind, entity }: DueEntity, now: number): Delivery[] {
  if (kind === 'admission') return owedOfAdmission(entity).map((text) => ({ kind, id: entity.admissionId, text }));
  if (kind !== 'quota_policy') return [];
  return owedOfQuotaPolicy(entity, now).map((text) => ({ kind, id: entity.quotaPolicyId, text }));
}

/** What happens to a due entity now. */
export function eventsOf({ kind, entity }: DueEntity, context: DueContext): readonly Event[] {
  return (DUE[kind] as WhatIsDue<TimedKind>)(entity, context);
}
