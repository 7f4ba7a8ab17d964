/**
 * What holds for budgets (spec 09, section "Invariants"). Usage is conserved: the totals follow from the events alone,
 * which are added up here without the recipes that make the state.
 */
import { present } from '../core/present.js';
import { compareBytes } from '../ids.js';
import type { Event, LoggedEvent } from '../events.js';
import type { Invariant, World } from '../specification/invariant.js';
import { amountOf, dimensionsOf, isSame, minus, plus } from './amounts.js';
import { isStrict, offending } from './charge.js';
import { nameIn, type Amounts, type ReadonlyBudget } from './facts.js';

/** The totals of one budget according to the log. */
interface Sums {
  usage: Amounts;
  reserved: Amounts;
  overrun: Amounts;
  breaches: number;
  softBreaches: number;
  resets: number;
  /** Everything billed, except days whose retention is over. */
  billed: Amounts;
  /** Whether every sum so far was an exact number. A later subtraction does not make it exact again. */
  isBilledExact: boolean;
  readonly days: Map<number, Amounts>;
  /** By execution: spend since the last reset, less what was released. */
  readonly spend: Map<string, Amounts>;
  /** When each key was used. */
  readonly keys: Map<string, number>;
}

const noSums = (): Sums => ({
  ...{ usage: {}, reserved: {}, overrun: {}, breaches: 0, softBreaches: 0, resets: 0, billed: {}, isBilledExact: true },
  days: new Map(),
  spend: new Map(),
  keys: new Map(),
});

const KEY_LIFE_MS = 86_400_000;

/** Adds an event to the totals, and returns the rule that it breaks, if any. */
function add(sums: Sums, event: Event): string | undefined {
  switch (event.type) {
    case 'usage_reported':
    case 'spend_recorded': {
      sums.usage = plus(sums.usage, event.deltas);
      bill(sums, event.deltas);
      if (event.overDimension !== undefined) sums.breaches++;
      else if (event.softDimension !== undefined) sums.softBreaches++;
      if (event.type === 'spend_recorded' && event.spender !== undefined)
        sums.spend.set(event.spender, plus(sums.spend.get(event.spender) ?? {}, event.deltas));
      return appliedTwice(sums, event.usageKey, event.at);
    }
    case 'budget_hard_breached':
      sums.breaches++;
      return undefined;
    case 'budget_released':
      sums.usage = without(sums.usage, event.amounts);
      if (JSON.stringify(sums.spend.get(event.spender) ?? {}) !== JSON.stringify(event.amounts))
        return 'a release takes back what was not spent';
      sums.spend.delete(event.spender);
      return undefined;
    case 'ledger_dropped':
      // A forgotten ledger cannot be released any more.
      sums.spend.delete(event.spender);
      return undefined;
    case 'budget_reset':
      sums.usage = {};
      sums.overrun = {};
      sums.spend.clear();
      sums.resets++;
      return undefined;
    case 'reservation_made':
      sums.reserved = plus(sums.reserved, event.amounts);
      return undefined;
    case 'reservation_released':
    case 'reservation_lapsed':
      sums.reserved = without(sums.reserved, event.held);
      return undefined;
    case 'reservation_settled':
      sums.reserved = without(sums.reserved, event.held);
      sums.usage = plus(sums.usage, event.deltas);
      sums.overrun = plus(sums.overrun, event.overrun);
      bill(sums, plus(event.deltas, event.overrun));
      return undefined;
    case 'budget_day_closed':
      sums.days.set(event.day, plus(sums.days.get(event.day) ?? {}, plus(event.spent, event.overrun)));
      return undefined;
    case 'bill_dropped':
      sums.billed = without(sums.billed, sums.days.get(event.day) ?? {});
      return undefined;
    default:
      return undefined;
  }
}

function bill(sums: Sums, amounts: Amounts): void {
  sums.billed = plus(sums.billed, amounts);
  sums.isBilledExact &&= dimensionsOf(sums.billed).every(
    (name) => amountOf(sums.billed, name) <= Number.MAX_SAFE_INTEGER,
  );
}

