/**
 * reportUsage (by a worker), reportUsageAdmin (by an operator) and recordSpend (which a release takes back) record
 * usage on a budget. A report from a worker that lost its lease is accepted and marked: the money is spent. Spec 09
 * sections 3.2 and 3.3.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { operation } from '../operation.js';
import { partitionOfId } from '../families.js';
import { charge, reported } from './charge.js';
import { someAmounts, spender, usage } from './fields.js';

const rejects = ['budget_not_found', 'invalid_input'] as const;

export const reportUsage = operation({
  name: 'reportUsage',
  family: 'budget',
  args: z.strictObject({
    budgetId: field.plainUuid,
    executionId: spender,
    leaseEpoch: field.leaseEpoch.optional(),
    usage,
    /**
     * Idempotency key, per budget: a second report with it within 24 h records nothing. Include the attempt in it.
     * Empty: none.
     */
    dedupKey: field.idempotencyKey.default(''),
  }),
  outcome: reported,
  rejects,
  partition: ({ budgetId }, counts) => partitionOfId('budget', budgetId, counts),
  wire: { shared: [], each: ['budgetId', 'executionId', 'leaseEpoch', 'usage', 'dedupKey'] },
  memory: 'adds',
  decide: (view, { usage, dedupKey, ...of }, { now }) =>
    charge('usage_reported', view, { ...of, deltas: usage, key: dedupKey }, now),
});

export const reportUsageAdmin = operation({
  name: 'reportUsageAdmin',
  family: 'budget',
  args: z.strictObject({
    budgetId: field.plainUuid,
    deltas: someAmounts,
    dedupKey: field.idempotencyKey.default(''),
  }),
  outcome: reported,
  rejects,
  partition: ({ budgetId }, counts) => partitionOfId('budget', budgetId, counts),
  wire: { shared: [], each: ['budgetId', 'deltas', 'dedupKey'] },
  memory: 'adds',
  decide: (view, { dedupKey, ...of }, { now }) => charge('usage_reported', view, { ...of, key: dedupKey }, now),
});

export const recordSpend = operation({
  name: 'recordSpend',
  family: 'budget',
  args: z.strictObject({
    budgetId: field.plainUuid,
    executionId: spender,
    leaseEpoch: field.leaseEpoch.optional(),
    deltas: someAmounts,
    idempotencyKey: field.idempotencyKey.default(''),
  }),
  outcome: reported,
  rejects,
  partition: ({ budgetId }, counts) => partitionOfId('budget', budgetId, counts),
  wire: { shared: [], each: ['budgetId', 'executionId', 'leaseEpoch', 'deltas', 'idempotencyKey'] },
  memory: 'adds',
  decide: (view, { idempotencyKey, ...of }, { now }) =>
    charge('spend_recorded', view, { ...of, key: idempotencyKey }, now),
});
