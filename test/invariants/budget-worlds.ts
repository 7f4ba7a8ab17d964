/** A good world of budgets, and how each of their invariants is broken in it. */
import type { Budget, Ledger, Reservation } from '../../model/budget/facts.js';
import type { Event } from '../../model/events.js';
import type { Command } from '../../model/machine.js';
import { SpecMachine } from '../../model/specification/machine.js';
import { parseCommand } from '../../src/backend/boundary.js';
import type { Broken } from './worlds.js';

const START = 1_700_000_000_000;
const DAY_MS = 86_400_000;
const BUDGET = 'b0b0b0b0-0000-4000-a000-000000000001';
const RUN = '{fp:0}:00000000-0000-4000-a000-000000000001';
const reservation = (n: number): string => `cafecafe-0000-4000-a000-00000000000${n}`;

/** A budget with a reset behind it, a closed day, a ledger, a key, and reservations open and closed. */
export function budgetWorld(): Broken {
  const machine = new SpecMachine({ retentionMs: 0 }, '{b:0}');
  let now = START;
  const run = (command: Command): void => void machine.run(parseCommand(command.name, command.args, 'memory'), now);
  const limits = { tokens: { hard: 100, soft: 50 }, calls: { hard: 9 } };
  run({ name: 'createBudget', args: { budgetId: BUDGET, limits, resetIntervalMs: 10 * DAY_MS } });
  run({ name: 'recordSpend', args: { budgetId: BUDGET, executionId: RUN, deltas: { tokens: 3 } } });
  now += DAY_MS;
  run({ name: 'resetBudget', args: { budgetId: BUDGET } });
  run({
    name: 'recordSpend',
    args: { budgetId: BUDGET, executionId: RUN, deltas: { calls: 1, tokens: 60 }, idempotencyKey: 'k' },
  });
  for (const n of [1, 2])
    run({ name: 'reserveBudget', args: { budgetId: BUDGET, reservationId: reservation(n), amounts: { tokens: 9 } } });
  run({
    name: 'settleReservation',
    args: { budgetId: BUDGET, reservationId: reservation(1), usage: { tokens: 5 } },
  });
  run({ name: 'reportUsageAdmin', args: { budgetId: BUDGET, deltas: { tokens: 90 } } });
  return { state: structuredClone(machine.partition.state), log: structuredClone(machine.partition.log), now };
}

const budgetOf = ({ state }: Broken): Budget => state.tables.budget.get(BUDGET) as Budget;
const ledgerOf = ({ state }: Broken): Ledger => state.tables.ledger.get(`${BUDGET}:${RUN}`) as Ledger;
const openOf = ({ state }: Broken): Reservation =>
  state.tables.reservation.get(`${BUDGET}:${reservation(2)}`) as Reservation;
const eventOf = <Type extends Event['type']>({ log }: Broken, type: Type): Extract<Event, { type: Type }> =>
  log.findLast(({ event }) => event.type === type)?.event as Extract<Event, { type: Type }>;

export const BUDGET_BREAKS: Record<string, (world: Broken) => void> = {
  'usage of a budget is what was accepted since its last reset, without what was released': (it) =>
    (budgetOf(it).usage = { calls: 1, tokens: 64 }),
  'what a budget holds is what its open reservations hold': (it) => (openOf(it).amounts = { tokens: 8 }),
  'nothing is accepted that a hard limit has no room for': (it) =>
    ((eventOf(it, 'spend_recorded') as { deltas: object }).deltas = { calls: 1, tokens: 101 }),
  'breaches of a budget are counted as often as they were answered': (it) => (budgetOf(it).breachCount += 1),
  'a bill has what was spent, each on one day': (it) => (budgetOf(it).spentToday = { calls: 1, tokens: 64 }),
  'a key of a budget counts once within its life, and a release takes back what was spent': (it) =>
    it.log.push({ sequence: it.log.length + 1, event: eventOf(it, 'spend_recorded') }),
  'the spend of all ledgers of a budget is at most its usage': (it) => (ledgerOf(it).spend = { tokens: 66 }),
  'a dimension stays exhausted only while there is no room for what was refused': (it) =>
    (budgetOf(it).refused = { other: 1 }),
  'a budget is reset again if and only if it has an interval': (it) => (budgetOf(it).nextResetAt = undefined),
  'amounts stand in the order of their names': (it) => (budgetOf(it).usage = { tokens: 65, calls: 1 }),
  'reservations, ledgers, usage keys and bills belong to an existing budget': (it) =>
    it.state.tables.usage_key.set('other:k', { name: 'other:k', expiresAt: it.now + 1 }),
  'only createBudget creates a budget': (it) =>
    it.state.tables.budget.set('other', { ...budgetOf(it), budgetId: 'other' }),
  'a day has one bill, filed under its number': ({ state }) => {
    const [[id, bill]] = [...state.tables.bill] as [[string, object]];
    state.tables.bill.set(id, { ...bill, day: 1 } as never);
  },
};
