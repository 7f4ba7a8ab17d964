/**
 * A small world of one budget and two holders, explored exhaustively to a depth: they reserve, report, settle and
 * release; time passes; the budget is reset. Every invariant is checked in every state, and everything that must be
 * reachable is reached.
 */
import type { AnyDecision, Command } from '../../model/machine.js';
import { violations } from '../../model/specification/invariants.js';
import type { LoggedEvent } from '../../model/events.js';
import { apply, decide, idOf, rootNode, START_AT, type Small } from './node.js';

const BUDGET = idOf(700);
const RUN = `{fp:0}:${idOf(1)}`;
const RESERVATIONS = { A: idOf(801), B: idOf(802) } as const;
const HOLDERS = ['A', 'B'] as const;
/** Tokens in the budget, the amount of a reservation, and possible amounts of usage. */
const LIMIT = 3;
const HELD = 2;
const USED = [0, 1, 3] as const;
const RESET_MS = 3_000;

interface State extends Small {
  readonly now: number;
  readonly path: readonly string[];
}

/** A move in words, and its result; undefined when it is not possible. */
type Move = readonly [words: string, command: Command];

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

/** Later states of one: time passes to the next timer. */
function later(state: State): State | undefined {
  const times = [...state.state.tables.budget.values()].map(({ nextResetAt }) => nextResetAt ?? Infinity);
  for (const { endsAt, reservationState } of state.state.tables.reservation.values())
    if (reservationState === 'open') times.push(endsAt);
  const next = Math.min(...times);
  if (!Number.isFinite(next) || next <= state.now || next > START_AT + 2 * RESET_MS) return undefined;
  return { ...state, now: next, path: [...state.path, `time passes, it is +${next - START_AT} ms`] };
}

export interface BudgetExploration {
  readonly states: number;
  /** Reached answers: `<operation> <kind or code>`. */
  readonly reached: ReadonlySet<string>;
  /** Violations, each with the path to it. */
  readonly broken: { readonly name: string; readonly path: readonly string[] } | undefined;
}

/** Decides on a command; tests can replace it with a broken decision. */
export type Decider = (state: State, command: Command) => AnyDecision;

const honest: Decider = (state, command) => decide(state, command);

/** Explores to a depth, breadth first, so every reported path is a shortest one. */
export function exploreBudgets(depth: number, decider: Decider = honest): BudgetExploration {
  const reached = new Set<string>();
  const seen = new Set<string>();
  let frontier: State[] = [{ ...rootNode(), path: [] }];
  for (let level = 0; level < depth; level++) {
    const next: State[] = [];
    for (const state of frontier) {
      const after = commandsAt(state).flatMap(([words, command]): State[] => {
        const decision = decider(state, command);
        const answer = decision.ok ? decision.outcome.kind : decision.code;
        reached.add(`${command.name} ${answer}`);
        if (!decision.ok || decision.events.length === 0) return [];
        return [{ ...state, ...apply(state, decision), path: [...state.path, `${words} -> ${answer}`] }];
      });
      const passed = later(state);
      if (passed !== undefined) after.push(passed);
      for (const each of after) {
        const key = keyOf(each);
        if (seen.has(key)) continue;
        seen.add(key);
        const [broken] = violations(each.state, each.log as LoggedEvent[], each.now);
        if (broken !== undefined) return { states: seen.size, reached, broken: { name: broken.name, path: each.path } };
        next.push(each);
      }
    }
    frontier = next;
  }
  return { states: seen.size, reached, broken: undefined };
}
