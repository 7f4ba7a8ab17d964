/** createBudget, updateBudgetLimits, releaseBudget, resetBudget. Spec 09 sections 3.1, 3.4 and 3.5. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, acceptAll, operation, reject } from '../operation.js';
import { echoed } from '../core/wire-form.js';
import { partitionOfId } from '../families.js';
import { LIMITS } from '../limits.js';
import { dimensionsOf } from './amounts.js';
import { closedDay } from './charge.js';
import { nextAfter } from './due.js';
import {
  ENFORCEMENT_MODES,
  HARD_LIMIT_ACTIONS,
  SOFT_LIMIT_ACTIONS,
  type Amounts,
  type ReadonlyBudget,
} from './facts.js';
import { answeredAmounts, changedLimits, limits, spender, storedWord } from './fields.js';
import { limitsAfter } from './recipes.js';

const partition = ({ budgetId }: { readonly budgetId: string }, counts: Parameters<typeof partitionOfId>[2]): string =>
  partitionOfId('budget', budgetId, counts);

const isEqual = (a: Amounts, b: Amounts): boolean => JSON.stringify(a) === JSON.stringify(b);

export const createBudget = operation({
  name: 'createBudget',
  family: 'budget',
  args: z.strictObject({
    budgetId: field.plainUuid,
    /** A label for the bill. Nothing is looked up by it. */
    scopeType: field.label(LIMITS.maxScopeTypeBytes).default('custom'),
    scopeId: field.label(LIMITS.maxScopeIdBytes).default('default'),
    enforcementMode: storedWord(ENFORCEMENT_MODES).default('strict'),
    onHardLimit: storedWord(HARD_LIMIT_ACTIONS).default('fail'),
    onSoftLimit: storedWord(SOFT_LIMIT_ACTIONS).default('warn'),
    /** Time between two resets, ms; 0 for a budget for life. */
    resetIntervalMs: field.durationMs.default(0),
    /** Limits by dimension; 0 or absent: no limit. */
    limits: limits.default({ hardLimits: {}, softLimits: {} }),
  }),
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('created'), budgetId: echoed(field.plainUuid) }),
    /** The budget exists and stays as it is. `reason` says whether this call describes the same definition. */
    z.object({
      kind: z.literal('already_satisfied'),
      budgetId: echoed(field.plainUuid),
      reason: z.enum(['same_definition', 'definition_differs']),
    }),
  ]),
  rejects: [],
  partition,
  wire: {
    shared: [],
    each: [
      'budgetId',
      'scopeType',
      'scopeId',
      'enforcementMode',
      'onHardLimit',
      'onSoftLimit',
      'resetIntervalMs',
      'limits',
    ],
  },
  memory: 'adds',
  decide(view, { limits, ...given }, { now }) {
    const { budgetId, resetIntervalMs } = given;
    const known = view.budgets.get(budgetId);
    if (known !== undefined) {
      const reason = isDefinedAs(known, given, limits) ? 'same_definition' : 'definition_differs';
      return accept({ kind: 'already_satisfied', budgetId, reason });
    }
    const nextResetAt = resetIntervalMs === 0 ? undefined : now + resetIntervalMs;
    return accept({ kind: 'created', budgetId }, { type: 'budget_created', at: now, ...given, ...limits, nextResetAt });
  },
});

type Given = Pick<
  ReadonlyBudget,
  'scopeType' | 'scopeId' | 'enforcementMode' | 'onHardLimit' | 'onSoftLimit' | 'resetIntervalMs'
>;

function isDefinedAs(
  known: ReadonlyBudget,
  given: Given,
  { hardLimits, softLimits }: z.output<typeof limits>,
): boolean {
  const names = ['scopeType', 'scopeId', 'enforcementMode', 'onHardLimit', 'onSoftLimit', 'resetIntervalMs'] as const;
  return (
    names.every((name) => known[name] === given[name]) &&
    isEqual(known.hardLimits, hardLimits) &&
    isEqual(known.softLimits, softLimits)
  );
}

