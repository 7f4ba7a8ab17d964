/** Budgets, by example. Stories of several commands: what counts is what they leave. */
import { describe, expect, test } from 'vitest';
import type { AnyDecision, ArgsOf, OperationName, OutcomeOf, QueryName } from '../../model/machine.js';
import { QUERIES } from '../../model/machine.js';
import { LIMITS } from '../../model/limits.js';
import { violations } from '../../model/specification/invariants.js';
import { SpecMachine } from '../../model/specification/machine.js';
import type { LoggedEvent } from '../../model/events.js';
import { parseCommand } from '../../src/backend/boundary.js';
import { idOf, START, uuid } from './dsl.js';

const BUDGET = uuid(700);
const RESERVATION = uuid(800);
const [RUN, OTHER] = [idOf(1), idOf(2)];
const DAY_MS = 86_400_000;

const RESERVE = { budgetId: BUDGET, reservationId: RESERVATION, executionId: RUN };

class Story {
  readonly machine = new SpecMachine({ retentionMs: 0 }, '{b:0}');
  now = START;

  constructor(definition: Partial<ArgsOf<'createBudget'>> = {}) {
    expect(
      this.outcome('createBudget', { budgetId: BUDGET, limits: { tokens: { hard: 100 } }, ...definition }),
    ).toEqual({
      kind: 'created',
      budgetId: BUDGET,
    });
  }

  decide<Name extends OperationName>(name: Name, args: ArgsOf<Name>): AnyDecision {
    const decision = this.machine.run(parseCommand(name, args, 'memory'), this.now);
    const { state, log } = this.machine.partition;
    expect(violations(state, log as LoggedEvent[], this.now)).toEqual([]);
    return decision;
  }

  outcome<Name extends OperationName>(name: Name, args: ArgsOf<Name>): OutcomeOf<Name> {
    const decision = this.decide(name, args);
    if (!decision.ok) throw new Error(decision.code);
    return decision.outcome as OutcomeOf<Name>;
  }

  refusal<Name extends OperationName>(name: Name, args: ArgsOf<Name>): string {
    const logged = this.machine.partition.log.length;
    const decision = this.decide(name, args);
    expect(this.machine.partition.log).toHaveLength(logged);
    return decision.ok ? decision.outcome.kind : decision.code;
  }

  read<Name extends QueryName>(name: Name, args: ArgsOf<Name>) {
    const declared = QUERIES[name];
    const decision = declared.read(this.machine.view, declared.args.parse(args) as never, {
      now: this.now,
      settings: { retentionMs: 0 },
    });
    return decision.ok ? decision.outcome : decision;
  }

  get status() {
    return this.read('getBudgetStatus', { budgetId: BUDGET });
  }

  due() {
    return this.outcome('applyDue', { partition: '{b:0}' });
  }

  report(tokens: number, dedupKey?: string) {
    return this.outcome('reportUsageAdmin', { budgetId: BUDGET, deltas: { tokens }, dedupKey });
  }

  reserve(tokens: number, reservationId = RESERVATION, executionId?: string) {
    return this.outcome('reserveBudget', {
      budgetId: BUDGET,
      reservationId,
      amounts: { tokens },
      ttlMs: 5_000,
      executionId,
    });
  }
}