function appliedTwice(sums: Sums, key: string | undefined, at: number): string | undefined {
  if (key === undefined) return undefined;
  const before = sums.keys.get(key);
  sums.keys.set(key, at);
  return before !== undefined && at < before + KEY_LIFE_MS ? `the key ${key} counted twice` : undefined;
}

/** Keeps negative results: they are the defect that this looks for. */
const without = (a: Amounts, b: Amounts): Amounts =>
  Object.fromEntries(
    [...new Set([...dimensionsOf(a), ...dimensionsOf(b)])].map((name) => [name, amountOf(a, name) - amountOf(b, name)]),
  );

interface Added {
  readonly sums: ReadonlyMap<string, Sums>;
  readonly fault: string | undefined;
}

const added = new WeakMap<readonly LoggedEvent[], { readonly length: number; readonly result: Added }>();

/** The totals of every budget. One log is added up once for all rules. */
function sumsOf(log: readonly LoggedEvent[]): Added {
  const known = added.get(log);
  if (known?.length === log.length) return known.result;
  const sums = new Map<string, Sums>();
  let fault: string | undefined;
  for (const { event } of log) {
    if (!('budgetId' in event)) continue;
    const own = sums.get(event.budgetId) ?? noSums();
    sums.set(event.budgetId, own);
    const broken = add(own, event);
    if (broken !== undefined) fault ??= `${event.budgetId}: ${broken}`;
  }
  const result = { sums, fault };
  added.set(log, { length: log.length, result });
  return result;
}

/** Whether two maps have equal amounts; absent is 0. */
type Rule = (budget: ReadonlyBudget, world: World) => boolean;

function ofBudget(name: string, holds: Rule): Invariant {
  return {
    name,
    check(world) {
      for (const budget of world.state.tables.budget.values())
        if (!holds(budget, world)) return `${budget.budgetId}: ${JSON.stringify(budget)}`;
      return undefined;
    },
  };
}

/** A rule that compares a budget with its events. It needs the whole log, and holds for a trimmed one. */
function bySums(name: string, holds: (budget: ReadonlyBudget, sums: Sums, world: World) => boolean): Invariant {
  return ofBudget(name, (budget, world) => {
    const sums = world.replay.whole ? sumsOf(world.log).sums.get(budget.budgetId) : undefined;
    return sums === undefined || holds(budget, sums, world);
  });
}

const openOf = ({ budgetId }: ReadonlyBudget, { state }: World) =>
  [...state.tables.reservation.values()].filter(
    ({ name, reservationState }) => reservationState === 'open' && name.startsWith(`${budgetId}:`),
  );

const ledgersOf = ({ budgetId, resetCount }: ReadonlyBudget, { state }: World) =>
  [...state.tables.ledger.values()].filter(
    ({ name, generation }) => generation === resetCount && name.startsWith(`${budgetId}:`),
  );

/** Whether every amount that was accepted had room under the hard limits of its time. */
function keptUnderLimits({ budgetId }: ReadonlyBudget, log: readonly LoggedEvent[]): boolean {
  let budget: ReadonlyBudget | undefined;
  for (const { event } of log) {
    if (!('budgetId' in event) || event.budgetId !== budgetId) continue;
    if (event.type === 'budget_created') budget = { ...event, usage: {}, reserved: {} } as unknown as ReadonlyBudget;
    if (budget === undefined || !isStrict(budget)) continue;
    const grows = event.type === 'usage_reported' || event.type === 'spend_recorded' ? event.deltas : undefined;
    const more = grows ?? (event.type === 'reservation_made' ? event.amounts : undefined);
    if (more !== undefined && offending(budget, more) !== undefined) return false;
    budget = followed(budget, event);
  }
  return true;
}

