/**
 * What holds for meters when processes die, judged by the logs of the partitions and the records of the processes: no
 * hard limit is exceeded, usage is the sum of settlements, no more slots are held than allowed, and nothing is left
 * behind.
 */
import type { Event } from '../../model/events.js';
import type { MeterRecord } from './records.js';

const DIMENSION = 'tokens';
const tokensOf = (amounts: Readonly<Record<string, number>>): number => amounts[DIMENSION] ?? 0;

export interface Account {
  readonly usage: number;
  readonly reserved: number;
}

/** A budget after its events, with all violations on the way. */
export function auditBudget(
  budgetId: string,
  events: readonly Event[],
): { readonly account: Account; readonly settled: ReadonlyMap<string, number>; readonly faults: readonly string[] } {
  const faults: string[] = [];
  const open = new Map<string, number>();
  const settled = new Map<string, number>();
  let usage = 0;
  let limit = Infinity;
  const reserved = (): number => [...open.values()].reduce((sum, held) => sum + held, 0);
  const close = (id: string, held: number): void => {
    if ((open.get(id) ?? 0) !== held) faults.push(`${id} gave back ${held}, and held ${open.get(id) ?? 0}`);
    open.delete(id);
  };
  for (const event of events) {
    if (!('budgetId' in event) || event.budgetId !== budgetId) continue;
    if (event.type === 'budget_created' || event.type === 'budget_limits_updated') limit = tokensOf(event.hardLimits);
    else if (event.type === 'reservation_made') open.set(event.reservationId, tokensOf(event.amounts));
    else if (event.type === 'reservation_released' || event.type === 'reservation_lapsed')
      close(event.reservationId, tokensOf(event.held));
    else if (event.type === 'reservation_settled') {
      const { reservationId, held, deltas, overrun } = event;
      close(reservationId, tokensOf(held));
      if (settled.has(reservationId)) faults.push(`${reservationId} was settled twice`);
      settled.set(reservationId, tokensOf(deltas) + tokensOf(overrun));
      usage += tokensOf(deltas);
    } else continue;
    if (usage + reserved() > limit)
      faults.push(`${usage} used and ${reserved()} reserved of ${limit} after ${event.type} at ${event.at}`);
  }
  return { account: { usage, reserved: reserved() }, settled, faults };
}

/** Settlements match their requests, and acknowledged ones are stored. */
export function auditSettlements(settled: ReadonlyMap<string, number>, records: readonly MeterRecord[]): string[] {
  const faults: string[] = [];
  const said = new Map<string, number>();
  for (const record of records) {
    if (record.entry === 'settles') said.set(record.reservationId, record.used);
    else if (record.entry === 'settled' && !settled.has(record.reservationId))
      faults.push(`the settlement of ${record.reservationId} was answered, and is lost`);
  }
  for (const [id, used] of settled)
    if (said.get(id) !== used) faults.push(`${id} was settled with ${used}, and its holder said ${said.get(id)}`);
  return faults;
}

/** No policy ever has more slots than its cap, and all are free in the end. */
export function auditSlots(events: readonly Event[]): string[] {
  const faults: string[] = [];
  const policies = new Map<string, { readonly cap: number; readonly slots: Set<string> }>();
  for (const event of events) {
    if (event.type === 'quota_policy_created')
      policies.set(event.quotaPolicyId, { cap: event.concurrencyCap, slots: new Set() });
    if (event.type !== 'quota_admitted' && event.type !== 'quota_released') continue;
    const policy = policies.get(event.quotaPolicyId);
    if (policy === undefined) {
      faults.push(`${event.quotaPolicyId} admits, and was not created`);
      continue;
    }
    for (const id of event.admissions) {
      if (event.type === 'quota_admitted') policy.slots.add(id);
      else policy.slots.delete(id);
    }
    if (policy.slots.size > policy.cap)
      faults.push(`${event.quotaPolicyId} has ${policy.slots.size} slots of ${policy.cap} at ${event.at}`);
  }
  for (const [id, { slots }] of policies) if (slots.size > 0) faults.push(`${id} has ${slots.size} slots left`);
  return faults;
}

/** A killed process, and when its end was observed, ms since the epoch. */
export interface Killed {
  readonly records: readonly MeterRecord[];
  readonly goneAt: number;
}

/** No more handlers of a tenant run at once than its cap: a handler runs until it ends, or its process does. */
export function auditHandlers(processes: readonly Killed[], cap: number): string[] {
  const changes = new Map<string, { readonly at: number; readonly change: 1 | -1 }[]>();
  const note = (tenant: string, at: number, change: 1 | -1): void => {
    const known = changes.get(tenant);
    if (known === undefined) changes.set(tenant, [{ at, change }]);
    else known.push({ at, change });
  };
  for (const { records, goneAt } of processes) {
    const running = new Map<string, string>();
    for (const record of records) {
      if (record.entry !== 'began' && record.entry !== 'ended') continue;
      note(record.tenant, record.at, record.entry === 'began' ? 1 : -1);
      if (record.entry === 'began') running.set(record.by, record.tenant);
      else running.delete(record.by);
    }
    for (const tenant of running.values()) note(tenant, goneAt, -1);
  }
  const faults: string[] = [];
  for (const [tenant, of] of changes) {
    let running = 0;
    // Within a millisecond the order is unknown, so ends come first.
    for (const { at, change } of of.sort((a, b) => a.at - b.at || a.change - b.change)) {
      running += change;
      if (running > cap) faults.push(`${running} handlers of ${tenant} run at ${at}, and ${cap} may`);
    }
  }
  return faults;
}