describe('a budget', () => {
  test('is created once; another definition is reported and changes nothing', () => {
    const story = new Story();
    const again = { budgetId: BUDGET, limits: { tokens: { hard: 100 } } };
    expect(story.outcome('createBudget', again)).toMatchObject({ reason: 'same_definition' });
    expect(story.outcome('createBudget', { ...again, scopeId: 'x' })).toMatchObject({ reason: 'definition_differs' });
    expect(story.status).toMatchObject({ hardLimits: { tokens: 100 }, softLimits: { tokens: 0 }, scopeId: 'default' });
  });

  test('refuses an invalid dimension, and names the rule', () => {
    const story = new Story();
    for (const name of ['a b', '__proto__', ''])
      for (const make of [
        () => story.decide('createBudget', { budgetId: uuid(9), limits: Object.fromEntries([[name, {}]]) }),
        () => story.decide('reserveBudget', { ...RESERVE, amounts: Object.fromEntries([[name, 1]]) }),
        () => story.decide('reportUsageAdmin', { budgetId: BUDGET, deltas: Object.fromEntries([[name, 1]]) }),
      ])
        expect(make).toThrow(name === '__proto__' ? 'the key is not possible' : 'the key must begin with a letter');
  });

  test.each([
    ['reportUsageAdmin', { deltas: { a: 1 } }],
    ['releaseBudget', { executionId: RUN }],
    ['resetBudget', {}],
    ['updateBudgetLimits', { limits: { a: {} } }],
    ['reserveBudget', { executionId: RUN, reservationId: RESERVATION, amounts: { a: 1 } }],
  ] as const)('is not created by %s', (name, args) => {
    expect(new Story().refusal(name, { budgetId: uuid(9), ...args })).toBe('budget_not_found');
  });

  test('refuses misspelt limits, which would mean none', () => {
    const create = { budgetId: uuid(9), limits: { tokens: { limit: 5 } } };
    expect(() => new Story().decide('createBudget', create as never)).toThrow('limits.tokens: unknown member "limit"');
  });

  test('takes usage up to its limit and not beyond, all dimensions or none', () => {
    const story = new Story({ limits: { tokens: { hard: 100 }, calls: { hard: 2, soft: 1 } } });
    expect(story.report(100)).toEqual({ kind: 'ok' });
    const both = { budgetId: BUDGET, deltas: { calls: 1, tokens: 1 } };
    expect(story.outcome('reportUsageAdmin', both)).toEqual({
      ...{ kind: 'hard_breach', dimension: 'tokens', currentUsage: 100, reserved: 0, hardLimit: 100 },
    });
    expect(story.status).toMatchObject({ usage: { tokens: 100 }, breachCount: 1, lastBreachDim: 'tokens' });
    expect(story.outcome('reportUsageAdmin', { budgetId: BUDGET, deltas: { calls: 2 } })).toEqual({
      ...{ kind: 'soft_breach', dimension: 'calls', currentUsage: 2, softLimit: 1 },
    });
    expect(story.status).toMatchObject({ softBreachCount: 1, exhausted: ['calls', 'tokens'] });
  });

  test('counts a key once per day, each budget on its own', () => {
    const story = new Story();
    expect(story.report(5, 'k')).toEqual({ kind: 'ok' });
    expect(story.report(5, 'k')).toEqual({ kind: 'already_applied' });
    story.now += DAY_MS - 1;
    expect(story.report(5, 'k')).toEqual({ kind: 'already_applied' });
    story.now += 1;
    expect(story.report(5, 'k')).toEqual({ kind: 'ok' });
    expect(story.status).toMatchObject({ usage: { tokens: 10 } });
  });

  test('in advisory mode records everything and reports it', () => {
    const story = new Story({ enforcementMode: 'advisory' });
    expect(story.report(101)).toEqual({ kind: 'over_limit', dimension: 'tokens', currentUsage: 101, hardLimit: 100 });
    expect(story.status).toMatchObject({ usage: { tokens: 101 }, breachCount: 1, exhausted: [] });
  });

  test('refuses amounts that cannot be counted exactly', () => {
    const story = new Story({ limits: {} });
    story.report(LIMITS.maxInteger);
    expect(story.refusal('reportUsageAdmin', { budgetId: BUDGET, deltas: { tokens: 1 } })).toBe('invalid_input');
    expect(story.refusal('recordSpend', { budgetId: BUDGET, executionId: RUN, deltas: { tokens: 1 } })).toBe(
      'invalid_input',
    );
  });

  test('stays exhausted after a refusal until there is room for the refused amount', () => {
    const story = new Story();
    story.outcome('recordSpend', { budgetId: BUDGET, executionId: RUN, deltas: { tokens: 95 } });
    expect(story.report(10)).toMatchObject({ kind: 'hard_breach' });
    expect(story.read('readBudgetRoom', { budgetId: BUDGET })).toEqual({
      exhausted: ['tokens'],
      nextResetAt: undefined,
    });
    const raised = { budgetId: BUDGET, limits: { tokens: { hard: 104 } } };
    expect(story.outcome('updateBudgetLimits', raised)).toEqual({ kind: 'limits_updated' });
    expect(story.outcome('updateBudgetLimits', raised)).toMatchObject({ reason: 'same_limits' });
    expect(story.status).toMatchObject({ exhausted: ['tokens'] });
    story.outcome('updateBudgetLimits', { budgetId: BUDGET, limits: { tokens: { hard: 105 } } });
    expect(story.status).toMatchObject({ exhausted: [] });
  });

  test('is not exhausted by an amount above its limit, which can fit once the limit is raised', () => {
    const story = new Story();
    expect(story.report(101)).toMatchObject({ kind: 'hard_breach', hardLimit: 100 });
    expect(story.reserve(101)).toMatchObject({ kind: 'hard_breach', hardLimit: 100 });
    expect(story.status).toMatchObject({ usage: {}, exhausted: [], breachCount: 2 });
    story.outcome('updateBudgetLimits', { budgetId: BUDGET, limits: { tokens: { hard: 101 } } });
    expect(story.reserve(101)).toMatchObject({ kind: 'reserved' });
  });

  test('keeps the mark of a refused amount when one above its limit is refused, until the limit is lowered below it', () => {
    const story = new Story();
    story.report(50);
    expect(story.report(60)).toMatchObject({ kind: 'hard_breach' });
    expect(story.report(101)).toMatchObject({ kind: 'hard_breach' });
    expect(story.status).toMatchObject({ exhausted: ['tokens'] });
    for (const [hard, exhausted] of [
      [60, ['tokens']],
      [59, []],
      [100, []],
    ] as const) {
      story.outcome('updateBudgetLimits', { budgetId: BUDGET, limits: { tokens: { hard } } });
      expect(story.status).toMatchObject({ exhausted });
    }
  });

  test('is exhausted by an overrun above its limit only while everything is used', () => {
    const story = new Story();
    const one = { budgetId: BUDGET, reservationId: RESERVATION };
    story.outcome('recordSpend', { budgetId: BUDGET, executionId: RUN, deltas: { tokens: 60 } });
    story.reserve(10);
    const settled = story.outcome('settleReservation', { ...one, usage: { tokens: 500 } });
    expect(settled).toMatchObject({ overrun: { tokens: 460 } });
    expect(story.status).toMatchObject({ usage: { tokens: 100 }, exhausted: ['tokens'] });
    story.outcome('releaseBudget', { budgetId: BUDGET, executionId: RUN });
    expect(story.status).toMatchObject({ usage: { tokens: 40 }, exhausted: [] });
  });

  test('has at most 64 dimensions', () => {
    const story = new Story();
    const many = Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`d${i}`, { hard: 1 }]));
    expect(story.refusal('updateBudgetLimits', { budgetId: BUDGET, limits: many })).toBe('invalid_input');
  });
});