function followed(budget: ReadonlyBudget, event: Event): ReadonlyBudget {
  const sums = { ...noSums(), usage: budget.usage, reserved: budget.reserved };
  add(sums, event);
  const limits = event.type === 'budget_limits_updated' ? { hardLimits: event.hardLimits } : {};
  return { ...budget, ...limits, usage: sums.usage, reserved: sums.reserved };
}

const sumOf = (all: readonly Amounts[]): Amounts => all.reduce((sum, amounts) => plus(sum, amounts), {});

export const budgetInvariants: readonly Invariant[] = [
  bySums(
    'usage of a budget is what was accepted since its last reset, without what was released',
    (budget, { usage, overrun }) => isSame(budget.usage, usage) && isSame(budget.overrun, overrun),
  ),
  bySums('what a budget holds is what its open reservations hold', (budget, { reserved }, world) => {
    const held = sumOf(openOf(budget, world).map(({ amounts }) => amounts));
    return isSame(budget.reserved, reserved) && isSame(budget.reserved, held);
  }),
  bySums('nothing is accepted that a hard limit has no room for', (budget, _, { log }) => keptUnderLimits(budget, log)),
  bySums(
    'breaches of a budget are counted as often as they were answered',
    (budget, { breaches, softBreaches, resets }) =>
      budget.breachCount === breaches && budget.softBreachCount === softBreaches && budget.resetCount === resets,
  ),
  bySums('a bill has what was spent, each on one day', (budget, { billed, isBilledExact }, { state }) => {
    const bills = [...state.tables.bill.values()].filter(({ name }) => name.startsWith(`${budget.budgetId}:`));
    const days = bills.flatMap(({ spent, overrun }) => [spent, overrun]);
    // Each day is bounded; the sum over all days can exceed an exact number.
    return !isBilledExact || isSame(billed, sumOf([...days, budget.spentToday, budget.overrunToday]));
  }),
  {
    name: 'a key of a budget counts once within its life, and a release takes back what was spent',
    check: ({ log, replay }) => (replay.whole && !replay.steppedBack ? sumsOf(log).fault : undefined),
  },
  ofBudget('the spend of all ledgers of a budget is at most its usage', (budget, world) => {
    const spend = sumOf(ledgersOf(budget, world).map((ledger) => ledger.spend));
    return dimensionsOf(minus(spend, budget.usage)).length === 0;
  }),
  ofBudget('a dimension stays exhausted only while there is no room for what was refused', (budget) =>
    dimensionsOf(budget.refused).every((name) => {
      const refused = amountOf(budget.refused, name);
      return refused > 0 && refused <= amountOf(budget.hardLimits, name);
    }),
  ),
  ofBudget(
    'a budget is reset again if and only if it has an interval',
    ({ nextResetAt, resetIntervalMs }) => (nextResetAt !== undefined) === resetIntervalMs > 0,
  ),
  ofBudget('amounts stand in the order of their names', (budget) =>
    [budget.usage, budget.reserved, budget.hardLimits, budget.softLimits, budget.refused, budget.spentToday].every(
      (amounts) =>
        dimensionsOf(amounts).every((name, i, all) => i === 0 || compareBytes(present(all[i - 1]), name) < 0),
    ),
  ),
  {
    name: 'reservations, ledgers, usage keys and bills belong to an existing budget',
    check({ state: { tables } }) {
      const names = [tables.reservation, tables.ledger, tables.usage_key, tables.bill].flatMap((table) => [
        ...table.keys(),
      ]);
      return names.find((name) => !tables.budget.has(name.slice(0, name.indexOf(':'))));
    },
  },
  {
    name: 'only createBudget creates a budget',
    check: ({ state, log, replay }) =>
      replay.whole
        ? [...state.tables.budget.keys()].find(
            (id) => !log.some(({ event }) => event.type === 'budget_created' && event.budgetId === id),
          )
        : undefined,
  },
  {
    name: 'a day has one bill, filed under its number',
    check: ({ state }) =>
      [...state.tables.bill].find(
        ([id, { name, day }]) => id !== name || id !== nameIn(id.slice(0, id.indexOf(':')), day),
      )?.[0],
  },
];
