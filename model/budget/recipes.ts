/** What events do to a budget. */
import { changes, makes } from '../core/entity.js';
import type { EventNamed, EventType } from '../events.js';
import { amountOf, bounded, dayOf, dimensionsOf, inOrder, lessened, minus, plus } from './amounts.js';
import type { Amounts, Budget } from './facts.js';

type Of<Type extends EventType> = EventNamed<Type>;

const NOTHING: Amounts = {};

/** Limits, ordered by dimension. */
export const limitsAfter = (known: Amounts, changed: Amounts): Amounts =>
  inOrder(new Map([...Object.entries(known), ...Object.entries(changed)]));

/** Marks the dimensions of refused amounts as exhausted. Amounts above the limit never fit, so they mark none. */
function mark(budget: Budget, refused: Amounts): void {
  const waited = dimensionsOf(refused).filter((name) => amountOf(refused, name) <= amountOf(budget.hardLimits, name));
  for (const name of waited) budget.refused = limitsAfter(budget.refused, { [name]: amountOf(refused, name) });
}

/**
 * A dimension with room for the amount that it refused last is no longer exhausted; nor is one whose limit was lowered
 * below that amount.
 */
function clearFlags(budget: Budget): void {
  const kept = dimensionsOf(budget.refused).filter((dimension) => {
    const [hard, refused] = [amountOf(budget.hardLimits, dimension), amountOf(budget.refused, dimension)];
    const held = amountOf(budget.usage, dimension) + amountOf(budget.reserved, dimension);
    return refused <= hard && held + refused > hard;
  });
  if (kept.length === dimensionsOf(budget.refused).length) return;
  budget.refused = inOrder(kept.map((dimension) => [dimension, amountOf(budget.refused, dimension)]));
}

/** The first event on a later day starts its totals. A clock that steps back starts none. */
function beginDay(budget: Budget, at: number): void {
  budget.billDay = Math.max(budget.billDay, dayOf(at));
}

function touch(budget: Budget, at: number): void {
  budget.lastUpdatedAt = at;
  beginDay(budget, at);
}

function breached(budget: Budget, dimension: string, at: number): void {
  budget.breachCount += 1;
  budget.lastBreachAt = at;
  budget.lastBreachDim = dimension;
}

const used = changes((budget: Budget, event: Of<'usage_reported'> | Of<'spend_recorded'>) => {
  budget.usage = plus(budget.usage, event.deltas);
  budget.spentToday = plus(budget.spentToday, event.deltas);
  if (event.overDimension !== undefined) breached(budget, event.overDimension, event.at);
  else if (event.softDimension !== undefined) budget.softBreachCount += 1;
  touch(budget, event.at);
});

const freed = changes((budget: Budget, event: Of<'reservation_released'> | Of<'reservation_lapsed'>) => {
  budget.reserved = minus(budget.reserved, event.held);
  clearFlags(budget);
});

export const budgetRecipes = {
  budget_created: makes((event: Of<'budget_created'>): Budget => {
    const { type: _, at, ...agreed } = event;
    return {
      ...agreed,
      createdAt: at,
      lastUpdatedAt: at,
      usage: NOTHING,
      reserved: NOTHING,
      overrun: NOTHING,
      breachCount: 0,
      softBreachCount: 0,
      lastBreachAt: undefined,
      lastBreachDim: undefined,
      refused: NOTHING,
      resetCount: 0,
      lastResetAt: undefined,
      billDay: dayOf(at),
      spentToday: NOTHING,
      overrunToday: NOTHING,
      releasedToday: NOTHING,
    };
  }),
  budget_limits_updated: changes((budget: Budget, event: Of<'budget_limits_updated'>) => {
    budget.hardLimits = event.hardLimits;
    budget.softLimits = event.softLimits;
    clearFlags(budget);
    budget.lastUpdatedAt = event.at;
  }),
  usage_reported: used,
  spend_recorded: used,
  budget_hard_breached: changes((budget: Budget, { dimension, refusedAmount, at }: Of<'budget_hard_breached'>) => {
    breached(budget, dimension, at);
    mark(budget, { [dimension]: refusedAmount });
    budget.lastUpdatedAt = at;
  }),
  budget_released: changes((budget: Budget, { amounts, at }: Of<'budget_released'>) => {
    budget.usage = lessened(budget.usage, amounts);
    // A day can take back what was spent on others too.
    budget.releasedToday = bounded(plus(budget.releasedToday, amounts));
    clearFlags(budget);
    beginDay(budget, at);
  }),
  budget_reset: changes((budget: Budget, { nextResetAt, at }: Of<'budget_reset'>) => {
    budget.usage = inOrder(dimensionsOf(budget.usage).map((dimension) => [dimension, 0]));
    budget.overrun = NOTHING;
    budget.refused = NOTHING;
    budget.lastBreachAt = undefined;
    budget.lastBreachDim = undefined;
    budget.resetCount += 1;
    budget.lastResetAt = at;
    budget.nextResetAt = nextResetAt;
    budget.lastUpdatedAt = at;
  }),
  budget_day_closed: changes((budget: Budget, _event: Of<'budget_day_closed'>) => {
    budget.spentToday = NOTHING;
    budget.overrunToday = NOTHING;
    budget.releasedToday = NOTHING;
  }),
  reservation_made: changes((budget: Budget, { amounts }: Of<'reservation_made'>) => {
    budget.reserved = plus(budget.reserved, amounts);
  }),
  reservation_settled: changes((budget: Budget, { held, deltas, overrun, at }: Of<'reservation_settled'>) => {
    budget.reserved = minus(budget.reserved, held);
    budget.usage = plus(budget.usage, deltas);
    budget.overrun = plus(budget.overrun, overrun);
    budget.spentToday = plus(budget.spentToday, deltas);
    budget.overrunToday = plus(budget.overrunToday, overrun);
    mark(budget, overrun);
    clearFlags(budget);
    touch(budget, at);
  }),
  reservation_released: freed,
  reservation_lapsed: freed,
};
