/** Budgets and the records beside them, as entities. Everything about a budget is in its partition, `{b:N}`. */
import { changes, entity, makes, makesOrChanges, removes, removesIfThere } from '../core/entity.js';
import type { EventNamed, EventType } from '../events.js';
import { BILL_KEPT_DAYS, LEDGER_KEPT_DAYS, RESERVATION_KEPT_MS, USAGE_KEY_MS } from '../limits.js';
import { bounded, DAY_MS, dayOf, plus } from './amounts.js';
import {
  BILL,
  billFacts,
  BUDGET,
  budgetFacts,
  LEDGER,
  ledgerFacts,
  nameIn,
  RESERVATION,
  reservationFacts,
  USAGE_KEY,
  usageKeyFacts,
  type Bill,
  type Ledger,
  type Reservation,
  type UsageKey,
} from './facts.js';
import { budgetRecipes } from './recipes.js';

type Of<Type extends EventType> = EventNamed<Type>;

export const budgetEntity = entity({
  subject: BUDGET,
  family: 'budget',
  facts: budgetFacts,
  recipes: budgetRecipes,
  timerOf: ({ nextResetAt }) => nextResetAt,
});

type Closed = Exclude<Reservation['reservationState'], 'open'>;

function closeAs(reservation: Reservation, reservationState: Closed, at: number): void {
  // A reservation that was closed before is forgotten at the same time.
  if (reservation.reservationState === 'open') reservation.endsAt = at + RESERVATION_KEPT_MS;
  reservation.reservationState = reservationState;
}

const close = (reservationState: Closed) =>
  changes((reservation: Reservation, { at }: { readonly at: number }) => closeAs(reservation, reservationState, at));

export const reservationEntity = entity({
  subject: RESERVATION,
  family: 'budget',
  facts: reservationFacts,
  idIn: (event) => {
    const { budgetId, reservationId } = event as { budgetId: string; reservationId: string };
    return nameIn(budgetId, reservationId);
  },
  recipes: {
    reservation_made: makes(
      ({ budgetId, reservationId, amounts, spender, leaseEpoch, endsAt, at }: Of<'reservation_made'>): Reservation => ({
        name: nameIn(budgetId, reservationId),
        amounts,
        spender,
        leaseEpoch,
        reservedAt: at,
        reservationState: 'open',
        endsAt,
        settled: {},
      }),
    ),
    reservation_renewed: changes((reservation: Reservation, { endsAt }: Of<'reservation_renewed'>) => {
      reservation.endsAt = endsAt;
    }),
    reservation_settled: changes((reservation: Reservation, { deltas, overrun, at }: Of<'reservation_settled'>) => {
      closeAs(reservation, 'settled', at);
      reservation.settled = plus(deltas, overrun);
    }),
    reservation_released: close('released'),
    reservation_lapsed: close('lapsed'),
    reservation_forgotten: removes,
  },
  timerOf: ({ endsAt }) => endsAt,
});

/** A ledger is kept for some days after the day of its last entry. */
const dropAtOf = (at: number): number => (dayOf(at) + 1 + LEDGER_KEPT_DAYS) * DAY_MS;

type Entered = Of<'usage_reported'> | Of<'spend_recorded'> | Of<'reservation_settled'>;

/**
 * Adds to the ledger of the execution. Spend from before the last reset can no longer be taken back, so it moves to
 * `used`.
 */
const enters = (side: 'spend' | 'attributed') =>
  makesOrChanges(
    (event: Entered): Ledger | undefined => {
      const { budgetId, spender, generation } = event;
      if (spender === undefined) return undefined;
      const ledger = { generation, spend: {}, attributed: {}, highestEpoch: 0, dropAt: 0 };
      return enter({ name: nameIn(budgetId, spender), ...ledger }, event, side);
    },
    (ledger: Ledger, event: Entered) => void enter(ledger, event, side),
  );

function enter(ledger: Ledger, event: Entered, side: 'spend' | 'attributed'): Ledger {
  const { deltas, generation, leaseEpoch = 0, at } = event;
  if (ledger.generation !== generation)
    Object.assign(ledger, { generation, spend: {}, attributed: bounded(plus(ledger.attributed, ledger.spend)) });
  const used = event.type === 'reservation_settled' ? plus(deltas, event.overrun) : deltas;
  ledger[side] = bounded(plus(ledger[side], used));
  ledger.highestEpoch = Math.max(ledger.highestEpoch, leaseEpoch);
  ledger.dropAt = Math.max(ledger.dropAt, dropAtOf(at));
  return ledger;
}

export const ledgerEntity = entity({
  subject: LEDGER,
  family: 'budget',
  facts: ledgerFacts,
  idIn: (event) => {
    const { budgetId, spender } = event as { budgetId: string; spender: string };
    return nameIn(budgetId, spender);
  },
  recipes: {
    usage_reported: enters('attributed'),
    spend_recorded: enters('spend'),
    reservation_settled: enters('attributed'),
    budget_released: changes((ledger: Ledger, _event: Of<'budget_released'>) => {
      ledger.spend = {};
    }),
    ledger_dropped: removes,
  },
  timerOf: ({ dropAt }) => dropAt,
});

const keyOf = (event: Of<'usage_reported'> | Of<'spend_recorded'>): UsageKey | undefined => {
  const { budgetId, usageKey, at } = event;
  return usageKey === undefined ? undefined : { name: nameIn(budgetId, usageKey), expiresAt: at + USAGE_KEY_MS };
};

export const usageKeyEntity = entity({
  subject: USAGE_KEY,
  family: 'budget',
  facts: usageKeyFacts,
  recipes: { usage_reported: makes(keyOf, 'replace'), spend_recorded: makes(keyOf, 'replace') },
  isLive: ({ expiresAt }, now) => expiresAt > now,
});

export const billEntity = entity({
  subject: BILL,
  family: 'budget',
  facts: billFacts,
  idIn: (event) => {
    const { budgetId, day } = event as { budgetId: string; day: number };
    return nameIn(budgetId, day);
  },
  recipes: {
    budget_day_closed: makes(
      ({ budgetId, day, spent, overrun, released }: Of<'budget_day_closed'>): Bill => ({
        name: nameIn(budgetId, day),
        day,
        spent,
        overrun,
        released,
      }),
      'replace',
    ),
    bill_dropped: removesIfThere,
  },
  timerOf: ({ day }) => (day + 1 + BILL_KEPT_DAYS) * DAY_MS,
});