/** Limits may be set below what is used; until usage falls, everything counted in the dimension is refused. */
export const updateBudgetLimits = operation({
  name: 'updateBudgetLimits',
  family: 'budget',
  args: z.strictObject({
    budgetId: field.plainUuid,
    /** The dimensions that change; 0, or absent, for no limit. */
    limits: changedLimits,
    /** The caller, for the log. */
    requestedBy: field.requester,
  }),
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('limits_updated') }),
    z.object({ kind: z.literal('already_satisfied'), reason: z.enum(['same_limits']) }),
  ]),
  rejects: ['budget_not_found', 'invalid_input'],
  partition,
  wire: { shared: [], each: ['budgetId', 'limits', 'requestedBy'] },
  memory: 'adds',
  decide(view, { budgetId, limits, requestedBy }, { now }) {
    const budget = view.budgets.get(budgetId);
    if (budget === undefined) return reject('budget_not_found');
    const hardLimits = limitsAfter(budget.hardLimits, limits.hardLimits);
    const softLimits = limitsAfter(budget.softLimits, limits.softLimits);
    if (isEqual(hardLimits, budget.hardLimits) && isEqual(softLimits, budget.softLimits))
      return accept({ kind: 'already_satisfied', reason: 'same_limits' });
    if (dimensionsOf(hardLimits).length > LIMITS.maxDimensions) return reject('invalid_input', { field: 'limits' });
    return accept(
      { kind: 'limits_updated' },
      { type: 'budget_limits_updated', budgetId, at: now, hardLimits, softLimits, requestedBy },
    );
  },
});

export const releaseBudget = operation({
  name: 'releaseBudget',
  family: 'budget',
  args: z.strictObject({ budgetId: field.plainUuid, executionId: spender }),
  outcome: z.object({
    kind: z.literal('released'),
    /** The amounts that were taken back; empty on a repeated call. */
    amounts: answeredAmounts,
  }),
  rejects: ['budget_not_found'],
  partition,
  wire: { shared: [], each: ['budgetId', 'executionId'] },
  memory: 'frees',
  decide(view, { budgetId, executionId: spender }, { now }) {
    const budget = view.budgets.get(budgetId);
    if (budget === undefined) return reject('budget_not_found');
    const ledger = view.budgets.ledger(budgetId, spender);
    // Spend from before the last reset is no longer part of the usage.
    const amounts: Amounts = ledger?.generation === budget.resetCount ? ledger.spend : {};
    if (dimensionsOf(amounts).length === 0) return accept({ kind: 'released', amounts: {} });
    return acceptAll({ kind: 'released', amounts }, [
      ...closedDay(budget, now),
      { type: 'budget_released', budgetId, at: now, spender, amounts },
    ]);
  },
});

/**
 * When the expected reset is due, it is the scheduled one and the schedule continues. Any other reset starts a new
 * interval.
 */
function nextResetOf({ resetIntervalMs }: ReadonlyBudget, expected: number | undefined, now: number) {
  if (resetIntervalMs === 0) return undefined;
  return expected !== undefined && expected <= now ? nextAfter(expected, resetIntervalMs, now) : now + resetIntervalMs;
}

export const resetBudget = operation({
  name: 'resetBudget',
  family: 'budget',
  args: z.strictObject({
    budgetId: field.plainUuid,
    /**
     * Resets only if the next reset is due at this time, so a repeated call finds it moved. A reset that is due keeps
     * the schedule.
     */
    expectedNextResetAt: field.timestampMs.optional(),
    requestedBy: field.requester,
  }),
  outcome: z.discriminatedUnion('kind', [
    /** 0 when there is no further reset. */
    z.object({ kind: z.literal('reset'), nextResetAt: field.timestampMs }),
    z.object({ kind: z.literal('already_satisfied'), reason: z.enum(['already_moved']) }),
  ]),
  rejects: ['budget_not_found'],
  partition,
  wire: { shared: [], each: ['budgetId', 'expectedNextResetAt', 'requestedBy'] },
  memory: 'frees',
  decide(view, { budgetId, expectedNextResetAt, requestedBy }, { now }) {
    const budget = view.budgets.get(budgetId);
    if (budget === undefined) return reject('budget_not_found');
    if (expectedNextResetAt !== undefined && expectedNextResetAt !== budget.nextResetAt)
      return accept({ kind: 'already_satisfied', reason: 'already_moved' });
    const nextResetAt = nextResetOf(budget, expectedNextResetAt, now);
    return accept(
      { kind: 'reset', nextResetAt: nextResetAt ?? 0 },
      { type: 'budget_reset', budgetId, at: now, nextResetAt, requestedBy },
    );
  },
});
