/** How random runs call the operations of `model/budget`: two budgets, few dimensions, limits that are reached soon. */
import fc from 'fast-check';
import { partitionIn } from '../../model/families.js';
import { LIMITS } from '../../model/limits.js';
import { pick, seldom, type Pick } from './choices.js';
import { generator, type Reads } from './generator.js';
import { choose, chosenId, type World } from './world.js';
import * as example from './example.js';

const budgetIdOf = (index: number): string => `b0b0b0b0-0000-4000-a000-00000000000${index}`;

/** Usually one of the two existing budgets. */
const which = fc.constantFrom(0, 0, 0, 0, 1, 1, 1, 2);

const DIMENSIONS = ['tokens', 'Cents', 'a.b/c-d'] as const;
const ones = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`d${i}`, 1]));
/** As many dimensions as a budget can have, and so many that all others fit beside them. */
const [ALL, MANY] = [ones(LIMITS.maxDimensions), ones(LIMITS.maxDimensions - 5)];

const amount = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom(1, 2, 3, 5, 9) },
  { weight: 1, arbitrary: fc.constantFrom(0, 10, 11, LIMITS.maxInteger) },
);

/** Amounts by dimension; at least one above 0. */
const amounts: fc.Arbitrary<Record<string, number>> = fc.oneof(
  {
    weight: 16,
    arbitrary: fc
      .tuple(fc.subarray([...DIMENSIONS], { minLength: 1 }), fc.array(amount, { minLength: 3, maxLength: 3 }))
      .map(([names, numbers]) => Object.fromEntries(names.map((name, i) => [name, numbers[i] as number])))
      .map((drawn) => (Object.values(drawn).some((number) => number > 0) ? drawn : { tokens: 1 })),
  },
  { weight: 1, arbitrary: fc.constantFrom(MANY, MANY, ALL) },
);

const limits = fc.dictionary(
  fc.constantFrom(...DIMENSIONS, 'other'),
  fc
    .tuple(fc.constantFrom(0, 5, 10, 20), fc.boolean())
    .map(([hard, isSoft]) => ({ hard, soft: isSoft ? Math.ceil(hard / 2) || 4 : 0 })),
  { minKeys: 1, maxKeys: 4, noNullPrototype: true },
);

const manyLimits = Object.fromEntries(Array.from({ length: LIMITS.maxDimensions }, (_, i) => [`x${i}`, { hard: i }]));

const key = seldom(fc.constantFrom('k1', 'k2', 'Größe'), 3);

/** An execution, with its epoch or an older one. */
interface Spender {
  readonly pick: Pick;
  readonly back: number | null;
}
const spender: fc.Arbitrary<Spender> = fc.record({
  pick: pick('any', 'running'),
  back: fc.constantFrom(null, 0, 0, 1, -1),
});

function spenderOf(world: World, { pick, back }: Spender): { executionId: string; leaseEpoch: number | undefined } {
  const epoch = choose(world, pick)?.currentLeaseEpoch ?? 1;
  return { executionId: chosenId(world, pick), leaseEpoch: back === null ? undefined : Math.max(0, epoch - back) };
}

const reservationIdOf = (index: number): string => `cafecafe-0000-4000-a000-00000000000${index}`;

/** An existing reservation, or the next one. */
function reservationOf(world: World, budget: number, index: number): { budgetId: string; reservationId: string } {
  const known = [...world.tables.reservation.keys()];
  const name = known[index % Math.max(1, known.length)];
  if (name === undefined || index > 8)
    return { budgetId: budgetIdOf(budget), reservationId: reservationIdOf(index % 9) };
  const [budgetId = '', reservationId = ''] = name.split(':');
  return { budgetId, reservationId };
}

const REQUESTERS = [undefined, 'ann'] as const;