describe('ledgers', () => {
  const spend = (tokens: number, more: object = {}) => ({
    budgetId: BUDGET,
    executionId: RUN,
    deltas: { tokens },
    ...more,
  });

  test('take a spend back when it is released, once', () => {
    const story = new Story();
    story.outcome('recordSpend', spend(30));
    story.outcome('reportUsage', { budgetId: BUDGET, executionId: RUN, usage: { custom: { tokens: 5 } } });
    const release = { budgetId: BUDGET, executionId: RUN };
    story.now += 10;
    expect(story.outcome('releaseBudget', release)).toEqual({ kind: 'released', amounts: { tokens: 30 } });
    expect(story.outcome('releaseBudget', release)).toEqual({ kind: 'released', amounts: {} });
    expect(story.status).toMatchObject({ usage: { tokens: 5 }, lastUpdatedAt: START });
  });

  test('do not take a spend back that was made before a reset', () => {
    const story = new Story();
    story.outcome('recordSpend', spend(30));
    expect(story.outcome('resetBudget', { budgetId: BUDGET })).toEqual({ kind: 'reset', nextResetAt: 0 });
    story.outcome('recordSpend', { ...spend(7), executionId: OTHER });
    expect(story.outcome('releaseBudget', { budgetId: BUDGET, executionId: RUN })).toMatchObject({ amounts: {} });
    expect(story.status).toMatchObject({ usage: { tokens: 7 }, resetCount: 1 });
  });

  test('record and mark the usage of an owner that lost its work', () => {
    const story = new Story();
    const report = (leaseEpoch: number) =>
      story.outcome('reportUsage', { budgetId: BUDGET, executionId: RUN, leaseEpoch, usage: { inputTokens: 1 } });
    report(2);
    report(1);
    report(3);
    const stale = story.machine.partition.log.flatMap(({ event }) => ('isStale' in event ? [event.isStale] : []));
    expect(stale).toEqual([false, true, false]);
    expect(story.status).toMatchObject({ usage: { input_tokens: 3 } });
  });

  test('are dropped a week after the day of their last entry; the usage stays', () => {
    const story = new Story();
    story.outcome('recordSpend', spend(1));
    story.now += 9 * DAY_MS;
    expect(story.due()).toMatchObject({ others: { ledger: 1 } });
    expect(story.outcome('releaseBudget', { budgetId: BUDGET, executionId: RUN })).toMatchObject({ amounts: {} });
    expect(story.status).toMatchObject({ usage: { tokens: 1 } });
  });
});

