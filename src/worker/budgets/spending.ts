/** Budgets in a handler, charged to its run. */
import type { OutcomeOf } from '../../../model/machine.js';
import type { Amounts } from '../../../model/budget/facts.js';
import { idempotencyKey } from '../../../model/core/fields.js';
import { LIMITS } from '../../../model/limits.js';
import type { Backend } from '../../backend/backend.js';
import type { Clock } from '../../engine/clock.js';
import { checkDuration, checkField, shown } from '../../shared/checks.js';
import { durationMs, type Duration } from '../../shared/duration.js';
import { InvalidDefinitionError } from '../../shared/errors.js';
import { knownOnly } from '../../shared/known-only.js';
import { propertyOf } from '../../util/thrown.js';
import type { Attempt } from '../attempt/attempt.js';
import { untilAnswered } from '../checkpoints/calls.js';
import type { Logger } from '../../shared/logger.js';
import { promisesOf } from '../handler/promises.js';
import { BudgetExceededError } from './errors.js';
import { someAmountsFor, type AmountsOf, type BudgetWords } from './amounts.js';
import { defaultTtlMs, Held, type BudgetReservation } from './held.js';
import { reserveInTime } from './room.js';

/** A budget of an app. */
export interface BudgetRef<Dimension extends string = string> extends BudgetWords<Dimension> {
  readonly id: string;
  /** Resolves when the budget was created. */
  ready(): Promise<void>;
  /** Makes a call for which the budget must exist. Creates it again, and repeats the call, if the server has lost it. */
  ensured<T>(call: () => Promise<T>): Promise<T>;
}

export interface ReserveOptions {
  /**
   * How long the reservation outlives this process if that dies; renewed while the handler runs. Default five thirds of
   * the lease, so that it outlives what the lease outlives, and at most a day.
   */
  readonly ttl?: Duration | undefined;
  /**
   * How long to wait for room that other reservations or a reset may make, before the refusal. The handler keeps its
   * slot meanwhile. Default: not at all.
   */
  readonly wait?: Duration | undefined;
}

export interface ReportOptions {
  /** A repetition with the same key within 24 h records nothing. Default none. */
  readonly key?: string | undefined;
}

/** A budget, as a handler uses it. */
export interface RunBudget<Dimension extends string = string> {
  /**
   * Reserves an amount before you use it. Settle it with what you used. In a run that was taken over from a lost
   * worker, a refusal comes after `ttl` at the latest, or 5/3 of the lost lease if that is longer: until then it may
   * hold the room.
   * @throws BudgetExceededError if a hard limit has no room for it; InvalidDefinitionError for a dimension that the
   *   budget does not have
   * @example await using held = await budget(tokens).reserve({ tokens: 500 });
   */
  reserve(amounts: AmountsOf<Dimension>, options?: ReserveOptions): Promise<BudgetReservation<Dimension>>;
  /** Records usage. @throws BudgetExceededError if a hard limit has no room; nothing is recorded */
  report(used: AmountsOf<Dimension>, options?: ReportOptions): Promise<void>;
}

export interface SpendingDependencies {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly ids: () => string;
  readonly log: Logger;
}

/** @throws BudgetExceededError if a hard limit refused the amounts */
export function assertRoom(
  { id: budgetId, name: budget }: Pick<BudgetRef, 'id' | 'name'>,
  amounts: Amounts,
  outcome: OutcomeOf<'reportUsageAdmin'> | OutcomeOf<'reserveBudget'>,
): void {
  if (outcome.kind !== 'hard_breach') return;
  const { dimension, currentUsage: usage, reserved, hardLimit: limit } = outcome;
  throw new BudgetExceededError({ budgetId, budget, dimension, asked: amounts[dimension], usage, reserved, limit });
}

/** @throws InvalidDefinitionError for a value that is no budget */
export function needBudget(where: string, budget: unknown): void {
  if (typeof propertyOf(budget, 'ensured') === 'function') return;
  throw new InvalidDefinitionError(`${where}: pass what app.budget(...) gave, not ${shown(budget)}`);
}

/** `budget` of the context of an attempt. */
export type SpendingOn = <Dimension extends string>(budget: BudgetRef<Dimension>) => RunBudget<Dimension>;

/** The `budget` member of the context. It throws InvalidDefinitionError for a value that is no budget. */
export function spendingOf(attempt: Attempt, dependencies: SpendingDependencies): SpendingOn {
  const { backend, clock, ids } = dependencies;
  const promises = promisesOf(attempt, dependencies);
  const called = <T>(what: string, call: () => Promise<T>): Promise<T> =>
    promises.call(`budget.${what}`, attempt.during(call));
  const { executionId, fence } = attempt;
  const by = { executionId, leaseEpoch: fence.leaseEpoch };
  const ask = <T>(call: () => Promise<T>): Promise<T> => untilAnswered(attempt, clock, call);
  const of = (budget: BudgetRef): RunBudget => ({
    reserve: (asked, options = {}) =>
      called('reserve', async () => {
        knownOnly<ReserveOptions>('reserve', options, { ttl: true, wait: true });
        const { ttl = defaultTtlMs(attempt.leaseTtlMs), wait = 0 } = options;
        const amounts = someAmountsFor('reserve()', budget, asked);
        checkDuration('reserve', 'ttl', ttl, LIMITS.minReservationTtlMs, LIMITS.maxReservationTtlMs);
        checkDuration('reserve', 'wait', wait, 0, LIMITS.maxDurationMs);
        attempt.throwIfAborted();
        const ttlMs = durationMs(ttl);
        const reservationId = ids();
        const args = { budgetId: budget.id, reservationId, amounts, ttlMs };
        let askedAt = 0;
        const reserve = () => {
          askedAt = clock.now();
          return budget.ensured(() => ask(() => backend.reserveBudget({ ...args, ...by })));
        };
        const wanted = { ...args, waitMs: durationMs(wait) };
        assertRoom(budget, amounts, await reserveInTime(attempt, { backend, clock }, wanted, reserve));
        const during = <T>(call: () => Promise<T>): Promise<T> => attempt.during(() => budget.ensured(call));
        const isOver = (): boolean => attempt.isOver || attempt.signal.aborted;
        const { leaseEpoch } = fence;
        const follow = <T>(what: string, made: Promise<T>): Promise<T> => promises.follow(`budget.${what}`, made);
        return new Held({ ...args, words: budget, backend, clock, ask, askedAt, leaseEpoch, isOver, during, follow });
      }),
    report: (used, options = {}) =>
      called('report', async () => {
        knownOnly<ReportOptions>('report', options, { key: true });
        const { key } = options;
        checkField('report', 'key', idempotencyKey, key);
        const custom = someAmountsFor('report()', budget, used);
        const args = { budgetId: budget.id, ...by, usage: { custom } };
        const report = () => backend.reportUsage({ ...args, dedupKey: key });
        // Without a key, a report whose answer was lost would count twice.
        assertRoom(budget, custom, await budget.ensured(key === undefined ? report : () => ask(report)));
      }),
  });
  return (budget) => {
    needBudget('budget()', budget);
    return of(budget);
  };
}