export const budgetActions = {
  create_budget: generator({
    weight: 4,
    choices: {
      budget: fc.constantFrom(0, 0, 1),
      limits,
      mode: fc.constantFrom(undefined, undefined, undefined, 'advisory' as const),
      onHardLimit: fc.constantFrom(undefined, undefined, undefined, 'block' as const, 'none' as const),
      onSoftLimit: fc.constantFrom(undefined, undefined, 'none' as const),
      reset: fc.constantFrom(undefined, 0, 700, 1_000, 60_000),
      scope: fc.constantFrom('a', 'Größe', 's'.repeat(80)),
    },
    resolve: (_, { budget, limits, mode, onHardLimit, onSoftLimit, reset, scope }) => [
      {
        name: 'createBudget',
        args: {
          budgetId: budgetIdOf(budget),
          scopeType: 'tenant',
          scopeId: scope,
          enforcementMode: mode,
          onHardLimit,
          onSoftLimit,
          resetIntervalMs: reset,
          limits,
        },
      },
    ],
  }),
  update_limits: generator({
    weight: 2,
    choices: {
      budget: which,
      limits: fc.oneof({ weight: 8, arbitrary: limits }, { weight: 1, arbitrary: fc.constant(manyLimits) }),
      same: fc.boolean(),
      by: fc.nat(1),
    },
    resolve({ tables }, { budget, limits, same, by }) {
      const known = tables.budget.get(budgetIdOf(budget));
      const its = Object.fromEntries(
        Object.entries(known?.hardLimits ?? {}).map(([name, hard]) => [
          name,
          { hard, soft: known?.softLimits[name] ?? 0 },
        ]),
      );
      const isSame = same && Object.keys(its).length > 0;
      const args = { budgetId: budgetIdOf(budget), limits: isSame ? its : limits, requestedBy: REQUESTERS[by] };
      return [{ name: 'updateBudgetLimits', args }];
    },
  }),
  report_usage: generator({
    weight: 6,
    choices: { budget: which, spender, custom: amounts, tokens: fc.constantFrom(undefined, 0, 4), key },
    resolve: (world, { budget, spender, custom, tokens, key }) => [
      {
        name: 'reportUsage',
        args: {
          budgetId: budgetIdOf(budget),
          ...spenderOf(world, spender),
          usage: { custom: Object.keys(custom).length > 60 ? { d1: 1 } : custom, inputTokens: tokens, wallMs: tokens },
          dedupKey: key ?? undefined,
        },
      },
    ],
  }),
  report_usage_admin: generator({
    weight: 4,
    choices: { budget: which, deltas: amounts, key },
    resolve: (_, { budget, deltas, key }) => [
      { name: 'reportUsageAdmin', args: { budgetId: budgetIdOf(budget), deltas, dedupKey: key ?? undefined } },
    ],
  }),
  record_spend: generator({
    weight: 6,
    choices: { budget: which, spender, deltas: amounts, key },
    resolve: (world, { budget, spender, deltas, key }) => [
      {
        name: 'recordSpend',
        args: { budgetId: budgetIdOf(budget), ...spenderOf(world, spender), deltas, idempotencyKey: key ?? undefined },
      },
    ],
  }),
  release_budget: generator({
    weight: 3,
    choices: { budget: which, index: fc.nat(3), pick: pick('any') },
    resolve(world, { budget, index, pick }) {
      const [name] = [...world.tables.ledger.keys()].slice(index);
      const colon = name?.indexOf(':') ?? 0;
      if (name !== undefined)
        return [
          { name: 'releaseBudget', args: { budgetId: name.slice(0, colon), executionId: name.slice(colon + 1) } },
        ];
      return [{ name: 'releaseBudget', args: { budgetId: budgetIdOf(budget), executionId: chosenId(world, pick) } }];
    },
  }),
  reset_budget: generator({
    weight: 2,
    choices: { budget: which, expected: seldom(fc.constantFrom(0, 1), 3), by: fc.nat(1) },
    resolve({ tables }, { budget, expected, by }) {
      const budgetId = budgetIdOf(budget);
      const next = tables.budget.get(budgetId)?.nextResetAt ?? 0;
      const expectedNextResetAt = expected === null ? undefined : next + expected;
      return [{ name: 'resetBudget', args: { budgetId, expectedNextResetAt, requestedBy: REQUESTERS[by] } }];
    },
  }),
  reserve: generator({
    weight: 6,
    choices: {
      budget: which,
      index: fc.nat(8),
      amounts,
      ttlMs: fc.constantFrom(1_000, 1_000, 1_500, 60_000),
      spender: fc.option(spender),
      repeats: fc.boolean(),
    },
    resolve(world, { budget, index, amounts, ttlMs, spender, repeats }) {
      const its = { budgetId: budgetIdOf(budget), reservationId: reservationIdOf(index) };
      const known = repeats && world.tables.reservation.get(`${its.budgetId}:${its.reservationId}`);
      const asked = known
        ? { amounts: known.amounts, executionId: known.spender, leaseEpoch: known.leaseEpoch }
        : { amounts, ...(spender === null ? {} : spenderOf(world, spender)) };
      return [{ name: 'reserveBudget', args: { ...its, ttlMs, ...asked } }];
    },
  }),
  renew_reservation: generator({
    weight: 2,
    choices: { budget: which, index: fc.nat(10), ttlMs: fc.constantFrom(1_000, 3_000) },
    resolve: (world, { budget, index, ttlMs }) => [
      { name: 'renewReservation', args: { ...reservationOf(world, budget, index), ttlMs } },
    ],
  }),
  settle_reservation: generator({
    weight: 5,
    choices: {
      budget: which,
      index: fc.nat(10),
      usage: fc.option(amounts, { freq: 4 }),
      epoch: fc.constantFrom(undefined, undefined, 0, 1),
      repeats: fc.boolean(),
    },
    resolve(world, { budget, index, usage, epoch, repeats }) {
      const its = reservationOf(world, budget, index);
      const known = world.tables.reservation.get(`${its.budgetId}:${its.reservationId}`);
      const isRepeated = repeats && known?.reservationState === 'settled';
      const args = { ...its, usage: isRepeated ? known.settled : (usage ?? {}), leaseEpoch: epoch };
      return [{ name: 'settleReservation', args }];
    },
  }),
  release_reservation: generator({
    weight: 2,
    choices: { budget: which, index: fc.nat(10) },
    resolve: (world, { budget, index }) => [{ name: 'releaseReservation', args: reservationOf(world, budget, index) }],
  }),
};

