/**
 * Reservations hold an amount for a holder for a limited time. The sum of usage and reservations never exceeds a hard
 * limit. A reservation is settled with the amount used, released unused, renewed with the lease of its holder, or
 * lapses. Usage beyond the reservation, or after it ended, is recorded as far as there is room and otherwise as
 * overrun, so none is lost. Ruling 49.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, acceptAll, operation, reject } from '../operation.js';
import { partitionOfId } from '../families.js';
import { DEFAULTS, LIMITS } from '../limits.js';
import { amountOf, dimensionsOf, isSame, positive } from './amounts.js';
import { breach, closedDay, fitsDimensions, fitsNumbers, hardBreach, isStale, isStrict, offending } from './charge.js';
import type { Amounts, ReadonlyBudget } from './facts.js';
import { amounts, answeredAmounts, someAmounts, spender } from './fields.js';

const partition = ({ budgetId }: { readonly budgetId: string }, counts: Parameters<typeof partitionOfId>[2]): string =>
  partitionOfId('budget', budgetId, counts);

const ttlMs = field.integer(LIMITS.minReservationTtlMs, LIMITS.maxReservationTtlMs).default(DEFAULTS.reservationTtlMs);

export const reserveBudget = operation({
  name: 'reserveBudget',
  family: 'budget',
  args: z.strictObject({
    budgetId: field.plainUuid,
    /** Minted by the caller. A repeated call with it and the same amounts, for the same execution, returns the same reservation. */
    reservationId: field.plainUuid,
    amounts: someAmounts,
    /** How long it is held unless it is renewed, ms. Default one minute. */
    ttlMs,
    /** The execution that the amount is reserved for. */
    executionId: spender.optional(),
    leaseEpoch: field.leaseEpoch.optional(),
  }),
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('reserved'), expiresAt: field.timestampMs }),
    /** The reservation exists already. */
    z.object({
      kind: z.literal('already_satisfied'),
      reason: z.enum(['already_reserved']),
      expiresAt: field.timestampMs,
    }),
    hardBreach,
  ]),
  rejects: ['budget_not_found', 'reservation_closed', 'idempotency_conflict', 'invalid_input'],
  partition,
  wire: { shared: [], each: ['budgetId', 'reservationId', 'amounts', 'ttlMs', 'executionId', 'leaseEpoch'] },
  memory: 'adds',
  decide(view, { budgetId, reservationId, amounts, ttlMs, executionId: spender, leaseEpoch }, { now }) {
    const budget = view.budgets.get(budgetId);
    if (budget === undefined) return reject('budget_not_found');
    const known = view.budgets.reservation(budgetId, reservationId);
    if (known !== undefined) {
      if (known.reservationState !== 'open') return reject('reservation_closed', { state: known.reservationState });
      if (known.spender !== spender || !isSame(known.amounts, amounts)) return reject('idempotency_conflict');
      return accept({ kind: 'already_satisfied', reason: 'already_reserved', expiresAt: known.endsAt });
    }
    const over = offending(budget, amounts);
    if (over !== undefined && isStrict(budget)) return breach(budget, over, amounts, { spender, leaseEpoch }, now);
    if (!fitsDimensions(budget, dimensionsOf(amounts)) || !fitsNumbers(budget, amounts, {}))
      return reject('invalid_input', { field: 'amounts' });
    const endsAt = now + ttlMs;
    return accept(
      { kind: 'reserved', expiresAt: endsAt },
      { type: 'reservation_made', budgetId, at: now, reservationId, amounts, spender, leaseEpoch, endsAt },
    );
  },
});

export const renewReservation = operation({
  name: 'renewReservation',
  family: 'budget',
  args: z.strictObject({ budgetId: field.plainUuid, reservationId: field.plainUuid, ttlMs }),
  outcome: z.object({ kind: z.literal('renewed'), expiresAt: field.timestampMs }),
  rejects: ['reservation_not_found', 'reservation_closed'],
  partition,
  wire: { shared: [], each: ['budgetId', 'reservationId', 'ttlMs'] },
  memory: 'frees',
  decide(view, { budgetId, reservationId, ttlMs }, { now }) {
    const known = view.budgets.reservation(budgetId, reservationId);
    if (known === undefined) return reject('reservation_not_found');
    // A reservation holds its amount until its end is applied, so it can still be renewed.
    if (known.reservationState !== 'open') return reject('reservation_closed', { state: known.reservationState });
    const endsAt = now + ttlMs;
    return accept(
      { kind: 'renewed', expiresAt: endsAt },
      { type: 'reservation_renewed', budgetId, at: now, reservationId, endsAt },
    );
  },
});