describe('resets', () => {
  test('come on schedule, without drift and without a storm', () => {
    const story = new Story({ resetIntervalMs: 1_000 });
    story.report(100);
    story.now = START + 3_400;
    expect(story.due()).toMatchObject({ others: { budget: 1 }, nextDueAt: START + 4_000 });
    expect(story.status).toMatchObject({ usage: { tokens: 0 }, exhausted: [], nextResetAt: START + 4_000 });
  });

  test('by hand move the schedule; a caller that expects the old time is refused', () => {
    const story = new Story({ resetIntervalMs: 1_000 });
    story.now += 400;
    const expected = { budgetId: BUDGET, expectedNextResetAt: START + 1_000 };
    expect(story.outcome('resetBudget', expected)).toEqual({ kind: 'reset', nextResetAt: START + 1_400 });
    expect(story.outcome('resetBudget', expected)).toMatchObject({ reason: 'already_moved' });
  });

  test('that are due count as scheduled, whichever call applies them', () => {
    const story = new Story({ resetIntervalMs: 1_000 });
    story.now = START + 3_400;
    const expected = { budgetId: BUDGET, expectedNextResetAt: START + 1_000 };
    expect(story.outcome('resetBudget', expected)).toEqual({ kind: 'reset', nextResetAt: START + 4_000 });
    expect(story.outcome('resetBudget', { budgetId: BUDGET })).toEqual({ kind: 'reset', nextResetAt: START + 4_400 });
  });

  test('keep reservations', () => {
    const story = new Story();
    story.reserve(60);
    story.outcome('resetBudget', { budgetId: BUDGET });
    expect(story.reserve(50, uuid(801))).toMatchObject({ kind: 'hard_breach', reserved: 60 });
  });
});