/** An execution that used the budget, if there is one. */
function spenderIn({ tables, partition }: World, budgetId: string, index: number): string {
  const names = [...tables.ledger.keys()].filter((name) => name.startsWith(budgetId));
  const name = names[index % Math.max(1, names.length)];
  return name?.slice(budgetId.length + 1) ?? `${partition}:00000000-0000-4000-a000-000000000001`;
}

export const budgetReads: Reads = (world, { index, limit }) => {
  const budgetId = budgetIdOf(index % 3);
  const partition = partitionIn('budget', 0);
  const fromDay = Math.max(0, Math.floor(world.now / 86_400_000) - 2);
  return [
    ['getBudgetStatus', { budgetId }],
    ['readBudgetRoom', { budgetId }],
    ['readBudgetBill', { budgetId, fromDay, days: 4 }],
    ['readBudgetUsage', { budgetId, executionId: spenderIn(world, budgetId, index) }],
    ['listBudgets', { partition, limit, cursor: index % 2 === 0 ? undefined : budgetIdOf(0) }],
  ];
};

const BUDGET = 'b0b0b0b0-0000-4000-a000-000000000001';

/** Valid arguments of each command and read. */
export const budgetExamples = {
  createBudget: {
    budgetId: BUDGET,
    scopeType: 'tenant',
    scopeId: example.SECRET,
    enforcementMode: 'strict',
    onHardLimit: 'fail',
    onSoftLimit: 'warn',
    resetIntervalMs: 1_000,
    limits: { tokens: { hard: 10, soft: 5 } },
  },
  updateBudgetLimits: { budgetId: BUDGET, limits: { tokens: { hard: 20, soft: 5 } }, requestedBy: 'ann' },
  reportUsage: {
    budgetId: BUDGET,
    executionId: example.RUNNING,
    leaseEpoch: 1,
    usage: { inputTokens: 1, outputTokens: 2, wallMs: 3, custom: { tokens: 1 } },
    dedupKey: example.SECRET,
  },
  reportUsageAdmin: { budgetId: BUDGET, deltas: { tokens: 1 }, dedupKey: example.SECRET },
  recordSpend: {
    budgetId: BUDGET,
    executionId: example.RUNNING,
    leaseEpoch: 1,
    deltas: { tokens: 1 },
    idempotencyKey: example.SECRET,
  },
  releaseBudget: { budgetId: BUDGET, executionId: example.RUNNING },
  resetBudget: { budgetId: BUDGET, expectedNextResetAt: 5, requestedBy: 'ann' },
  reserveBudget: {
    budgetId: BUDGET,
    reservationId: example.uuid(901),
    amounts: { tokens: 1 },
    ttlMs: 5_000,
    executionId: example.RUNNING,
    leaseEpoch: 1,
  },
  renewReservation: { budgetId: BUDGET, reservationId: example.uuid(901), ttlMs: 5_000 },
  settleReservation: { budgetId: BUDGET, reservationId: example.uuid(901), usage: { tokens: 1 }, leaseEpoch: 1 },
  releaseReservation: { budgetId: BUDGET, reservationId: example.uuid(901) },
  getBudgetStatus: { budgetId: BUDGET },
  readBudgetRoom: { budgetId: BUDGET },
  readBudgetBill: { budgetId: BUDGET, fromDay: 1, days: 2 },
  readBudgetUsage: { budgetId: BUDGET, executionId: example.RUNNING },
  listBudgets: { partition: '{b:0}', cursor: BUDGET, limit: 5 },
} satisfies example.Examples;
