/** Conformance of budgets: enforced limits, reservations, scheduled resets, bills. */
import assert from 'node:assert/strict';
import { refused, type ConformanceScenario } from './steps.js';

const DAY_MS = 86_400_000;

export const budgetScenarios: readonly ConformanceScenario[] = [
  {
    name: 'many concurrent callers spend a budget to its last unit and not beyond',
    async run(engine) {
      const { backend } = engine;
      const budgetId = engine.uuid();
      await backend.createBudget({ budgetId, limits: { tokens: { hard: 100 } } });
      assert.ok(backend.settings.families.includes('budget'));
      const answers = await Promise.all(
        Array.from({ length: 30 }, () => backend.reportUsageAdmin({ budgetId, deltas: { tokens: 4 } })),
      );
      assert.equal(answers.filter(({ kind }) => kind === 'ok').length, 25);
      assert.equal(answers.filter(({ kind }) => kind === 'hard_breach').length, 5);
      const { usage, exhausted, breachCount } = await backend.getBudgetStatus({ budgetId });
      assert.deepEqual([usage, exhausted, breachCount], [{ tokens: 100 }, ['tokens'], 5]);
      await assert.rejects(backend.getBudgetStatus({ budgetId: engine.uuid() }), { code: 'budget_not_found' });
    },
  },
  {
    name: 'a reservation holds its amount, is settled by the usage, and lapses by itself',
    async run(engine) {
      const { backend } = engine;
      const budgetId = engine.uuid();
      const [first, second] = [engine.uuid(), engine.uuid()];
      await backend.createBudget({ budgetId, limits: { tokens: { hard: 100 } } });
      const amounts = { tokens: 60 };
      await backend.reserveBudget({ budgetId, reservationId: first, amounts, ttlMs: 5_000 });
      const breach = await backend.reserveBudget({ budgetId, reservationId: second, amounts, ttlMs: 5_000 });
      assert.equal(breach.kind, 'hard_breach');
      await engine.advance(5_000);
      const { reserved, exhausted } = await backend.getBudgetStatus({ budgetId });
      assert.deepEqual([reserved, exhausted], [{}, []]);
      await backend.reserveBudget({ budgetId, reservationId: second, amounts, ttlMs: 5_000 });
      const settled = await backend.settleReservation({ budgetId, reservationId: second, usage: { tokens: 10 } });
      assert.deepEqual(settled, { kind: 'settled', overrun: {}, was: 'open' });
      const again = { budgetId, reservationId: second };
      const { kind } = await backend.settleReservation({ ...again, usage: { tokens: 10 } });
      assert.equal(kind, 'already_satisfied');
      await refused(backend.settleReservation({ ...again, usage: { tokens: 11 } }), 'idempotency_conflict');
      const late = await backend.settleReservation({ budgetId, reservationId: first, usage: { tokens: 95 } });
      assert.deepEqual(late, { kind: 'settled', overrun: { tokens: 5 }, was: 'lapsed' });
      assert.deepEqual((await backend.getBudgetStatus({ budgetId })).usage, { tokens: 100 });
    },
  },
  {
    name: 'a budget is reset on its schedule, and its bill has a row for each day',
    async run(engine) {
      const { backend } = engine;
      const budgetId = engine.uuid();
      const limits = { cents: { hard: 10 } };
      const today = Math.floor(engine.now() / DAY_MS);
      await backend.createBudget({ budgetId, scopeType: 'tenant', scopeId: 'Größe', resetIntervalMs: DAY_MS, limits });
      await backend.reportUsageAdmin({ budgetId, deltas: { cents: 7 } });
      await engine.advance(DAY_MS);
      await backend.reportUsageAdmin({ budgetId, deltas: { cents: 9 } });
      const { usage, resetCount, nextResetAt, createdAt } = await backend.getBudgetStatus({ budgetId });
      assert.deepEqual([usage, resetCount, nextResetAt], [{ cents: 9 }, 1, createdAt + 2 * DAY_MS]);
      const bill = await backend.readBudgetBill({ budgetId, fromDay: today, days: 2 });
      assert.deepEqual(
        bill.days.map(({ spent }) => spent),
        [{ cents: 7 }, { cents: 9 }],
      );
    },
  },
  {
    name: 'a budget counts up to the largest exact number, and 64 dimensions',
    async run(engine) {
      const { backend } = engine;
      const [budgetId, reservationId] = [engine.uuid(), engine.uuid()];
      const reserved = { large: 6e15, late: 1 };
      await backend.createBudget({ budgetId });
      await backend.reserveBudget({ budgetId, reservationId, amounts: reserved });
      const deltas = { large: 6e15 };
      await refused(backend.reportUsageAdmin({ budgetId, deltas }), 'invalid_input');
      const many = Object.fromEntries(Array.from({ length: 62 }, (_, i) => [`d${i}`, 1]));
      await backend.reportUsageAdmin({ budgetId, deltas: many });
      await refused(backend.reportUsageAdmin({ budgetId, deltas: { other: 1 } }), 'invalid_input');
      const amounts = { other: 1 };
      await refused(backend.reserveBudget({ budgetId, reservationId: engine.uuid(), amounts }), 'invalid_input');
      const settlement = { budgetId, reservationId };
      await refused(backend.settleReservation({ ...settlement, usage: { ...reserved, other: 1 } }), 'invalid_input');
      const settled = await backend.settleReservation({ ...settlement, usage: reserved });
      assert.deepEqual(settled, { kind: 'settled', overrun: {}, was: 'open' });
      const { usage } = await backend.getBudgetStatus({ budgetId });
      assert.deepEqual(usage, { ...many, ...reserved });
      const fromDay = Math.floor(Number.MAX_SAFE_INTEGER / DAY_MS);
      assert.deepEqual((await backend.readBudgetBill({ budgetId, fromDay, days: 31 })).days, []);
      await refused(backend.readBudgetBill({ budgetId, fromDay: fromDay + 1, days: 31 }), 'invalid_input');
    },
  },
];