describe('reservations', () => {
  const one = { budgetId: BUDGET, reservationId: RESERVATION };

  test('hold their amount: recorded and held amounts together stay under the limit', () => {
    const story = new Story();
    expect(story.reserve(60)).toEqual({ kind: 'reserved', expiresAt: START + 5_000 });
    expect(story.reserve(60)).toMatchObject({ reason: 'already_reserved', expiresAt: START + 5_000 });
    expect(story.refusal('reserveBudget', { ...one, amounts: { tokens: 59 } })).toBe('idempotency_conflict');
    expect(story.report(41)).toMatchObject({ kind: 'hard_breach', currentUsage: 0, reserved: 60 });
    expect(story.report(40)).toEqual({ kind: 'ok' });
    expect(story.outcome('settleReservation', { ...one, usage: { tokens: 20 } })).toEqual({
      ...{ kind: 'settled', overrun: {}, was: 'open' },
    });
    expect(story.status).toMatchObject({ usage: { tokens: 60 }, reserved: {} });
    expect(story.outcome('settleReservation', { ...one, usage: { tokens: 20 } })).toMatchObject({
      reason: 'already_settled',
    });
    for (const usage of [{ tokens: 21 }, { tokens: 20, calls: 1 }, {}] as Record<string, number>[])
      expect(story.refusal('settleReservation', { ...one, usage })).toBe('idempotency_conflict');
    expect(story.status).toMatchObject({ usage: { tokens: 60 }, reserved: {} });
    expect(story.refusal('reserveBudget', { ...one, amounts: { tokens: 1 } })).toBe('reservation_closed');
  });

  test('return their amount when they are released or lapse', () => {
    const story = new Story();
    story.reserve(100);
    story.outcome('renewReservation', { ...one, ttlMs: 9_000 });
    story.now += 8_999;
    expect(story.due()).toMatchObject({ others: {} });
    story.now += 1;
    expect(story.due()).toMatchObject({ others: { reservation: 1 } });
    expect(story.refusal('renewReservation', { ...one, ttlMs: 9_000 })).toBe('reservation_closed');
    expect(story.outcome('releaseReservation', one)).toMatchObject({ reason: 'not_open' });
    story.reserve(100, uuid(801));
    expect(story.outcome('releaseReservation', { ...one, reservationId: uuid(801) })).toEqual({
      kind: 'reservation_released',
    });
    expect(story.status).toMatchObject({ reserved: {}, usage: {} });
  });

  test('that lapsed can be settled: as far as there is room, and the rest as overrun', () => {
    const story = new Story();
    story.reserve(80);
    story.now += 5_000;
    story.due();
    story.report(50);
    expect(story.outcome('settleReservation', { ...one, usage: { tokens: 80 } })).toEqual({
      ...{ kind: 'settled', overrun: { tokens: 30 }, was: 'lapsed' },
    });
    expect(story.status).toMatchObject({ usage: { tokens: 100 }, overrun: { tokens: 30 }, exhausted: ['tokens'] });
  });

  test('can be settled above their amount where there is room', () => {
    const story = new Story();
    story.reserve(10);
    expect(story.outcome('settleReservation', { ...one, usage: { tokens: 12 } })).toMatchObject({ overrun: {} });
    expect(story.status).toMatchObject({ usage: { tokens: 12 }, exhausted: [] });
  });

  test('are forgotten a day after their end', () => {
    const story = new Story();
    expect(story.refusal('settleReservation', { ...one, usage: {} })).toBe('reservation_not_found');
    for (const name of ['renewReservation', 'releaseReservation'] as const)
      expect(story.refusal(name, one)).toBe('reservation_not_found');
    story.reserve(1);
    story.outcome('settleReservation', { ...one, usage: {} });
    story.now += DAY_MS;
    expect(story.due()).toMatchObject({ others: { reservation: 1 } });
    expect(story.refusal('settleReservation', { ...one, usage: {} })).toBe('reservation_not_found');
  });

  test('of uncountable amounts are refused', () => {
    const story = new Story({ limits: {} });
    story.report(LIMITS.maxInteger);
    expect(story.refusal('reserveBudget', { ...one, amounts: { tokens: 1 } })).toBe('invalid_input');
  });

  test('of more than half of the largest amount are settled as they are', () => {
    const large = { tokens: 6e15 };
    const story = new Story({ limits: {} });
    story.outcome('reserveBudget', { ...one, amounts: large });
    expect(story.outcome('settleReservation', { ...one, usage: large })).toMatchObject({ was: 'open', overrun: {} });
    expect(story.read('getBudgetStatus', { budgetId: BUDGET })).toMatchObject({ usage: large, reserved: {} });
  });

  test('whose use could not be counted are refused: on top of overrun, or of what was spent on the day', () => {
    const [large, more] = [{ tokens: 5e15 }, { ...one, reservationId: uuid(801) }];
    const over = new Story();
    over.outcome('reserveBudget', { ...one, amounts: { tokens: 1 } });
    over.outcome('settleReservation', { ...one, usage: large });
    over.outcome('updateBudgetLimits', { budgetId: BUDGET, limits: { tokens: { hard: 0 } } });
    expect(over.refusal('reserveBudget', { ...more, amounts: large })).toBe('invalid_input');

    const reset = new Story({ limits: {} });
    reset.report(large.tokens);
    reset.outcome('resetBudget', { budgetId: BUDGET });
    expect(reset.refusal('reserveBudget', { ...more, amounts: large })).toBe('invalid_input');
    reset.outcome('reserveBudget', { ...more, amounts: { tokens: 4e15 } });
    expect(reset.refusal('reportUsageAdmin', { budgetId: BUDGET, deltas: { tokens: 4e15 } })).toBe('invalid_input');
    expect(reset.outcome('settleReservation', { ...more, usage: { tokens: 4e15 } })).toMatchObject({ was: 'open' });
  });
});