export const releaseReservation = operation({
  name: 'releaseReservation',
  family: 'budget',
  args: z.strictObject({ budgetId: field.plainUuid, reservationId: field.plainUuid }),
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('reservation_released') }),
    /** The reservation was closed before. */
    z.object({ kind: z.literal('already_satisfied'), reason: z.enum(['not_open']) }),
  ]),
  rejects: ['budget_not_found', 'reservation_not_found'],
  partition,
  wire: { shared: [], each: ['budgetId', 'reservationId'] },
  memory: 'frees',
  decide(view, { budgetId, reservationId }, { now }) {
    if (view.budgets.get(budgetId) === undefined) return reject('budget_not_found');
    const known = view.budgets.reservation(budgetId, reservationId);
    if (known === undefined) return reject('reservation_not_found');
    if (known.reservationState !== 'open') return accept({ kind: 'already_satisfied', reason: 'not_open' });
    const event = { type: 'reservation_released', budgetId, at: now, reservationId, held: known.amounts } as const;
    return accept({ kind: 'reservation_released' }, event);
  },
});

/** Splits a settlement into the part that the budget covers and the overrun. */
function split(budget: ReadonlyBudget, used: Amounts, held: Amounts): { deltas: Amounts; overrun: Amounts } {
  const rows = dimensionsOf(used).map((dimension) => {
    const amount = amountOf(used, dimension);
    const hard = amountOf(budget.hardLimits, dimension);
    const own = amountOf(held, dimension);
    const taken = amountOf(budget.usage, dimension) + amountOf(budget.reserved, dimension) - own;
    const room = hard === 0 || !isStrict(budget) ? amount : Math.max(0, hard - taken);
    // The reserved amount is covered even if the limit was lowered since.
    return [dimension, amount, Math.min(amount, Math.max(own, room))] as const;
  });
  return {
    deltas: positive(rows.map(([dimension, , covered]) => [dimension, covered])),
    overrun: positive(rows.map(([dimension, amount, covered]) => [dimension, amount - covered])),
  };
}

export const settleReservation = operation({
  name: 'settleReservation',
  family: 'budget',
  args: z.strictObject({
    budgetId: field.plainUuid,
    reservationId: field.plainUuid,
    /** The amount used: less or more than was reserved; empty for none. */
    usage: amounts,
    leaseEpoch: field.leaseEpoch.optional(),
  }),
  outcome: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('settled'),
      /** The part that no limit had room for; usually empty. */
      overrun: answeredAmounts,
      /** What the reservation was until this call. */
      was: z.enum(['open', 'released', 'lapsed']),
    }),
    /** It was settled before, with the same usage. */
    z.object({ kind: z.literal('already_satisfied'), reason: z.enum(['already_settled']) }),
  ]),
  rejects: ['budget_not_found', 'reservation_not_found', 'idempotency_conflict', 'invalid_input'],
  partition,
  wire: { shared: [], each: ['budgetId', 'reservationId', 'usage', 'leaseEpoch'] },
  memory: 'frees',
  decide(view, { budgetId, reservationId, usage, leaseEpoch: given }, { now }) {
    const budget = view.budgets.get(budgetId);
    if (budget === undefined) return reject('budget_not_found');
    const known = view.budgets.reservation(budgetId, reservationId);
    if (known === undefined) return reject('reservation_not_found');
    const { reservationState: was, spender } = known;
    if (was === 'settled') {
      if (!isSame(known.settled, usage)) return reject('idempotency_conflict');
      return accept({ kind: 'already_satisfied', reason: 'already_settled' });
    }
    const held = was === 'open' ? known.amounts : {};
    // What was reserved is counted in any case.
    const added = dimensionsOf(usage).filter((dimension) => !Object.hasOwn(known.amounts, dimension));
    if (!fitsDimensions(budget, added) || !fitsNumbers(budget, usage, held))
      return reject('invalid_input', { field: 'usage' });
    const { deltas, overrun } = split(budget, usage, held);
    const leaseEpoch = given ?? known.leaseEpoch;
    const ledger = spender === undefined ? undefined : view.budgets.ledger(budgetId, spender);
    const by = { spender, leaseEpoch, isStale: isStale(ledger, leaseEpoch), generation: budget.resetCount };
    return acceptAll({ kind: 'settled', overrun, was }, [
      ...closedDay(budget, now),
      { type: 'reservation_settled', budgetId, at: now, reservationId, held, deltas, overrun, ...by },
    ]);
  },
});
