/**
 * A small world of one budget and two holders, explored exhaustively to a depth: they reserve, report, settle and
 * release; time passes; the budget is reset. Everything that must be reachable is reached.
 */
import { exploreWorld, type Decider, type Exploration, type Move, type State } from './metered-world.js';
import { idOf } from './node.js';

const BUDGET = idOf(700);
const RUN = `{fp:0}:${idOf(1)}`;
const RESERVATIONS = { A: idOf(801), B: idOf(802) } as const;
const HOLDERS = ['A', 'B'] as const;
/** Tokens in the budget, the amount of a reservation, and possible amounts of usage. */
const LIMIT = 3;
const HELD = 2;
const USED = [0, 1, 3] as const;
const RESET_MS = 3_000;

function commandsAt({ state }: State): readonly Move[] {
  if (!state.tables.budget.has(BUDGET)) {
    const limits = { tokens: { hard: LIMIT } };
    return [['create', { name: 'createBudget', args: { budgetId: BUDGET, limits, resetIntervalMs: RESET_MS } }]];
  }
  return [
    ['report 1', { name: 'reportUsageAdmin', args: { budgetId: BUDGET, deltas: { tokens: 1 } } }],
    ['spend 1', { name: 'recordSpend', args: { budgetId: BUDGET, executionId: RUN, deltas: { tokens: 1 } } }],
    ['take back', { name: 'releaseBudget', args: { budgetId: BUDGET, executionId: RUN } }],
    ['reset', { name: 'resetBudget', args: { budgetId: BUDGET } }],
    ...HOLDERS.flatMap((holder) => movesOf(holder)),
    ['the engine applies', { name: 'applyDue', args: { partition: '{b:0}' } }],
  ];
}

function movesOf(holder: keyof typeof RESERVATIONS): readonly Move[] {
  const its = { budgetId: BUDGET, reservationId: RESERVATIONS[holder] };
  return [
    [`${holder} reserves`, { name: 'reserveBudget', args: { ...its, amounts: { tokens: HELD }, ttlMs: 1_000 } }],
    [`${holder} gives back`, { name: 'releaseReservation', args: its }],
    ...USED.map(
      (tokens): Move => [
        `${holder} settles ${tokens}`,
        { name: 'settleReservation', args: { ...its, usage: { tokens } } },
      ],
    ),
  ];
}

/** What makes two states equal: everything except the log, with times relative to now. */
function keyOf({ state: { tables }, now }: State): string {
  const relative = (name: string, value: unknown): unknown =>
    /At$/.test(name) && typeof value === 'number' ? value - now : value;
  const rows = [tables.budget, tables.reservation, tables.ledger].map((table) => [...table]);
  return JSON.stringify(rows, (name, value: unknown) =>
    name === 'breachCount' || name === 'resetCount' || name === 'lastUpdatedAt' ? undefined : relative(name, value),
  );
}

/** When a reservation ends, or the budget is reset. */
function nextAt({ state: { tables } }: State): number {
  const times = [...tables.budget.values()].map(({ nextResetAt }) => nextResetAt ?? Infinity);
  for (const { endsAt, reservationState } of tables.reservation.values())
    if (reservationState === 'open') times.push(endsAt);
  return Math.min(...times);
}

/** Explores to a depth. */
export const exploreBudgets = (depth: number, decider?: Decider): Exploration =>
  exploreWorld({ commandsAt, keyOf, nextAt, lengthMs: 2 * RESET_MS }, depth, decider);