describe('dimensions', () => {
  const named = (letter: string, count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`${letter}${i}`, 1]));
  const takes = (story: Story, deltas: Record<string, number>): boolean =>
    story.decide('reportUsageAdmin', { budgetId: BUDGET, deltas }).ok;

  test('a budget counts so many, used and reserved, and no more', () => {
    const story = new Story({ limits: {} });
    const one = { ...RESERVE, amounts: named('r', 10) };
    story.outcome('reserveBudget', one);
    expect(takes(story, named('u', LIMITS.maxDimensions - 9))).toBe(false);
    expect(takes(story, named('u', LIMITS.maxDimensions - 10))).toBe(true);
    expect(takes(story, { u0: 1, r0: 1 })).toBe(true);
    expect(story.refusal('reportUsageAdmin', { budgetId: BUDGET, deltas: { other: 1 } })).toBe('invalid_input');
    const another = { ...one, reservationId: uuid(801) };
    expect(story.refusal('reserveBudget', { ...another, amounts: { other: 1 } })).toBe('invalid_input');
    expect(story.outcome('reserveBudget', { ...another, amounts: { u0: 1 } })).toMatchObject({ kind: 'reserved' });
  });

  test('what was reserved is settled in any case, also when it has lapsed', () => {
    const story = new Story({ limits: {} });
    const held = { ...RESERVE, ttlMs: LIMITS.minReservationTtlMs };
    story.outcome('reserveBudget', { ...held, amounts: { late: 1 } });
    story.now += LIMITS.minReservationTtlMs;
    story.due();
    expect(takes(story, named('u', LIMITS.maxDimensions))).toBe(true);
    const settlement = { budgetId: BUDGET, reservationId: RESERVATION };
    expect(story.refusal('settleReservation', { ...settlement, usage: { late: 1, other: 1 } })).toBe('invalid_input');
    expect(story.outcome('settleReservation', { ...settlement, usage: { late: 2, u0: 1 } })).toMatchObject({
      was: 'lapsed',
    });
  });
});

test('a bill begins on a day that there can be, and ends', () => {
  const story = new Story();
  const last = Math.floor(LIMITS.maxInteger / DAY_MS);
  const bill = { budgetId: BUDGET, days: LIMITS.maxBilledDays };
  expect(story.read('readBudgetBill', { ...bill, fromDay: last })).toMatchObject({ days: [], damaged: [] });
  for (const fromDay of [last + 1, LIMITS.maxInteger - 40])
    expect(() => story.read('readBudgetBill', { ...bill, fromDay })).toThrow('must be an integer');
});

