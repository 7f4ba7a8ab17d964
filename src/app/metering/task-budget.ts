/** Budgets of a task: its runs wait, or are refused, while one of them is exhausted. */
import { amountOf } from '../../../model/budget/amounts.js';
import { EngineError } from '../../../model/errors.js';
import { LIMITS } from '../../../model/limits.js';
import type { Backend } from '../../backend/backend.js';
import type { Clock } from '../../engine/clock.js';
import { perBackend } from '../../engine/per-backend.js';
import { isRetryable, withRetries } from '../../engine/retry.js';
import { refuse } from '../../shared/checks.js';
import { InvalidDefinitionError, InvalidInputError } from '../../shared/errors.js';
import { knownOnly } from '../../shared/known-only.js';
import { reasonOf } from '../../util/failure-text.js';
import { disown } from '../../util/quietly.js';
import { BudgetExceededError } from '../../worker/budgets/errors.js';
import { knownBudgets, noteKnown, type AppBudget } from './budget.js';
import { CALL_PATIENCE_MS } from '../patience.js';
import type { RunSurroundings } from '../runs/run.js';

/** One or several budgets, the same for every run or by its input. */
export type TaskBudgets<In = unknown> = AppBudget | readonly AppBudget[] | BudgetsByInput<In>;

/** A method's type, so that a task without a schema can annotate its input. */
type BudgetsByInput<In> = { of(input: In): AppBudget | readonly AppBudget[] }['of'];

export interface TaskBudget<In = unknown> {
  readonly of: TaskBudgets<In>;
  /**
   * What happens to a run while a budget is exhausted. `wait`, the default: it waits in its lane until there is room.
   * `refuse`: it is not created (`BudgetExceededError`); runs that already exist wait.
   */
  readonly whenExhausted?: 'wait' | 'refuse' | undefined;
}

/** The budgets of a task as the app keeps them. */
export interface TaskBudgetDefinition {
  readonly of: AppBudget | readonly AppBudget[] | ((input: unknown) => unknown);
  readonly isRefusing: boolean;
}

/** How long the budget of a task counts as existing after it was read, ms. */
const KNOWN_FOR_MS = 1_000;

/** Reads of budgets that are under way, by id. */
const looksUnderWay = perBackend(() => new Map<string, Promise<void>>());

const TASK_BUDGET = { of: true, whenExhausted: true } as const;

const isBudget = (value: unknown): value is AppBudget =>
  typeof value === 'object' &&
  value !== null &&
  typeof (value as AppBudget).id === 'string' &&
  typeof (value as AppBudget).ensured === 'function';

const isSettings = (given: unknown): given is TaskBudget =>
  typeof given === 'object' && given !== null && !Array.isArray(given) && !isBudget(given);

/** @throws InvalidDefinitionError for invalid budgets */
export function taskBudgetOf(where: string, given: unknown): TaskBudgetDefinition | undefined {
  if (given === undefined) return undefined;
  if (isSettings(given)) knownOnly<TaskBudget>(`${where}, budget`, given, TASK_BUDGET);
  const { of, whenExhausted = 'wait' } = isSettings(given) ? given : { of: given as TaskBudgets };
  if (whenExhausted !== 'wait' && whenExhausted !== 'refuse')
    throw refuse(where, 'budget.whenExhausted', '"wait" or "refuse"', whenExhausted);
  if (typeof of !== 'function' && listed(of) === undefined)
    throw refuse(
      where,
      'budget',
      `made by app.budget(...), a list of up to ${LIMITS.maxBudgetsPerExecution} such, or a function of the input`,
      of,
    );
  return { of, isRefusing: whenExhausted === 'refuse' };
}

/** The budgets as a list; undefined for any other value. */
function listed(value: unknown): readonly AppBudget[] | undefined {
  const list: unknown[] = Array.isArray(value) ? value : [value];
  return list.length <= LIMITS.maxBudgetsPerExecution && list.every(isBudget) ? list : undefined;
}

