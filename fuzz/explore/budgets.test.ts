import { expect, test } from 'vitest';
import { decide } from './node.js';
import { exploreBudgets } from './budgets.js';

test('one budget and two holders: the limit holds in every order of their calls and lapses', {
  timeout: 60_000,
}, () => {
  const { states, reached, broken } = exploreBudgets(5);
  console.log(`${states} states`);
  expect(broken).toBeUndefined();
  for (const answer of [
    'reserveBudget reserved',
    'reserveBudget hard_breach',
    'reserveBudget reservation_closed',
    'settleReservation settled',
    'settleReservation already_satisfied',
    'settleReservation idempotency_conflict',
    'settleReservation reservation_not_found',
    'releaseReservation reservation_released',
    'reportUsageAdmin hard_breach',
    'releaseBudget released',
    'resetBudget reset',
    'applyDue applied',
  ])
    expect(reached).toContain(answer);
});

test('a reservation that ignores other reservations is found, by a shortest path', { timeout: 60_000 }, () => {
  const { broken } = exploreBudgets(4, (state, command) => {
    const decision = decide(state, command);
    if (command.name !== 'reserveBudget' || !decision.ok || decision.outcome.kind !== 'hard_breach') return decision;
    const { budgetId, reservationId, amounts } = command.args;
    const made = { ...{ budgetId, reservationId, amounts }, at: state.now, endsAt: state.now + 1_000 };
    const event = { type: 'reservation_made', ...made, spender: undefined, leaseEpoch: undefined } as const;
    return { ok: true, outcome: { kind: 'reserved', expiresAt: made.endsAt }, events: [event] };
  });
  expect(broken?.name).toBe('nothing is accepted that a hard limit has no room for');
  expect(broken?.path).toEqual(['create -> created', 'A reserves -> reserved', 'B reserves -> reserved']);
});