test('what a day takes back is an exact number, however much was spent before', () => {
  const story = new Story({ limits: {} });
  const tokens = LIMITS.maxInteger;
  const spend = (executionId: string) => {
    story.outcome('recordSpend', { budgetId: BUDGET, executionId, deltas: { tokens } });
    return () => story.outcome('releaseBudget', { budgetId: BUDGET, executionId });
  };
  const first = spend(RUN);
  story.now += DAY_MS;
  first();
  spend(OTHER)();
  const bill = { budgetId: BUDGET, fromDay: Math.floor(story.now / DAY_MS), days: 1 };
  expect(story.read('readBudgetBill', bill)).toMatchObject({ days: [{ spent: { tokens }, released: { tokens } }] });
});

test('a bill has the totals of each day, including what was released', () => {
  const story = new Story({ scopeType: 'tenant', scopeId: 't1', limits: {} });
  const today = Math.floor(START / DAY_MS);
  story.outcome('recordSpend', { budgetId: BUDGET, executionId: RUN, deltas: { tokens: 30 } });
  story.now += DAY_MS;
  story.outcome('releaseBudget', { budgetId: BUDGET, executionId: RUN });
  story.report(5);
  expect(story.read('readBudgetBill', { budgetId: BUDGET, fromDay: today - 1, days: 3 })).toEqual({
    scopeType: 'tenant',
    scopeId: 't1',
    damaged: [],
    days: [
      { day: today, spent: { tokens: 30 }, overrun: {}, released: {} },
      { day: today + 1, spent: { tokens: 5 }, overrun: {}, released: { tokens: 30 } },
    ],
  });
  story.now += DAY_MS;
  story.report(2);
  expect(story.read('readBudgetBill', { budgetId: BUDGET, fromDay: today + 2, days: 1 })).toEqual({
    scopeType: 'tenant',
    scopeId: 't1',
    days: [{ day: today + 2, spent: { tokens: 2 }, overrun: {}, released: {} }],
    damaged: [],
  });
  story.now = (today + 401) * DAY_MS;
  story.due();
  expect(story.read('readBudgetBill', { budgetId: BUDGET, fromDay: today, days: 1 })).toMatchObject({ days: [] });
  expect(story.read('listBudgets', { partition: '{b:0}' })).toEqual({
    budgets: [{ budgetId: BUDGET, scopeType: 'tenant', scopeId: 't1' }],
    damaged: [],
    nextCursor: undefined,
  });
});

test('the usage of an execution outlives resets; released usage does not', () => {
  const story = new Story({ limits: {} });
  const used = () => story.read('readBudgetUsage', { budgetId: BUDGET, executionId: RUN });
  expect(used()).toEqual({ used: {}, releasable: {} });
  story.outcome('recordSpend', { budgetId: BUDGET, executionId: RUN, deltas: { tokens: 30 } });
  expect(used()).toEqual({ used: { tokens: 30 }, releasable: { tokens: 30 } });
  story.outcome('resetBudget', { budgetId: BUDGET });
  expect(used()).toEqual({ used: { tokens: 30 }, releasable: {} });
  story.outcome('recordSpend', { budgetId: BUDGET, executionId: RUN, deltas: { tokens: 5 } });
  expect(used()).toEqual({ used: { tokens: 35 }, releasable: { tokens: 5 } });
  story.outcome('releaseBudget', { budgetId: BUDGET, executionId: RUN });
  expect(used()).toEqual({ used: { tokens: 30 }, releasable: {} });
  story.now += DAY_MS;
  story.outcome('recordSpend', { budgetId: BUDGET, executionId: RUN, deltas: { tokens: LIMITS.maxInteger - 40 } });
  story.outcome('resetBudget', { budgetId: BUDGET });
  story.now += DAY_MS;
  story.outcome('recordSpend', { budgetId: BUDGET, executionId: RUN, deltas: { tokens: 20 } });
  expect(used()).toEqual({ used: { tokens: LIMITS.maxInteger }, releasable: { tokens: 20 } });
});
