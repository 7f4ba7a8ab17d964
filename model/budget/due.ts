/** Due work of budgets: scheduled resets, reservations that lapse, and records whose retention is over. */
import { present } from '../core/present.js';
import type { Event } from '../events.js';
import type { DueContext } from '../schedule/due.js';
import type { Bill, Ledger, ReadonlyBudget, Reservation } from './facts.js';

/** The requester that the log names for changes made by the engine. */
const ENGINE = 'engine';

/** The first scheduled time in the future. After a pause there is one reset, and the schedule is unchanged. */
export function nextAfter(due: number, intervalMs: number, now: number): number {
  return due + (Math.floor((now - due) / intervalMs) + 1) * intervalMs;
}

export function dueOfBudget({ budgetId, nextResetAt, resetIntervalMs }: ReadonlyBudget, { now }: DueContext): Event[] {
  const next = nextAfter(present(nextResetAt), resetIntervalMs, now);
  return [{ type: 'budget_reset', budgetId, at: now, nextResetAt: next, requestedBy: ENGINE }];
}

/** Splits `<budgetId>:<rest>`; budget ids contain no colon. */
function partsOf(name: string): readonly [budgetId: string, rest: string] {
  const colon = name.indexOf(':');
  return [name.slice(0, colon), name.slice(colon + 1)];
}

export function dueOfReservation(
  { name, reservationState, amounts: held }: Readonly<Reservation>,
  { now: at }: DueContext,
): Event[] {
  const [budgetId, reservationId] = partsOf(name);
  return reservationState === 'open'
    ? [{ type: 'reservation_lapsed', budgetId, at, reservationId, held }]
    : [{ type: 'reservation_forgotten', budgetId, at, reservationId }];
}

export function dueOfLedger({ name }: Readonly<Ledger>, { now: at }: DueContext): Event[] {
  const [budgetId, spender] = partsOf(name);
  return [{ type: 'ledger_dropped', budgetId, at, spender }];
}

export function dueOfBill({ name, day }: Readonly<Bill>, { now: at }: DueContext): Event[] {
  const [budgetId] = partsOf(name);
  return [{ type: 'bill_dropped', budgetId, at, day }];
}
