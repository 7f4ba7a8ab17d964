/** Budgets in a handler, charged to its run. */
import type { OutcomeOf } from '../../../model/machine.js';
import { DEFAULTS, LIMITS } from '../../../model/limits.js';
import type { Backend } from '../../backend.js';
import type { Clock } from '../../engine/clock.js';
import { checkDuration, shown } from '../../shared/checks.js';
import { durationMs, type Duration } from '../../shared/duration.js';
import { InvalidDefinitionError } from '../../shared/errors.js';
import { knownOnly } from '../../shared/known-only.js';
import type { Attempt } from '../attempt.js';
import { untilAnswered } from '../checkpoints/calls.js';
import { BudgetExceededError } from './errors.js';
import { Held, type Amounts, type BudgetReservation } from './held.js';

/** A budget of an app. */
export interface BudgetRef {
  readonly id: string;
  /** Resolves when it exists. */
  ready(): Promise<void>;
}

export interface ReserveOptions {
  /**
   * How long the reservation outlives this process if that dies; renewed while the handler runs. Default one minute.
   */
  readonly ttl?: Duration | undefined;
}

export interface ReportOptions {
  /** A repetition with the same key within 24 h records nothing. Default none. */
  readonly key?: string | undefined;
}

/** A budget, as a handler uses it. */
export interface RunBudget {
  /**
   * Reserves an amount before you use it. Settle it with what you used.
   * @throws BudgetExceededError if a hard limit has no room for it
   * @example await using held = await budget(tokens).reserve({ tokens: 500 });
   */
  reserve(amounts: Amounts, options?: ReserveOptions): Promise<BudgetReservation>;
  /** Records usage. @throws BudgetExceededError if a hard limit has no room; nothing is recorded */
  report(used: Amounts, options?: ReportOptions): Promise<void>;
}

export interface SpendingDependencies {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly ids: () => string;
}

/** Throws where a hard limit refused. */
export function assertRoom(
  budgetId: string,
  outcome: OutcomeOf<'reportUsageAdmin'> | OutcomeOf<'reserveBudget'>,
): void {
  if (outcome.kind !== 'hard_breach') return;
  const { dimension, currentUsage, reserved, hardLimit } = outcome;
  throw new BudgetExceededError(budgetId, dimension, currentUsage, reserved, hardLimit);
}

/** `budget` of the context of an attempt. */
export function spendingOf(
  attempt: Attempt,
  { backend, clock, ids }: SpendingDependencies,
): (budget: BudgetRef) => RunBudget {
  const { executionId, fence } = attempt;
  const by = { executionId, leaseEpoch: fence.leaseEpoch };
  const ask = <T>(call: () => Promise<T>): Promise<T> => untilAnswered(attempt, clock, call);
  const of = (budget: BudgetRef): RunBudget => ({
    async reserve(amounts, options = {}) {
      knownOnly<ReserveOptions>('reserve', options, { ttl: true });
      const { ttl = DEFAULTS.reservationTtlMs } = options;
      checkDuration('reserve', 'ttl', ttl, LIMITS.minReservationTtlMs, LIMITS.maxReservationTtlMs);
      attempt.throwIfAborted();
      await budget.ready();
      const ttlMs = durationMs(ttl);
      const reservationId = ids();
      const args = { budgetId: budget.id, reservationId, amounts, ttlMs };
      assertRoom(budget.id, await ask(() => backend.reserveBudget({ ...args, ...by })));
      const isOver = (): boolean => attempt.isOver || attempt.signal.aborted;
      return new Held({ ...args, backend, clock, ask, leaseEpoch: fence.leaseEpoch, isOver });
    },
    async report(used, options = {}) {
      knownOnly<ReportOptions>('report', options, { key: true });
      const { key } = options;
      await budget.ready();
      const args = { budgetId: budget.id, ...by, usage: { custom: { ...used } } };
      const report = () => backend.reportUsage({ ...args, dedupKey: key });
      // Without a key, a report whose answer was lost would count twice.
      assertRoom(budget.id, await (key === undefined ? report() : ask(report)));
    },
  });
  return (budget) => {
    const { ready } = Object(budget) as Partial<BudgetRef>;
    if (typeof ready === 'function') return of(budget);
    throw new InvalidDefinitionError(`budget(): pass what app.budget(...) gave, not ${shown(budget)}`);
  };
}