/** The budgets of a run with this input, each once. @throws InvalidInputError if the input has none */
export function budgetsOfRun(taskName: string, budget: TaskBudgetDefinition | undefined, input: unknown): AppBudget[] {
  if (budget === undefined) return [];
  let given: unknown;
  try {
    given = typeof budget.of === 'function' ? budget.of(input) : budget.of;
  } catch (error) {
    throw new InvalidInputError(taskName, `the function for its budget failed: ${reasonOf(error)}`);
  }
  const budgets = listed(given);
  if (budgets === undefined) {
    disown(given);
    throw new InvalidInputError(
      taskName,
      `the function for its budget must give budgets of the app for it, at most ${LIMITS.maxBudgetsPerExecution}`,
    );
  }
  return [...new Map(budgets.map((each) => [each.id, each])).values()];
}

/**
 * Ensures that the budgets of a run exist before its creation: a missing budget would limit nothing.
 * @throws InvalidDefinitionError for a budget that does not exist; BudgetExceededError for an exhausted one if the task
 *   refuses runs
 */
export async function budgetsReady(
  { backend, clock }: Pick<RunSurroundings, 'backend' | 'clock'>,
  budgets: readonly AppBudget[],
  isRefusing: boolean,
): Promise<void> {
  await Promise.all(
    budgets.map(async (budget) => {
      await budget.ready();
      if (!isRefusing) return exists(backend, clock, budget);
      const exhausted = await exhaustedIn(backend, clock, budget);
      if (exhausted !== undefined) throw exhausted;
    }),
  );
}

/** Ensures that a budget exists. Runs that are created at once, or within a second, share one read of it. */
async function exists(backend: Backend, clock: Clock, budget: AppBudget): Promise<void> {
  const { id } = budget;
  if ((knownBudgets(backend).get(id) ?? 0) > clock.now()) return;
  const looks = looksUnderWay(backend);
  let look = looks.get(id);
  if (look === undefined) {
    look = lookAt(backend, clock, budget).finally(() => looks.delete(id));
    looks.set(id, look);
  }
  await look;
}

async function lookAt(backend: Backend, clock: Clock, budget: AppBudget): Promise<void> {
  const known = knownBudgets(backend);
  // The patience of a creation begins when the budget is known: a further look must not lengthen it.
  const patienceMs = known.has(budget.id) ? 0 : CALL_PATIENCE_MS;
  try {
    await exhaustedIn(backend, clock, budget, patienceMs);
  } catch (error) {
    // An existing budget is read again later. A missing budget is no longer known.
    if (!isRetryable(error) || !known.has(budget.id)) throw error;
    noteKnown(backend, budget.id, clock.now() + KNOWN_FOR_MS);
  }
}

async function exhaustedIn(
  backend: Backend,
  clock: Clock,
  budget: AppBudget,
  patienceMs = CALL_PATIENCE_MS,
): Promise<BudgetExceededError | undefined> {
  const { id, name } = budget;
  try {
    const { exhausted, usage, reserved, hardLimits } = await budget.ensured(() =>
      withRetries(clock, patienceMs, () => backend.getBudgetStatus({ budgetId: id })),
    );
    noteKnown(backend, id, clock.now() + KNOWN_FOR_MS);
    const [dimension] = exhausted;
    if (dimension === undefined) return undefined;
    return new BudgetExceededError({
      ...{ budgetId: id, budget: name, dimension, asked: undefined },
      usage: amountOf(usage, dimension),
      reserved: amountOf(reserved, dimension),
      limit: amountOf(hardLimits, dimension),
    });
  } catch (error) {
    if (!(error instanceof EngineError && error.code === 'budget_not_found')) throw error;
    throw new InvalidDefinitionError(
      `There is no budget "${name}"`,
      'Define it where it is used first: app.budget(name, { limits: { ... } }).',
    );
  }
}
