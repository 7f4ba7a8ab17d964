/** What time does to budgets: resets without drift, reservations that lapse, and what was kept long enough. */
import type { Event } from '../events.js';
import type { DueContext } from '../schedule/due.js';
import type { Bill, Ledger, ReadonlyBudget, Reservation } from './facts.js';

/** Who asks for what happens by itself. */
const ENGINE = 'engine';

/** The first time on the schedule that has not come: a pause is followed by one reset, and the schedule stays. */
export function nextAfter(due: number, intervalMs: number, now: number): number {
  return due + (Math.floor((now - due) / intervalMs) + 1) * intervalMs;
}

export function dueOfBudget({ budgetId, nextResetAt, resetIntervalMs }: ReadonlyBudget, { now }: DueContext): Event[] {
  const next = nextAfter(nextResetAt as number, resetIntervalMs, now);
  return [{ type: 'budget_reset', budgetId, at: now, nextResetAt: next, requestedBy: ENGINE }];
}

/** The two parts of a name: no id of a budget has a colon. */
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
